"""Benchmarks of many jobs in parallel, each with a result of its own, that go on where they were stopped."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, Protocol, TypeVar

import click

from robot_finetune.config import ConfigError
from robot_finetune.data.atomic_file import atomic_file
from robot_finetune.experiments.pool import RAY_HELP
from robot_finetune.experiments.workers import P, Workers
from robot_finetune.files import to_json


class Job(Protocol):
    """What a line of progress tells of a job."""

    @property
    def kind(self) -> str: ...
    @property
    def variation(self) -> str: ...
    @property
    def seed(self) -> int: ...


@dataclass(frozen=True)
class KindJob:
    """A job of a kind that has a name of its own."""

    kind: str
    variation: str
    seed: int = 0

    @property
    def name(self) -> str:
        """Of its result."""
        return f"{self.kind.replace(' ', '-').replace('%', 'percent')}-{Path(self.variation).stem}-{self.seed}"


@dataclass(frozen=True)
class KindPlan:
    """What many such jobs have in common; each leaves one file."""

    policy: str
    work: Path

    def path(self, job: KindJob) -> Path:
        """File of its result."""
        return self.work / f"{job.name}.json"

    def results(self, job: KindJob) -> list[Path]:
        """What a job leaves."""
        return [self.path(job)]


J = TypeVar("J", bound=Job)
F = TypeVar("F", bound=Callable[..., Any])


def resumable(name: str, parallel: bool = True) -> Callable[[F], F]:
    """Options of a benchmark that goes on where it was stopped: if it is parallel processes and
    ray, then work, out, as_json."""
    processes = click.option("--processes", type=click.IntRange(1, 256), default=2, help="Parallel cells.")
    ray = click.option("--ray", default="", show_default=False, metavar="auto|ADDRESS", help=RAY_HELP)
    options = (
        *((processes, ray) if parallel else ()),
        click.option("--work", type=Path, default=Path("runs", name), help="Folder of a run that can go on."),
        click.option("--out", type=Path, default=Path("benchmarks/results", name), help="Of the results."),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line."),
    )
    return lambda function: reduce(lambda made, option: option(made), reversed(options), function)


def quick_paths(*paths: Path) -> tuple[Path, ...]:
    """The same for a quick form, whose results are others."""
    return tuple(path.with_name(f"{path.name}_quick") for path in paths)


def publish(result: Mapping[str, Any], text: str, out: Path, as_json: bool) -> None:
    """Write `out`.json and, with its text, `out`.md, and print that."""
    write_text(out.with_suffix(".json"), to_json(result, indent=1))
    write_text(out.with_suffix(".md"), text)
    print(text)
    if as_json:
        print(to_json(result))


def claim(work: Path, made_with: Mapping[str, Any]) -> None:
    """Begin a folder of results, or go on with one. Raises ConfigError if it holds results of something else."""
    text, path = to_json(made_with, indent=1), work / "plan.json"
    if path.is_file() and path.read_text() != text:
        raise ConfigError(f"{work}: holds results of another policy or other settings; remove it or give --work")
    write_text(path, text)


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """For what several jobs need: the first one makes it, with this lock file, and the others wait and find it made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def write_text(path: Path, text: str) -> None:
    """Write a result, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as stream:
        stream.write(text.encode())


def work_off(
    work: Callable[[P, J], J], plan: P, jobs: Sequence[J], workers: Workers, jobs_a_process: int | None = None
) -> None:
    """Do all jobs of a plan, and say how far it is. jobs_a_process: as in `Workers.jobs`."""
    start = time.monotonic()
    for number, job in enumerate(workers.jobs(work, plan, jobs, jobs_a_process), 1):
        left = (time.monotonic() - start) / number * (len(jobs) - number) / 60
        line = f"{number} of {len(jobs)}: {job.kind} {job.variation}, seed {job.seed}; about {left:.0f} min left"
        print(line, flush=True)
