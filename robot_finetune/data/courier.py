"""Files on their way to or from a folder elsewhere, in a thread of their own: a line that is cut holds up nobody."""

from __future__ import annotations

import threading
from collections.abc import Callable

from robot_finetune.files import one_line

PERIOD = 2.0
"""Wall seconds between two looks for something to bring."""


class Courier:
    """Calls `carry` again and again, which brings what there is to bring. `run` belongs to a thread.

    late: in one line, why not everything is where it belongs; "" if it is.
    """

    def __init__(self, carry: Callable[[Callable[[], bool]], None]) -> None:
        """carry: brings what there is; is told how to ask whether it has to end. Raises OSError where it cannot go on
        now; it is called again later."""
        self.late = ""
        self._carry = carry
        self._wake, self._closing = threading.Event(), threading.Event()

    def run(self) -> None:
        """Work until `close`."""
        while not self._closing.is_set():
            try:
                self._carry(self._closing.is_set)
                self.late = ""
            except OSError as error:
                self.late = one_line(error)
            self._wake.wait(PERIOD)
            self._wake.clear()

    def hurry(self) -> None:
        """There is something new to bring."""
        self._wake.set()

    def close(self) -> None:
        """Have `run` return after what it is just carrying."""
        self._closing.set()
        self._wake.set()
