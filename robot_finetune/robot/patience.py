"""How long an arm is waited for that is not at its goal when its trajectory is over: as long as it comes nearer."""

from __future__ import annotations

import numpy as np

from robot_finetune.robot.profile_groups import MotionConfig

AT_REST = 0.001  # rad; joints that move less than this while they are watched stand still
SHORTEST_WATCH, LONGEST_WATCH = 0.02, 1.0  # s
SLOWEST = 0.08  # share of its speed at which an arm still counts as moving: a speed slider at a tenth is no obstacle
NEARER = 0.0005  # m of the tip that count as progress


class Patience:
    """Of one motion. watch: seconds for which joints are watched to tell whether they stand still."""

    def __init__(self, fastest: float, settle: float, start: np.ndarray, now: float, motion: MotionConfig) -> None:
        """fastest: the largest joint speed of the motion [rad/s]. start: the joints [rad] at `now` [s], when
        it is commanded."""
        slow = min(AT_REST / (SLOWEST * max(fastest, 1e-6)), LONGEST_WATCH)
        self.watch = max(settle, SHORTEST_WATCH, slow)
        self._start, self._begin_by, self._timeout = start, now + motion.reaction, motion.timeout
        self._nearest, self._deadline = np.inf, np.inf

    def late(self, now: float, distance: float) -> bool:
        """Whether the tip, at `now` [s] still `distance` [m] from its goal, has not come nearer for the time-out."""
        if distance < self._nearest - NEARER:
            self._nearest, self._deadline = distance, now + self._timeout
        return now > self._deadline

    def to_begin(self, now: float, q: np.ndarray) -> bool:
        """Whether the joints at `q` [rad] are still where they were, and the controller has time left to begin."""
        return bool(now < self._begin_by and self.resting(self._start, q))

    @staticmethod
    def resting(before: np.ndarray, after: np.ndarray) -> bool:
        """Whether joints [rad] watched from `before` to `after` stand still."""
        return bool(np.abs(after - before).max() < AT_REST)
