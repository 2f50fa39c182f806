"""How far a long piece of work is, on standard error: a bar on a terminal, elsewhere a line every few seconds."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

SAY_EVERY = 10.0
"""Seconds between two lines, where there is no terminal."""
LINE = "{desc}: {n_fmt} of {total_fmt}, {rate_noinv_fmt}, {remaining} left"
BAR = "{desc} {bar} {n_fmt}/{total_fmt}, {rate_noinv_fmt}, {remaining} left"

_quiet = False


def be_quiet(quiet: bool = True) -> None:
    """Whether `with_progress` says nothing in this process."""
    global _quiet
    _quiet = quiet


def with_progress(items: Iterable[T], total: int, what: str, unit: str = "grasps") -> Iterator[T]:
    """The items, while it is shown how many of `total` there were, how fast they come and how long it will take.

    A process that another one has started to share its work says nothing.
    """
    if _quiet or multiprocessing.parent_process() is not None:
        yield from items
        return
    from tqdm import tqdm

    if sys.stderr.isatty():
        yield from tqdm(items, what, total, leave=False, dynamic_ncols=True, unit=f" {unit}", bar_format=BAR)
        return
    start = said = 0.0
    for number, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if number == 1:  # until then processes and packages were started, which says nothing of the rest
            start = said = now
        elif now - said >= SAY_EVERY:
            said = now
            line = tqdm.format_meter(
                number, total, now - start, prefix=what, bar_format=LINE, unit=f" {unit}", initial=1
            )
            print(line, file=sys.stderr, flush=True)
