"""Whether what a command needs of ROS 2 is there."""

from __future__ import annotations

import importlib

from robot_finetune.config import ConfigError
from robot_finetune.needs import missing


def require(*modules: str) -> None:
    """Raises ConfigError that says what to do where one of the modules is missing."""
    try:
        for module in modules:
            importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ConfigError(missing(error) or f"{error.name} is not installed") from error
