"""Work on a Ray cluster: what a worker needs goes along, and what one that dies was doing is done again elsewhere."""

from __future__ import annotations

import hashlib
import importlib
import logging
import os
import pickle
import shutil
import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

import robot_finetune
from robot_finetune.config import ConfigError, share_path
from robot_finetune.data.atomic_file import atomic_file
from robot_finetune.experiments.parcel import Parcel, pack, unpack
from robot_finetune.experiments.workers import J, P, R, S, T
from robot_finetune.progress import be_quiet

AUTO = "auto"
CURRENT = Path("/tmp/ray/ray_current_cluster")
"""Where `ray start` writes its address."""
RETRIES = 5
"""How often work is done again whose worker has died."""
PATIENCE = 5.0
"""Longest wall time [s] until a cluster answers."""
DECIDES = ("cv2", "mujoco", "numpy", "torch")
"""Modules whose version may change a result."""


class RayWorkers:
    """All processors of a cluster; the protocol is in workers.py."""

    def __init__(self, address: str, processes: int) -> None:
        """address: HOST:PORT of a cluster that this computer belongs to; or "auto": found by itself, or else begun on
        this computer alone, with so many processes, until the end. Raises ConnectionError.
        """
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # nobody is told that it is used
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        try:
            if found := _found() if address == AUTO else address:
                _knock(found)
                ray.init(found, **quiet)
            else:
                ray.init("local", num_cpus=processes, include_dashboard=False, **quiet)
        except (OSError, RuntimeError, ValueError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise ConnectionError(
                f"--ray {address}: no cluster that can be used ({reason}); start one with `ray start --head` and give"
                " HOST:6379 on one of its computers, or give auto"
            ) from error

    def each(self, work: Callable[[S, T], R], settings: S, items: Sequence[T], chunk: int) -> Iterator[R]:
        task, brought = _task(), ray.put(pickle.dumps((work, pack(settings))))
        chunks = (items[first : first + chunk] for first in range(0, len(items), chunk))
        return _in_order(deque(task.remote(software(), brought, pickle.dumps(one)) for one in chunks))

    def jobs(
        self, work: Callable[[P, J], J], plan: P, jobs: Sequence[J], jobs_a_process: int | None = None
    ) -> Iterator[J]:
        """As `Workers.jobs`: results that a job lacks are written here when it is done, and nothing else of it."""
        task = _task(jobs_a_process or 0)
        brought = ray.put(pickle.dumps((partial(_job, work), pack(plan, replay=True))))
        waiting: dict[Any, J] = {}
        for job in jobs:
            found = [path.read_bytes() if path.is_file() else None for path in plan.results(job)]
            if None in found:
                waiting[task.remote(software(), brought, pickle.dumps([(pack(job), found)]))] = job
            else:
                yield job
        while waiting:
            (done,), _ = ray.wait(list(waiting), num_returns=1)
            (contents,) = _result(done)
            job = waiting.pop(done)
            for path, data in zip(plan.results(job), contents, strict=True):
                path.parent.mkdir(parents=True, exist_ok=True)
                with atomic_file(path) as stream:
                    stream.write(data)
            yield job

    def __enter__(self) -> RayWorkers:
        return self

    def __exit__(self, *_: object) -> None:
        ray.shutdown()


def _found() -> str:
    """Address of the cluster that this computer belongs to, where Ray keeps it; empty where there is none."""
    if given := os.environ.get("RAY_ADDRESS"):
        return given
    with suppress(OSError, ValueError):
        address = CURRENT.read_text().strip()
        _knock(address)
        return address
    return ""


def _knock(address: str) -> None:
    """Raises OSError where nobody listens, ValueError where the address is none."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError("not of the form HOST:PORT")
    socket.create_connection((host, int(port)), PATIENCE).close()


def _in_order(chunks: deque[Any]) -> Iterator[Any]:
    while chunks:
        yield from _result(chunks.popleft())


def _result(task: Any) -> list[Any]:
    """Raises what the work raised, ConfigError where a worker has other software, RayError's kinds as OSError."""
    try:
        other, results = ray.get(task)
    except RayTaskError as error:
        raise error.cause from None
    except RayError as error:
        raise OSError(f"Ray gave up work whose worker died {RETRIES + 1} times ({type(error).__name__})") from error
    if other:
        raise ConfigError(
            f"{other}; here: {software()}: bring the same checkout to every computer of the cluster (scripts/setup.sh,"
            " requirements-ray.txt) and start Ray there from its environment"
        )
    return list(results)


@lru_cache(maxsize=1)
def software() -> str:
    """What results depend on beside their settings: this package's sources and files of config, and some libraries."""
    code = hashlib.sha256()
    root = Path(robot_finetune.__file__).parent
    for path in [*sorted(root.rglob("*.py")), *sorted(share_path("config").rglob("*.yaml"))]:
        code.update(path.name.encode() + path.read_bytes())
    versions = ", ".join(f"{name} {importlib.import_module(name).__version__}" for name in DECIDES)
    return f"robot_finetune {robot_finetune.__version__} (sources {code.hexdigest()[:8]}), {versions}"


def _task(calls_a_process: int = 0) -> Any:
    """The remote function. It is sent as its code, so that it says what is missing where this package is."""

    def chunk(wanted: str, brought: bytes, items: bytes) -> tuple[str, list[Any]]:
        import socket

        try:
            from robot_finetune.experiments import ray_workers

            found = ray_workers.software()
        except ImportError as error:
            found = str(error)
        if found != wanted:
            return f"{socket.gethostname()}: {found}", []
        return "", ray_workers.do(brought, items)

    return ray.remote(num_cpus=1, max_retries=RETRIES, max_calls=calls_a_process)(chunk)


def do(brought: bytes, items: bytes) -> list[Any]:
    """In a worker: what was brought along, done with each of the items."""
    be_quiet()
    work, parcel = pickle.loads(brought)
    with _folder(hashlib.sha256(brought).hexdigest()) as folder:
        settings = unpack(parcel, folder)
        return [work(settings, item) for item in pickle.loads(items)]


@contextmanager
def _folder(digest: str) -> Iterator[Path]:
    """A folder for what was brought along. It has the same name each time, by which a worker knows a policy again, and
    is removed each time: Ray ends its workers without a word."""
    folder = Path(gettempdir(), f"robot_finetune-{os.getpid()}-{digest[:16]}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _job(work: Callable[[P, J], J], plan: P, item: tuple[Parcel[J], list[bytes | None]]) -> list[bytes]:
    """In a worker: do a job of which some results are there already; returns the contents of all."""
    parcel, found = item
    job = unpack(parcel, plan.work)
    paths = plan.results(job)
    for path, data in zip(paths, found, strict=True):
        if data is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    work(plan, job)
    return [path.read_bytes() for path in paths]
