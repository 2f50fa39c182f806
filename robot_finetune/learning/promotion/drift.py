"""A fall of the success rate, found while it happens, with a stated rate of false alarms.

An e-detector (Shin, Ramdas and Rinaldo, "E-detectors: a nonparametric framework for sequential change detection", 2023)
of the Shiryaev-Roberts kind: gamblers begin anew at every grasp to bet against "success is as usual or better", and
their wealth is added up. Without a fall the sum grows by one a grasp on the mean, so that a sum of `1 / rate` is not
reached before 1 / rate grasps on the mean, whatever the true rate of success above the usual one.
"""

from __future__ import annotations

import numpy as np

FALLS = (0.15, 0.35, 0.65)
"""Parts of the usual success that the gamblers expect to be lost, one gambler each."""
BOUND = 0.01
"""The usual success lies this far from 0 and 1: no gambler goes bankrupt."""


class FallDetector:
    """Watches successes for a fall below the usual rate."""

    def __init__(self, usual: float, false_alarms: float) -> None:
        """usual: lowest success rate that counts as usual, 0 to 1. false_alarms: a grasp, at most, while the rate is
        not lower. Raises ValueError for others."""
        if not (0.0 <= usual <= 1.0 and 0.0 < false_alarms <= 1.0):
            raise ValueError(f"usual {usual}, false alarms {false_alarms}: expected parts of 1")
        self.usual = min(max(usual, BOUND), 1 - BOUND)
        self.limit = 1 / false_alarms
        self._fallen = self.usual * (1 - np.array(FALLS))
        self._sums = np.zeros(len(FALLS))

    def add(self, success: bool) -> None:
        """One more grasp."""
        ratio = self._fallen / self.usual if success else (1 - self._fallen) / (1 - self.usual)
        self._sums = np.minimum((self._sums + 1) * ratio, 1e300)

    @property
    def evidence(self) -> float:
        """Grows by at most 1 a grasp on the mean while success is as usual; see `limit`."""
        return float(self._sums.mean())

    @property
    def fallen(self) -> bool:
        """Whether the evidence suffices."""
        return self.evidence >= self.limit
