"""The gripper's opening over the last while, from joint states of one publisher or several."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import OrderedDict, deque
from dataclasses import dataclass, field

from robot_finetune.robot.interfaces import RobotError
from robot_finetune.robot.profile import GripperConfig

SET_BACK = 1.0
"""A publisher's stamps this far [s] behind its newest are those of a clock that was set back, not of late messages."""
NEAR = 1.0
"""A measurement farther [s] from a time says nothing about it."""
SILENT = 2.0
"""Wall seconds after which a publisher that tells nothing, while others do, is gone."""
PUBLISHERS, MEASUREMENTS = 8, 50_000
"""Publishers that are remembered, and measurements of each."""
CONTRADICTION = 0.25
"""Openings of two publishers at one time differ by more only if one of them is wrong."""


@dataclass
class _Track:
    """What one publisher said: times [s], rising, and openings. heard: wall time of the newest."""

    stamps: deque[float] = field(default_factory=lambda: deque(maxlen=MEASUREMENTS))
    openings: deque[float] = field(default_factory=lambda: deque(maxlen=MEASUREMENTS))
    heard: float = 0.0

    def at(self, stamp: float) -> float | None:
        if not self.stamps or stamp < self.stamps[0] or stamp > self.stamps[-1] + NEAR:
            return None
        index = min(bisect_left(self.stamps, stamp), len(self.stamps) - 1)
        return self.openings[index] if abs(self.stamps[index] - stamp) <= NEAR else None


class OpeningHistory:
    """The gripper's opening, 0 closed to 1 open, at the times of the joint states."""

    def __init__(self, gripper: GripperConfig, duration: float) -> None:
        """duration: for which measurements are kept [s]."""
        self._gripper, self._duration = gripper, duration
        self._tracks: OrderedDict[str, _Track] = OrderedDict()

    def add(self, stamp: float, position: float, publisher: str = "", now: float = 0.0) -> None:
        """Store the gripper joint's position at `stamp` [s]. publisher: who says so. now: wall time [s].

        A message that came late is passed over. Raises ValueError for a position that is none.
        """
        if not math.isfinite(position):
            raise ValueError(f"the gripper's joint is at {position}: check its driver")
        track = self._track(publisher, now)
        if track.stamps and stamp <= track.stamps[-1]:
            if stamp > track.stamps[-1] - SET_BACK:
                return
            track.stamps.clear()
            track.openings.clear()
        stroke = self._gripper.open_position - self._gripper.closed_position
        track.stamps.append(stamp)
        track.openings.append(min(max((position - self._gripper.closed_position) / stroke, 0.0), 1.0))
        while track.stamps[0] < stamp - self._duration:
            track.stamps.popleft()
            track.openings.popleft()

    def at(self, stamp: float) -> float | None:
        """The opening at `stamp`: the first measured since, else the last; None if none was measured near it.

        Raises RobotError if publishers contradict each other.
        """
        openings = [opening for track in self._tracks.values() if (opening := track.at(stamp)) is not None]
        if openings and max(openings) - min(openings) > CONTRADICTION:
            raise RobotError(
                f"publishers of joint_states contradict each other about the gripper ({min(openings):.2f} and "
                f"{max(openings):.2f} open); end one of them"
            )
        return openings[-1] if openings else None

    def _track(self, publisher: str, now: float) -> _Track:
        """The track of `publisher`, last in order; those who have been silent are forgotten."""
        track = self._tracks.setdefault(publisher, _Track())
        track.heard = now
        self._tracks.move_to_end(publisher)
        oldest = next(iter(self._tracks))
        if now - self._tracks[oldest].heard > SILENT or len(self._tracks) > PUBLISHERS:
            del self._tracks[oldest]
        return track
