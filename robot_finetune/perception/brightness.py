"""Whether a camera changes its exposure or white balance by itself, seen in images in which nothing else changes."""

from __future__ import annotations

import numpy as np

DARK, BRIGHT = 16, 240
"""Pixels outside of these are too dark or too bright to tell a gain."""
STILL_DIFFERENCE = 12.0
"""A pixel that differs by more grey levels, beyond the common gain, shows that something has moved."""
STILL_SHARE = 0.01
"""Share of such pixels up to which nothing moves."""
STILL_IMAGES = 15
"""Images without motion before they are judged."""


class BrightnessWatch:
    """Compares each image with the first since something moved; what changes all pixels alike is the camera or lamp.

    tolerance: largest change of a channel's gain that is left unsaid, as a fraction.
    """

    def __init__(self, tolerance: float = 0.05) -> None:
        self._tolerance = tolerance
        self._reference: np.ndarray | None = None
        self._images = 0
        self._gains = np.ones(3)
        self.complaint = ""
        """What has changed while nothing moved, of the last long enough time without motion; empty: nothing."""

    def add(self, image: np.ndarray) -> None:
        """Take the next image, uint8 RGB (height, width, 3)."""
        pixels = image.reshape(-1, 3).astype(np.float32)
        reference = self._reference
        if reference is None or reference.shape != pixels.shape or not self._still(reference, pixels):
            self._reference, self._images = pixels, 0
            return
        self._images += 1
        if self._images >= STILL_IMAGES:
            self.complaint = self._judge()

    def _still(self, reference: np.ndarray, pixels: np.ndarray) -> bool:
        """Whether a gain of each channel explains `pixels`; notes the gains."""
        usable = ((reference > DARK) & (reference < BRIGHT) & (pixels < BRIGHT)).all(axis=1)
        self._gains = np.median(pixels[usable] / reference[usable], axis=0) if usable.any() else np.ones(3)
        moved = np.abs(pixels - np.minimum(reference * self._gains, 255)).max(axis=1) > STILL_DIFFERENCE
        return bool(moved.mean() <= STILL_SHARE)

    def _judge(self) -> str:
        overall = float(np.mean(self._gains))
        balance = float(np.abs(self._gains / overall - 1).max())
        if abs(overall - 1) > self._tolerance:
            return f"brightness went to {overall:.0%} of what it was"
        return f"colours shifted by {balance:.0%}" if balance > self._tolerance else ""
