"""The robot description of a profile: URDF and SRDF as XML, from a file or a xacro."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import xacro

from robot_finetune.config import ConfigError, find_file
from robot_finetune.robot.profile import RobotProfile


def load_urdf(profile: RobotProfile) -> str:
    """The robot description as URDF XML; a xacro file is given the profile's bin and camera. Raises ConfigError."""
    cell = {
        "bin_center": _words(profile.bin_center),
        "bin_half_width": str(profile.bin_half[0]),
        "bin_half_depth": str(profile.bin_half[1]),
        "floor_z": str(profile.floor_z),
        "camera_position": _words(profile.camera.position),
        "camera_target": _words(profile.camera.target),
    }
    return read_description("urdf", find_file(profile.urdf), {**cell, **xacro_arguments(profile.urdf_arguments)})


def read_description(key: str, path: Path, arguments: Mapping[str, str]) -> str:
    """The XML of a file, processed with `arguments` if it is a xacro. key: of the profile. Raises ConfigError."""
    if not path.is_file():
        raise ConfigError(f"{path}: no such robot description; correct `{key}` in the robot profile")
    if path.suffix != ".xacro":
        return path.read_text()
    try:
        return str(xacro.process_file(str(path), mappings=dict(arguments)).toxml())
    except Exception as error:  # xacro raises its own errors and those of the XML parser and of expressions
        raise ConfigError(f"{path}: xacro cannot process it ({error}); correct the file") from error


def xacro_arguments(words: tuple[str, ...]) -> dict[str, str]:
    """Mapping of `name:=value` words."""
    return {name: value for name, _, value in (word.partition(":=") for word in words)}


def _words(values: tuple[float, ...]) -> str:
    return " ".join(map(str, values))
