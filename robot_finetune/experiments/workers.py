"""Who does the work of an experiment: this process, other processes of this computer (pool.py), or a Ray cluster
(ray_workers.py).

Results are the same and in the same order whoever does it: work depends on its settings and its item alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

S = TypeVar("S")
T = TypeVar("T")
R = TypeVar("R")
J = TypeVar("J")


class Plan(Protocol):
    """What many jobs have in common. Each leaves its results as files in the folder `work`."""

    @property
    def work(self) -> Path: ...

    def results(self, job: Any) -> list[Path]:
        """The files of a job; it is done when they are there."""


P = TypeVar("P", bound=Plan)


class Workers(Protocol):
    """Context manager; at its end nothing goes on. Settings, plans and jobs are dataclasses whose files go along to
    whoever cannot open them: see `parcel.pack`."""

    def each(self, work: Callable[[S, T], R], settings: S, items: Sequence[T], chunk: int) -> Iterator[R]:
        """`work(settings, item)` of each item, in their order. Several workers begin at once.

        chunk: neighbours that one worker does in a row."""

    def jobs(
        self, work: Callable[[P, J], J], plan: P, jobs: Sequence[J], jobs_a_process: int | None = None
    ) -> Iterator[J]:
        """`work(plan, job)` of each job, as they are done. jobs_a_process: after which a process is replaced; None:
        never."""

    def __enter__(self) -> Workers: ...

    def __exit__(self, *_: object) -> None: ...


class Here:
    """This process, when a result is asked for."""

    def each(self, work: Callable[[S, T], R], settings: S, items: Sequence[T], chunk: int) -> Iterator[R]:
        return map(partial(work, settings), items)

    def jobs(
        self, work: Callable[[P, J], J], plan: P, jobs: Sequence[J], jobs_a_process: int | None = None
    ) -> Iterator[J]:
        return map(partial(work, plan), jobs)

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *_: object) -> None:
        pass


HERE = Here()
