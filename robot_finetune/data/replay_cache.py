"""Packed replays, unpacked once for all runs and processes of a user: memory-mapped from one folder and only read.

An entry is named by the hash of the packed file, made aside and renamed, and checked when it is opened. The folder is
CACHE_FOLDER in the environment, else that of the user's caches; what was not used for longest goes when it is full.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.data.replay_file import read_packed, unpack_data
from robot_finetune.data.replay_storage import FORMAT, CorruptReplay, ReplayError

CACHE_FOLDER = "ROBOT_FINETUNE_CACHE"
"""Environment variable: the folder to use."""
LIMIT = 2 << 30
"""Bytes of all entries together, except for those in use."""
PATIENCE = 120.0
"""Longest wall time [s] to wait for another process that unpacks."""
_ASIDE = ".aside-"


def cache_folder() -> Path:
    """Where unpacked replays are kept."""
    own, users = os.environ.get(CACHE_FOLDER), os.environ.get("XDG_CACHE_HOME")
    return Path(own or Path(users or "~/.cache") / "robot_finetune").expanduser().absolute()


def unpacked(path: Path, say: Callable[[str], object] | None = None) -> ReplayBuffer:
    """The replay in a packed file, shared with other processes and only read. Raises CorruptReplay, ReplayError.

    Where there is no room or no right to keep it, it is unpacked for this process alone, which `say` (None: standard
    error) is told in one line.
    """
    data = read_packed(path)
    folder = cache_folder() / "replays"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            return _entry(folder, data, path)
    except CorruptReplay:
        raise
    except (OSError, ReplayError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        line = f"{folder}: cannot keep an unpacked replay ({why}); set {CACHE_FOLDER} to a folder with room"
        (say or _to_standard_error)(line)
        return unpack_data(data, path)


def _entry(folder: Path, data: bytes, path: Path) -> ReplayBuffer:
    entry = folder / f"{hashlib.sha256(data).hexdigest()[:40]}-{FORMAT}"
    for leftover in folder.glob(f"{_ASIDE}*"):  # of a process that was killed: no other is here
        shutil.rmtree(leftover, ignore_errors=True)
    if entry.exists():
        try:
            buffer = ReplayBuffer.open(entry, read_only=True)
            os.utime(entry)
            return buffer
        except CorruptReplay:
            shutil.rmtree(entry)
    _make_room(folder)
    aside = folder / f"{_ASIDE}{entry.name}"
    try:
        unpack_data(data, path, aside).flush()
        aside.rename(entry)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    _make_room(folder, keep=entry)
    return ReplayBuffer.open(entry, read_only=True)


def _make_room(folder: Path, keep: Path | None = None) -> None:
    """Remove what was not used for longest and is not in use, until the rest is within the limit."""
    entries = sorted((path for path in folder.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
    total = sum(_size(entry) for entry in entries)
    for entry in entries:
        if total > LIMIT and entry != keep and not _in_use(entry):
            total -= _size(entry)
            shutil.rmtree(entry, ignore_errors=True)


def _size(entry: Path) -> int:
    return sum(path.lstat().st_blocks * 512 for path in entry.iterdir())


def _in_use(entry: Path) -> bool:
    """Whether a read-only ReplayBuffer of any process is in this folder."""
    try:
        with open(entry / "lock", "rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Of all processes that use the folder, only this one is in the block. Raises OSError after PATIENCE."""
    deadline = time.monotonic() + PATIENCE
    with open(folder / "lock", "ab") as stream:
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        yield


def _to_standard_error(line: str) -> None:
    print(f"warning: {line}", file=sys.stderr)
