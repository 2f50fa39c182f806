"""A terminal that holds up nobody: neither halted (Ctrl-S), nor where nobody reads it, nor closed."""

from __future__ import annotations

import os
import queue
import threading
from contextlib import suppress
from typing import TextIO

MOST = 1000
"""Texts that wait for a stream that takes none; later ones are not shown."""


class UnblockedStream:
    """Writes to `stream` in a thread of its own, in order."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._texts: queue.Queue[str] = queue.Queue(MOST)
        threading.Thread(target=self._work, daemon=True).start()

    @property
    def busy(self) -> bool:
        """Whether something is still to be written."""
        return self._texts.unfinished_tasks > 0

    def write(self, text: str) -> None:
        """Have a text written as soon as the stream takes it."""
        with suppress(queue.Full):
            self._texts.put_nowait(text)

    def drain(self, patience: float) -> None:
        """Wait until all is written, at most `patience` wall seconds."""
        done = threading.Thread(target=self._texts.join, daemon=True)
        done.start()
        done.join(patience)

    def _work(self) -> None:
        while True:
            text = self._texts.get()
            try:
                self._stream.write(text)
                self._stream.flush()
            except OSError:  # closed: nothing is shown from now on
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            self._texts.task_done()
