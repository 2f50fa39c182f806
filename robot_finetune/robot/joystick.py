"""A joystick in a person's hand: what they want the gripper to do, for as long as they hold its dead-man button."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from robot_finetune.config import ConfigError, setting
from robot_finetune.robot.interfaces import Wish

MOST = 64
"""Axes or buttons that a joystick has at most."""
NONE = -1


@dataclass(frozen=True)
class JoystickConfig:
    """Which axes and buttons of a sensor_msgs/Joy mean what, counted from 0; -1: none. The defaults are those of a
    gamepad with two sticks: the left one moves in the plane, the right one up, down and round."""

    hold: int = setting(4, "button that a person holds to move the gripper: the dead-man button", low=0, high=MOST - 1)
    close: int = setting(0, "button that closes the gripper, which ends the approach", low=NONE, high=MOST - 1)
    open: int = setting(1, "button that opens the gripper", low=NONE, high=MOST - 1)
    axes: tuple[int, int, int, int] = setting(
        (1, 0, 4, 3), "axes of x, y, z (base frame) and yaw", low=NONE, high=MOST - 1
    )
    scale: tuple[float, float, float, float] = setting(
        (1.0, 1.0, 1.0, 1.0), "factor of each axis: its sign, and how fast", low=-1.0, high=1.0
    )
    patience: float = setting(
        60.0, "longest stand-still of a person who holds, or who has to act", unit="s", low=1.0, high=3600.0
    )
    deadband: float = setting(0.1, "part of an axis around its centre that means no motion", low=0.0, high=0.9)
    timeout: float = setting(
        0.5, "silence after which the arm holds while the button was held last, wall time", unit="s", low=0.05, high=5.0
    )

    def __post_init__(self) -> None:
        buttons = [button for button in (self.hold, self.close, self.open) if button != NONE]
        if len(set(buttons)) < len(buttons):
            raise ConfigError(f"hold, close, open = {self.hold}, {self.close}, {self.open}: each needs its own button")


class Joystick:
    """Implements `interfaces.Hand` by what `hear` is told. Thread-safe."""

    def __init__(self, config: JoystickConfig = JoystickConfig(), clock: Callable[[], float] = time.monotonic) -> None:
        """clock: wall time [s] that is never set back."""
        self._config, self._clock = config, clock
        self._condition = threading.Condition()
        self._held = self._close = self._open = False
        self._motion, self._buttons = np.zeros(4), np.zeros(MOST, bool)
        self._heard = 0.0

    def hear(self, axes: Sequence[float], buttons: Sequence[int]) -> None:
        """The state of the joystick now. Raises ValueError for what is none: then the state before it ages."""
        config = self._config
        if max(len(axes), len(buttons)) > MOST:
            raise ValueError(f"a joystick of {len(axes)} axes and {len(buttons)} buttons: at most {MOST} are taken")
        values = np.asarray(axes, np.float64)
        if not np.isfinite(values).all():
            raise ValueError("an axis that is not a finite number")
        pressed = np.zeros(MOST, bool)
        pressed[: len(buttons)] = np.asarray(buttons, np.int64) > 0
        chosen = np.array([values[axis] if 0 <= axis < len(values) else 0.0 for axis in config.axes])
        with self._condition:
            begun = pressed & ~self._buttons
            self._held, self._buttons, self._heard = bool(pressed[config.hold]), pressed, self._clock()
            self._motion = np.array(config.scale) * _centred(chosen, config.deadband)
            self._close = self._held and (self._close or (config.close != NONE and bool(begun[config.close])))
            self._open = self._held and (self._open or (config.open != NONE and bool(begun[config.open])))
            self._condition.notify_all()

    def wish(self) -> Wish | None:
        """What the person wants now; None while they do not hold the button. After a silence it is to hold still."""
        with self._condition:
            if not self._held:
                return None
            if not self._fresh():
                return Wish(np.zeros(4), silent=True)
            return Wish(self._motion, self._close, self._open)

    def served(self) -> None:
        """The gripper was closed or opened as the person wanted it: each press counts once."""
        with self._condition:
            self._close = self._open = False

    def forget(self) -> None:
        """Until it is heard again, the button counts as let go: the way out where a joystick fell silent."""
        with self._condition:
            self._held = self._close = self._open = False

    def wait(self, seconds: float) -> bool:
        """Wait until somebody holds the button, at most so long [s, wall time]; returns whether somebody does."""
        with self._condition:
            return self._condition.wait_for(lambda: self._held and self._fresh(), seconds)

    def _fresh(self) -> bool:
        return self._clock() - self._heard <= self._config.timeout


def _centred(axes: np.ndarray, deadband: float) -> np.ndarray:
    """Axes from -1 to 1 that begin at the edge of the deadband; beyond -1 and 1 they are cut."""
    beyond = np.clip(np.abs(axes) - deadband, 0.0, 1.0 - deadband) / (1.0 - deadband)
    return np.sign(axes) * beyond
