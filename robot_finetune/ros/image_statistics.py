"""How many images of a topic arrive, how many are lost on the way, and how late they are."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np

WINDOW = 300
"""Images over which rate and latency are taken."""


class ImageStatistics:
    """Fed with the message info of each image; reads the publisher's own numbering and time, not the camera's stamps.

    Latency is wall time from publication to the end of the callback, on one computer.
    """

    def __init__(self) -> None:
        self.received = 0
        self.lost = 0
        self._publisher: Any = None
        self._number = 0
        self._newest = time.monotonic()
        self._latencies: deque[float] = deque(maxlen=WINDOW)
        self._arrivals: deque[float] = deque(maxlen=WINDOW)

    @property
    def age(self) -> float:
        """Wall seconds since the newest image, or since the beginning."""
        return time.monotonic() - self._newest

    def add(self, info: Mapping[str, Any]) -> None:
        """Count an image by the message info that rclpy hands to its callback."""
        number, publisher = info.get("publication_sequence_number") or 0, info.get("publisher_gid")
        if publisher == self._publisher and number > self._number > 0:
            self.lost += number - self._number - 1
        self._publisher, self._number = publisher, number
        self.received += 1
        self._newest = time.monotonic()
        self._arrivals.append(self._newest)
        self._latencies.append((time.time_ns() - info["source_timestamp"]) * 1e-6)

    def values(self) -> dict[str, str]:
        """received, lost, rate_hz and latency_p50_ms, latency_p95_ms of the newest images, as text for diagnostics."""
        values = {"received": str(self.received), "lost": str(self.lost)}
        if len(self._arrivals) > 1:
            values["rate_hz"] = f"{(len(self._arrivals) - 1) / (self._arrivals[-1] - self._arrivals[0]):.1f}"
            middle, late = np.percentile(self._latencies, (50, 95))
            values |= {"latency_p50_ms": f"{middle:.2f}", "latency_p95_ms": f"{late:.2f}"}
        return values
