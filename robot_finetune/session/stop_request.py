"""Ctrl-C, SIGTERM and a closed terminal as a question that the session asks between two things, not as an end in the
middle of one."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequest:
    """True once SIGINT, SIGTERM or SIGHUP has come; a second one of the first two raises KeyboardInterrupt."""

    def __init__(self) -> None:
        self._asked = False

    def __call__(self) -> bool:
        return self._asked

    def handle(self, number: int, _: object) -> None:
        if self._asked and number != signal.SIGHUP:  # a shell repeats it
            raise KeyboardInterrupt
        self._asked = True


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
