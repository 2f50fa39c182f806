"""Ctrl-C, SIGTERM and a closed terminal as a question that the session asks between two things, not as an end in the
middle of one."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

AT_ONCE = 1.0
"""Wall seconds in which signals are one request: make, timeout and shells send them to a process and to its group."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequest:
    """True once SIGINT, SIGTERM or SIGHUP has come; SIGINT or SIGTERM some time later raises KeyboardInterrupt."""

    def __init__(self) -> None:
        self._asked, self._since = False, 0.0

    def __call__(self) -> bool:
        return self._asked

    def handle(self, number: int, _: object) -> None:
        if self._asked and number != signal.SIGHUP and time.monotonic() - self._since > AT_ONCE:
            raise KeyboardInterrupt
        if not self._asked:
            self._asked, self._since = True, time.monotonic()


@contextmanager
def stop_request() -> Iterator[StopRequest]:
    """These signals only ask for the end while the block runs."""
    request = StopRequest()
    previous = {number: signal.signal(number, request.handle) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
