"""The live view of a session: one block that is redrawn on a terminal, plain lines every few seconds elsewhere."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from typing import TextIO

from robot_finetune.session.unblocked_stream import UnblockedStream
from robot_finetune.stats import Proportion

REDRAW = (0.25, 5.0)
"""Wall seconds between two views: on a terminal, and elsewhere."""
BAR = 24


@dataclass(frozen=True)
class View:
    """What is shown. per_minute, seconds_left, loss: None where unknown. discarded: episodes. state: of the policy
    node, if it waits."""

    title: str = ""
    phase: str = ""
    done: int = 0
    target: int = 0
    success: Proportion = Proportion(0, 0)
    recent: Proportion = Proportion(0, 0)
    before: Proportion = Proportion(0, 0)
    version: int = 0
    trainer: str = ""
    updates: int = 0
    loss: float | None = None
    per_minute: float | None = None
    seconds_left: float | None = None
    elapsed: float = 0.0
    discarded: int = 0
    state: str = ""

    def block(self) -> list[str]:
        """The view in a few lines."""
        filled = round(BAR * self.done / self.target) if self.target else 0
        bar = "█" * min(filled, BAR) + "░" * (BAR - min(filled, BAR))
        success = f"{self.success}   last {self.recent.episodes}: {self.recent}" if self.success.episodes else "-"
        if self.before.episodes:
            success += f"   before: {self.before}"
        return [
            f"{self.title}  {self.phase}  {clock(self.elapsed)}",
            f"  grasps   {bar} {self.done}/{self.target}  {self._pace()}",
            f"  success  {success}",
            f"  policy   version {self.version} {self.state}   trainer: {self._training()}",
        ]

    def line(self) -> str:
        """The view in one line."""
        parts = [f"{self.phase} {self.done}/{self.target}", f"success {self.success}", f"version {self.version}"]
        parts += [self._training(), self._pace(), self.state]
        return ", ".join(part for part in parts if part)

    def _training(self) -> str:
        loss = "" if self.loss is None else f", loss {self.loss:.3f}"
        return f"{self.updates} updates{loss}{f', {self.trainer}' if self.trainer else ''}"

    def _pace(self) -> str:
        pace = "" if self.per_minute is None else f"{self.per_minute:.0f} grasps a minute"
        left = "" if self.seconds_left is None else f"{clock(self.seconds_left)} left"
        lost = f"{self.discarded} discarded" if self.discarded else ""
        return ", ".join(part for part in (pace, left, lost) if part)


def clock(seconds: float) -> str:
    """A duration as h:mm:ss or m:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class Progress:
    """Writes views and lines to a text stream that it never waits for; on a terminal the view stays below the lines."""

    def __init__(self, stream: TextIO) -> None:
        self._out = UnblockedStream(stream)
        self._live = stream.isatty()
        self._shown: list[str] = []
        self._next = 0.0

    def say(self, line: str) -> None:
        """Print a line that stays."""
        self._erase()
        self._write(f"{line}\n")
        self._draw()

    @property
    def due(self) -> bool:
        """Whether it is time for a new view."""
        return time.monotonic() >= self._next

    def show(self, view: View) -> None:
        """Show a view."""
        self._next = time.monotonic() + REDRAW[0 if self._live else 1]
        if self._out.busy:  # it would be stale when it is seen
            return
        if not self._live:
            self._write(f"{view.line()}\n")
            return
        self._erase()
        width = shutil.get_terminal_size().columns - 1
        self._shown = [line[:width] for line in view.block()]
        self._draw()

    def clear(self) -> None:
        """Take the view away."""
        self._erase()
        self._shown = []
        self._next = 0.0

    def drain(self, patience: float = 3.0) -> None:
        """Wait until all is shown, at most `patience` wall seconds."""
        self._out.drain(patience)

    def _erase(self) -> None:
        if self._shown:
            self._write(f"\x1b[{len(self._shown)}F\x1b[J")

    def _draw(self) -> None:
        self._write("".join(f"{line}\n" for line in self._shown))

    def _write(self, text: str) -> None:
        if text:
            self._out.write(text)
