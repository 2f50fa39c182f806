"""One owner a folder: a session or a trainer holds its folder, and a second one is told who does.

The kernel holds the lock and lets go of it when the process ends, however it ends: nothing stale is left on this
computer. Another computer's lock may be unknown here (network file systems); what it has written into the file stands.
"""

from __future__ import annotations

import dataclasses
import fcntl
import io
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from robot_finetune.config import ConfigError, from_mapping, load_json, setting
from robot_finetune.data.disk import no_room
from robot_finetune.files import open_file, to_json

SUFFIX = ".lock"


class FolderBusy(ConfigError):
    """A folder that another process owns; one line that names it."""


@dataclass(frozen=True)
class Owner:
    """Who holds a folder."""

    name: str = setting(description="command or node")
    host: str = setting(description="computer")
    process: int = setting(description="id of the process", low=1, high=2**31)

    def __str__(self) -> str:
        return f"{self.name} (process {self.process} on {self.host})"


@contextmanager
def folder_lock(folder: Path, kind: str, name: str) -> Iterator[None]:
    """Own `folder` as its only `kind` ("session", "trainer") while the block runs. name: what messages call the owner.

    Raises FolderBusy, which names the owner, and ConfigError where the folder cannot be locked or its disk is full.
    """
    path, mine = Path(folder) / f"{kind}{SUFFIX}", Owner(name, platform.node() or "unknown", os.getpid())
    if full := no_room(folder):
        raise ConfigError(full)
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK, 0o666)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror}); choose another folder") from error
    with os.fdopen(handle, "r+b", buffering=0) as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = _read_owner(path) or "another process"
            raise FolderBusy(f"{folder} is in use by {other}: end that first, or give another folder") from None
        except OSError as error:
            raise ConfigError(
                f"{path}: cannot be locked ({error.strerror}); choose a folder on a local disk"
            ) from error
        owner = _read_owner(path)
        if owner is not None and owner.host != mine.host:
            raise FolderBusy(
                f"{folder} is in use by {owner}, another computer: end that first; if it is gone, remove {path}"
            )
        _write(stream, to_json(dataclasses.asdict(mine)).encode())
        try:
            yield
        finally:
            _write(stream, b"")


def owner_of(folder: Path, kind: str) -> Owner | None:
    """Who owns `folder` as its `kind` now; None if nobody does. Raises OSError where the lock cannot be looked at."""
    path = Path(folder) / f"{kind}{SUFFIX}"
    owner = _read_owner(path)  # an empty file is nobody's: whoever is about to own it meets no other hand on the lock
    if owner is None or owner.host != (platform.node() or "unknown"):
        return owner
    with open_file(path) as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return owner
    return None  # it was killed


def _read_owner(path: Path) -> Owner | None:
    """Who wrote himself into a lock; None where nobody did, or it is damaged."""
    try:
        return from_mapping(Owner, load_json(path))
    except ConfigError:
        return None


def _write(stream: BinaryIO | io.FileIO, data: bytes) -> None:
    stream.seek(0)
    stream.truncate()
    stream.write(data)
