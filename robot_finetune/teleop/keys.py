"""Keys of a terminal as the axes and buttons of a joystick."""

from __future__ import annotations

import time
from collections.abc import Callable

from robot_finetune.robot.joystick import NONE, JoystickConfig

MOTIONS = {"w": (0, 1), "s": (0, -1), "a": (1, 1), "d": (1, -1), "r": (2, 1), "f": (2, -1), "q": (3, 1), "e": (3, -1)}
"""Axis (x, y, z, yaw) and direction of a key."""
DEFAULT_MAPPING = JoystickConfig()
HOLD, CLOSE, OPEN, LEAVE = " ", "c", "o", "x"
LINGER = 0.2
"""Seconds that a key counts as pressed: a terminal repeats a key that is down, but never tells that it is up."""
HELP = (
    "space: take over, and give back    w s: x    a d: y    r f: z (up, down)    q e: yaw    c: close    o: open    "
    "x: leave"
)


class Keys:
    """A joystick with the mapping of `config`. A terminal knows no held button: `space` takes over, and again gives
    back."""

    def __init__(self, config: JoystickConfig = DEFAULT_MAPPING, clock: Callable[[], float] = time.monotonic) -> None:
        """clock: wall time [s] that is never set back."""
        self._config, self._clock = config, clock
        self._until: dict[str, float] = {}
        self.holds = False

    def press(self, key: str) -> None:
        """A key came from the terminal."""
        if key == HOLD:
            self.holds = not self.holds
        self._until[key] = self._clock() + LINGER

    def state(self) -> tuple[list[float], list[int]]:
        """Axes and buttons as in sensor_msgs/Joy."""
        config, now = self._config, self._clock()
        pressed = {key for key, until in self._until.items() if until > now}
        axes = [0.0] * (1 + max(config.axes))
        buttons = [0] * (1 + max(config.hold, config.close, config.open))
        for key, (axis, direction) in MOTIONS.items():
            if key in pressed and config.axes[axis] != NONE:
                axes[config.axes[axis]] += float(direction)
        for button, down in ((config.close, CLOSE in pressed), (config.open, OPEN in pressed)):
            if button != NONE:
                buttons[button] = int(down)
        buttons[config.hold] = int(self.holds)
        return axes, buttons
