"""A fall of the success rate, found while it happens, with a stated rate of false alarms.

An e-detector (Shin, Ramdas and Rinaldo, "E-detectors: a nonparametric framework for sequential change detection", 2023)
of the Shiryaev-Roberts kind: gamblers begin anew at every grasp to bet against "nothing has changed", here "success is
as usual or better", and their wealth is added up. Without a change the sum grows by one a grasp on the mean, so that a
sum of `1 / rate` is not reached before 1 / rate grasps on the mean; for success, whatever its true rate above the usual
one.
"""

from __future__ import annotations

import numpy as np

FALLS = (0.15, 0.35, 0.65)
"""Parts of the usual success that the gamblers expect to be lost, one gambler each."""
BOUND = 0.01
"""The usual success lies this far from 0 and 1: no gambler goes bankrupt."""


class EDetector:
    """The gamblers and their wealth; what they bet on is told by `bet`."""

    def __init__(self, gamblers: int, false_alarms: float) -> None:
        """false_alarms: a grasp, at most, while nothing changes. Raises ValueError for what is no part of 1."""
        if not 0.0 < false_alarms <= 1.0:
            raise ValueError(f"false alarms {false_alarms}: expected parts of 1")
        self.limit = 1 / false_alarms
        self._sums = np.zeros(gamblers)

    def bet(self, gains: np.ndarray) -> None:
        """One more grasp. gains: (gamblers,) factors of their wealth, 1 at most on the mean while nothing changes."""
        self._sums = np.minimum((self._sums + 1) * gains, 1e300)

    @property
    def evidence(self) -> float:
        """Grows by at most 1 a grasp on the mean while nothing changes; see `limit`."""
        return float(self._sums.mean())

    @property
    def alarm(self) -> bool:
        """Whether the evidence suffices."""
        return self.evidence >= self.limit


class FallDetector(EDetector):
    """Watches successes for a fall below the usual rate."""

    def __init__(self, usual: float, false_alarms: float) -> None:
        """usual: lowest success rate that counts as usual, 0 to 1. false_alarms: a grasp, at most, while the rate is
        not lower. Raises ValueError for others."""
        super().__init__(len(FALLS), false_alarms)
        if not 0.0 <= usual <= 1.0:
            raise ValueError(f"usual {usual}: expected parts of 1")
        self.usual = min(max(usual, BOUND), 1 - BOUND)
        self._fallen = self.usual * (1 - np.array(FALLS))

    def add(self, success: bool) -> None:
        """One more grasp."""
        self.bet(self._fallen / self.usual if success else (1 - self._fallen) / (1 - self.usual))
