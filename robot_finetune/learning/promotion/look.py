"""Whether the scene looks otherwise than it did: a second witness of drift, which needs no failed grasp.

The arm begins every grasp at the same pose, so that images from there differ by the objects alone. Of each, the mean
colours of a few fields are kept. The first ones tell what is usual; how far a later one is from that (mean squared
difference, in standard deviations of each colour) is ranked among those since, which gives a conformal p-value (Vovk,
Gammerman and Shafer, "Algorithmic learning in a random world", 2005): uniform, whatever the scene, while looks come in
an order that means nothing. An e-detector bets on small ones (`drift`).

It sees floors, light, a camera or gripper that is elsewhere. It does not see what is as small as longer fingers, or as
changing as the objects; whether anything is the worse for it, success has to tell.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence

import numpy as np

from robot_finetune.learning.promotion.drift import EDetector

FIELDS = 4
"""Along each edge of the image."""
SIZE = 3 * FIELDS**2
"""Numbers of a look."""
BETS = np.array((0.2, 0.5))
"""Exponents of the gamblers: wealth is multiplied by bet * p ** (bet - 1)."""
STEADY = 1.0
"""Standard deviation [grey levels] below which a field does not count as steadier."""


def look_of(image: np.ndarray) -> list[float]:
    """Mean colours [grey levels] of the fields of an image, uint8 (size, size, 3): red, green, blue, row by row."""
    rows = np.array_split(image.astype(np.float32), FIELDS)
    fields = [field for row in rows for field in np.array_split(row, FIELDS, axis=1)]
    return [round(float(value), 1) for field in fields for value in field.mean((0, 1))]


class LookDetector(EDetector):
    """Watches looks for a change, after as many as tell what is usual."""

    def __init__(self, reference: int, false_alarms: float) -> None:
        """reference: looks that tell, at least 2. false_alarms: a grasp, at most, while nothing changes. Raises
        ValueError for others."""
        super().__init__(len(BETS), false_alarms)
        if reference < 2:
            raise ValueError(f"reference {reference}: expected at least 2 looks")
        self._reference = reference
        self._usual: list[Sequence[float]] = []
        self._distances: list[float] = []

    def add(self, look: Sequence[float]) -> None:
        """One more grasp, that began with this look (SIZE)."""
        if len(self._usual) < self._reference:
            self._usual.append(look)
            return
        usual = np.array(self._usual)
        scatter = np.maximum(usual.std(0, ddof=1), STEADY)
        distance = float(np.mean(((np.array(look) - usual.mean(0)) / scatter) ** 2))
        bisect.insort(self._distances, distance)
        as_far = len(self._distances) - bisect.bisect_left(self._distances, distance)
        self.bet(BETS * (as_far / len(self._distances)) ** (BETS - 1))
