"""The newest camera frames, found again by their stamp."""

from __future__ import annotations

import threading
from collections import deque

from robot_finetune.robot.interfaces import Frame

SAME_STAMP = 5e-4


class FrameBuffer:
    """Keeps the last `capacity` frames. Thread-safe."""

    def __init__(self, capacity: int = 90) -> None:
        self._frames: deque[Frame] = deque(maxlen=capacity)
        self._lock = threading.Lock()

    def add(self, frame: Frame) -> None:
        with self._lock:
            self._frames.append(frame)

    def at(self, stamp: float) -> Frame | None:
        """The frame taken at `stamp` [s], or None if it is not, or no longer, here."""
        with self._lock:
            return next((frame for frame in reversed(self._frames) if abs(frame.stamp - stamp) < SAME_STAMP), None)

    def latest(self) -> Frame | None:
        with self._lock:
            return self._frames[-1] if self._frames else None

    def newer_than(self, stamp: float) -> int:
        """How many frames here were taken after `stamp` [s]."""
        with self._lock:
            return sum(frame.stamp > stamp + SAME_STAMP for frame in self._frames)

    def clear(self) -> None:
        """Forget all frames (the clock was set back)."""
        with self._lock:
            self._frames.clear()
