"""The signals that end a process, acted on at once by a thread of their own: the main thread may be busy or asleep."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, the end of a launch or a service, and a closed terminal."""


@contextmanager
def end_signals(act: Callable[[], object], interrupts: Callable[[], bool]) -> Iterator[None]:
    """Within, `act` is called in another thread when one of END_SIGNALS comes; for the main thread.

    interrupts: whether the signal shall raise KeyboardInterrupt in the main thread as well.
    """

    def handle(number: int, frame: object) -> None:
        if interrupts():
            raise KeyboardInterrupt

    def watch() -> None:
        while (numbers := os.read(read, 16)) and 0 not in numbers:
            if any(number in END_SIGNALS for number in numbers):
                act()

    read, write = os.pipe()
    os.set_blocking(write, False)
    wakeup = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    before = {number: signal.signal(number, handle) for number in END_SIGNALS}
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup)
        os.write(write, b"\0")
        watcher.join(timeout=5.0)
        os.close(read)
        os.close(write)


def end_with_parent() -> None:
    """Have SIGTERM sent to this process when the one that started it ends, however that ends: for what moves an arm.

    Where the system cannot, nothing happens. A process that nobody waits for (of a service, say) has no such parent.
    """
    parent = os.getppid()
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    except (OSError, AttributeError):  # no Linux
        return
    if parent != os.getppid():  # it has ended in between
        signal.raise_signal(signal.SIGTERM)


_PR_SET_PDEATHSIG = 1
