"""How fast a simulated cell's time passes, and when its sensors report."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

COAST = 0.08
"""Time of the cell [s] for which it still hurries after a motion: the settling time that everybody waits for."""
ROUNDING = 1e-6
"""Cell time [s] by which a sensor may report early: that of adding up ticks."""
LARGEST_LAG = 0.1
"""Wall time [s] that is made up for after a delay; more is let go."""

WallClock = Callable[[], float]


class Pace:
    """Wall time between ticks of a cell.

    factor: cell seconds a wall second. 0: as fast as possible while anything moves, real time while all rests, so that
    nobody waits for a motion and waiting costs nothing.
    """

    def __init__(self, factor: float, wall: WallClock = time.monotonic) -> None:
        self._factor, self._wall = factor, wall
        self._anchor: tuple[float, float] | None = None  # wall and cell time from which the pace is kept
        self._moved = -math.inf
        self.hurries = False

    def wait(self, now: float, busy: bool) -> float:
        """Wall seconds to wait before the cell's time may go on from `now`. busy: whether anything moves."""
        if busy:
            self._moved = now
        self.hurries = self._factor == 0 and now - self._moved < COAST
        if self.hurries:
            self._anchor = None
            return 0.0
        wall = self._wall()
        if self._anchor is None:
            self._anchor = (wall, now)
        wait = self._anchor[0] + (now - self._anchor[1]) / (self._factor or 1.0) - wall
        if wait < -LARGEST_LAG:
            self._anchor = (wall, now)
        return max(0.0, wait)


class Schedule:
    """When a sensor reports: once a `period` [s, cell time], but in a hurry at most once a least wall period."""

    def __init__(self, period: float, least_wall_period: float, wall: WallClock = time.monotonic) -> None:
        self._period, self._least, self._wall = period, least_wall_period, wall
        self._next = -math.inf
        self._last = -math.inf

    def due(self, now: float, hurries: bool) -> bool:
        """Whether to report at `now` [s, cell time]; asked once a tick."""
        if now < self._next - ROUNDING or (hurries and self._wall() - self._last < self._least):
            return False
        self._next = (math.floor((now + ROUNDING) / self._period) + 1) * self._period
        self._last = self._wall()
        return True
