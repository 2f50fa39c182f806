"""Whether what a command needs of ROS 2 is there."""

from __future__ import annotations

import importlib

from robot_finetune.config import ConfigError


def require(*modules: str) -> None:
    """Raises ConfigError that says what to do where one of the modules is missing."""
    try:
        for module in modules:
            importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{error.name} is not installed: run `make build`, or source the workspace's setup file"
        ) from error
