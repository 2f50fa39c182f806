"""Scalars for TensorBoard. A curve is never worth a robot's work: what cannot be written is told once and left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


class ScalarLog:
    """The event files of one process in `folder`, or nothing where that is None.

    first: what an earlier run of the same folder wrote from this step on is hidden; None: there was none.
    complain: takes one line where writing fails; nothing is written from then on.
    """

    def __init__(self, folder: Path | None, complain: Callable[[str], None], first: int | None = None) -> None:
        self._folder, self._complain = folder, complain
        self._writer: Any = None
        if folder is not None:
            from torch.utils.tensorboard.writer import SummaryWriter

            try:
                self._writer = SummaryWriter(str(folder), purge_step=first)
            except OSError as error:
                self._give_up(error)

    def add(self, step: int, scalars: Mapping[str, float]) -> None:
        """Record values at a step."""
        try:
            for name, value in scalars.items():
                if self._writer is not None:
                    self._writer.add_scalar(name, value, step)
        except OSError as error:
            self._give_up(error)

    def flush(self) -> None:
        """What was recorded is on disk when this returns."""
        try:
            if self._writer is not None:
                self._writer.flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self._writer = None
        self._complain(f"{self._folder}: no more curves are written ({error.strerror or error}); free disk space")
