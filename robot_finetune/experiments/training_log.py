"""What a training run shows: lines with the time left, and scalars for TensorBoard."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from robot_finetune.data.scalar_log import ScalarLog

SAY_EVERY = 10.0  # s between two progress lines


class TrainingLog:
    """Of one run of `updates` gradient steps, of which `done` were made before. folder: of the event files."""

    def __init__(self, folder: Path, updates: int, done: int = 0) -> None:
        self._curves = ScalarLog(folder, print, first=done + 1 if done else None)
        self._updates, self._first, self._update = updates, done, done
        self._start = self._said = time.monotonic()
        self._first_time: float | None = None

    def progress(self, update: int, scalars: Mapping[str, float]) -> None:
        """Record scalars of an update; now and then a line says how far it is."""
        self._update = update
        for name, value in scalars.items():
            self.scalar(name, value)
        now = time.monotonic()
        if self._first_time is None:
            self._first, self._first_time = update, now
        elif now - self._said > SAY_EVERY:
            left = (now - self._first_time) / (update - self._first) * (self._updates - update)
            values = ", ".join(f"{name.split('/')[-1]} {value:.3f}" for name, value in scalars.items())
            self.say(f"update {update} of {self._updates}, about {left / 60:.0f} min left: {values}")

    def scalar(self, name: str, value: float) -> None:
        """Record one value at the present update."""
        self._curves.add(self._update, {name: value})

    def say(self, text: str) -> None:
        """Print a line with the time since the start; the scalars so far are on disk then."""
        self._said = time.monotonic()
        self._curves.flush()
        print(f"[{self._said - self._start:6.0f} s] {text}", flush=True)
