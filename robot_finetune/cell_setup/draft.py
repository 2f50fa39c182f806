"""The profile that grows while a cell is measured: the file it began with, and what was measured since."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from robot_finetune.config import ConfigError, load_yaml, resolve
from robot_finetune.data.atomic_file import atomic_file
from robot_finetune.robot.profile import RobotProfile, load_robot

DIGITS = 4
SLOW_SPEED, SLOW_ACCELERATION, SLOW_SCALING = 0.1, 0.5, 0.2


class Draft:
    """A robot profile on its way to `path`; each `measured` writes it again, so that nothing measured is lost."""

    def __init__(self, robot: str, path: Path, name: str = "") -> None:
        """robot: name or path of the profile to begin with; `path` itself goes on. Raises ConfigError."""
        self.path = path
        self.source = path if path.is_file() else resolve("robots", robot)
        self._data: dict[str, Any] = load_yaml(self.source)
        self._profile = load_robot(self.source)
        if name:
            self._data["name"] = name

    @property
    def profile(self) -> RobotProfile:
        return self._profile

    def measured(self, **values: Any) -> None:
        """Set keys (group__key for a key in a group) and take them off to_measure. Raises ConfigError, OSError."""
        for key, value in values.items():
            *groups, last = key.split("__")
            place = self._data
            for group in groups:
                place = place.setdefault(group, {})
            place[last] = _plain(value)
        known = {key.replace("__", ".") for key in values}
        left = [key for key in self._data.get("to_measure", ()) if key not in known]
        self._data["to_measure"] = left
        if not left:
            del self._data["to_measure"]
        self._save()

    def _save(self) -> None:
        lines = "# Measured by `robot-finetune setup`. All keys and their meaning: config/robots/template.yaml\n"
        text = lines + yaml.safe_dump(self._data, sort_keys=False, default_flow_style=None, width=120)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(self.path) as stream:
                stream.write(text.encode())
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be written ({error.strerror}); choose another --out") from error
        self._profile = load_robot(self.path)


def _plain(value: Any) -> Any:
    """Numbers and lists for YAML, rounded to what a measurement can mean."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return round(value, DIGITS) + 0.0 if isinstance(value, float) else value  # + 0.0: no minus before a zero


def slowed(profile: RobotProfile) -> RobotProfile:
    """The profile for motions of the set-up: slow, and with what is still to be measured left open."""
    motion = profile.motion
    slow = replace(
        motion,
        tip_speed=min(motion.tip_speed, SLOW_SPEED),
        tip_acceleration=min(motion.tip_acceleration, SLOW_ACCELERATION),
        velocity_scaling=min(motion.velocity_scaling, SLOW_SCALING),
        acceleration_scaling=min(motion.acceleration_scaling, SLOW_SCALING),
    )
    return replace(profile, motion=slow, to_measure=())
