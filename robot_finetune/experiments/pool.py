"""Worker processes that end with whoever started them: a killed benchmark leaves nobody who goes on writing."""

from __future__ import annotations

import multiprocessing
import multiprocessing.pool
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from robot_finetune.experiments.workers import HERE, J, P, R, S, T, Workers

RAY_HELP = (
    "Use a Ray cluster's processors: HOST:PORT, or auto (this computer's cluster, else one begun for the command)."
)


class Processes:
    """Processes of this computer. One is enough to go on learning meanwhile."""

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._pool: multiprocessing.pool.Pool | None = None

    def each(self, work: Callable[[S, T], R], settings: S, items: Sequence[T], chunk: int) -> Iterator[R]:
        self._pool = self._pool or worker_pool(self._processes)
        return self._pool.imap(partial(work, settings), items, chunksize=chunk)

    def jobs(
        self, work: Callable[[P, J], J], plan: P, jobs: Sequence[J], jobs_a_process: int | None = None
    ) -> Iterator[J]:
        with worker_pool(self._processes, jobs_a_process) as pool:
            yield from pool.imap_unordered(partial(work, plan), jobs)

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.terminate()
            self._pool.join()


def open_workers(processes: int, ray: str = "", apart: bool = False) -> Workers:
    """Those that `--processes` and `--ray` ask for, as a context manager.

    ray: "auto" or the address of a cluster; empty: none. apart: even one is a process of its own. Raises
    ConnectionError where no cluster answers."""
    if ray:
        from robot_finetune.experiments.ray_workers import RayWorkers

        return RayWorkers(ray, processes)
    return Processes(processes) if apart or processes > 1 else HERE


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
