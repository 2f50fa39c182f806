"""The shared memory of Fast DDS in /dev/shm: what processes that were killed have left there, and where they listened.

Each segment has a lock file beside it that its owner holds by flock for as long as it lives, and the kernel lets go of
however it dies. That is Fast DDS's own rule (`fastdds shm clean`); it holds across containers that share the folder.
"""

from __future__ import annotations

import fcntl
import math
import os
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

FOLDER = Path("/dev/shm")
YOUNG = 2.0
"""Seconds since a lock file was made within which its owner may not hold it yet."""
_PORT = "fastdds_port"
_DEAD_PORT = "robot_finetune_dead_port"
SLOW = 10.0
"""Seconds after which who has begun a port will not finish it any more."""
_FINISHED = b"\x02\0\0\0"
"""Begins a segment of Boost's once it is complete; whoever opens one that is not waits until it is."""
_LOCK = re.compile(r"(fastdds_(?:[0-9a-z]{16}|port\d{1,5}))_(el|sl)")


def orphans(folder: Path = FOLDER) -> dict[str, int]:
    """Names of the segments and ports whose owner is dead, and the bytes that each takes."""
    found = {}
    for name in _names(folder):
        with _held(folder, name) as dead:
            if dead:
                found[name] = sum(_size(file) for file in _files(folder, name))
    return found


def remove_orphans(folder: Path = FOLDER) -> int:
    """As `remove_dead`, before a process starts: ports, too, that a process was killed while it made. Every process
    that chose one would wait for ever."""
    for name in _unfinished(folder):
        for file in _files(folder, name):
            with suppress(OSError):
                file.unlink()
    return remove_dead(folder)


def remove_dead(folder: Path = FOLDER) -> int:
    """Remove segments and ports whose owner is dead; returns the bytes that are free again. See `dead_ports`.

    What is in use, belongs to another user, or was not made by Fast DDS stays. Raises nothing.
    """
    freed, living = 0, []
    for name in _names(folder):
        with _held(folder, name) as dead:
            if not dead:
                living.append(_made(folder / f"{name}_el"))
                continue
            if name.startswith(_PORT):
                with suppress(OSError):
                    (folder / f"{_DEAD_PORT}{name.removeprefix(_PORT)}").touch()
            for file in _files(folder, name):
                size = _size(file)
                with suppress(OSError):
                    file.unlink()
                    freed += size
    _forget(folder, min(living, default=math.inf))
    return freed


def dead_ports(folder: Path = FOLDER) -> set[int]:
    """Ports of processes that were killed, to which others that are still there may go on writing."""
    return {int(path.name.removeprefix(_DEAD_PORT)) for path in folder.glob(f"{_DEAD_PORT}*")}


def in_use(port: int, folder: Path = FOLDER) -> bool:
    """Whether a process listens on a port, or did until now."""
    return (folder / f"{_PORT}{port}_el").exists()


def _forget(folder: Path, oldest: float) -> None:
    """The dead ports that nobody can still write to; oldest: when the first of those that live began [s]."""
    for path in folder.glob(f"{_DEAD_PORT}*"):
        if _made(path) < oldest:
            with suppress(OSError):
                path.unlink()


def _made(file: Path) -> float:
    """When a file was made [s]; long ago if it is gone."""
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def _unfinished(folder: Path) -> Iterator[str]:
    """Ports that a process was killed while it made."""
    for path in folder.glob(f"{_PORT}*"):
        if path.name.removeprefix(_PORT).isdigit() and not any(lock.exists() for lock in _locks(folder, path.name)):
            with suppress(OSError), path.open("rb") as file:
                begun = os.fstat(file.fileno()).st_mtime
                if file.read(len(_FINISHED)) != _FINISHED and time.time() - begun > SLOW:
                    yield path.name


def _names(folder: Path) -> list[str]:
    try:
        matches = [_LOCK.fullmatch(name) for name in os.listdir(folder)]
    except OSError:  # a system without it
        return []
    return sorted({match[1] for match in matches if match})


def _files(folder: Path, name: str) -> list[Path]:
    """All files of a segment or port, the lock files last: while they are there nobody takes the name."""
    return [folder / f"sem.{name}_mutex", folder / name, *_locks(folder, name)]


def _locks(folder: Path, name: str) -> tuple[Path, Path]:
    return folder / f"{name}_sl", folder / f"{name}_el"


@contextmanager
def _held(folder: Path, name: str) -> Iterator[bool]:
    """Whether nobody held the locks of a segment; while the block runs this process does."""
    with ExitStack() as stack:
        try:
            for lock in _locks(folder, name):
                if lock.exists():
                    stream = stack.enter_context(lock.open("rb"))
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if abs(time.time() - os.fstat(stream.fileno()).st_mtime) < YOUNG:
                        raise BlockingIOError
        except OSError:
            yield False
            return
        yield True


def _size(file: Path) -> int:
    """Bytes of memory that a file really takes."""
    try:
        return file.stat().st_blocks * 512
    except OSError:
        return 0
