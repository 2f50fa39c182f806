"""Worker processes that end with whoever started them: a killed benchmark leaves nobody who goes on writing."""

from __future__ import annotations

import multiprocessing
import multiprocessing.pool
import os
import threading


def worker_pool(processes: int, jobs_a_process: int | None = None) -> multiprocessing.pool.Pool:
    """A pool of fresh processes. jobs_a_process: after which one is replaced; None: never."""
    context = multiprocessing.get_context("spawn")
    return context.Pool(processes, initializer=_end_with_parent, maxtasksperchild=jobs_a_process)


def _end_with_parent() -> None:
    threading.Thread(target=_watch_parent, daemon=True).start()


def _watch_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
