"""A flat folder elsewhere, by its URL: of any kind that fsspec knows (s3://bucket/folder, file:///mnt/share, ...).

Names of files are the last parts of their paths: what is listed elsewhere cannot lead out of a folder here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from robot_finetune.config import ConfigError
from robot_finetune.data.atomic_file import TEMPORARY_SUFFIX
from robot_finetune.files import one_line
from robot_finetune.needs import pip_cure

REQUIREMENTS = "requirements-remote.txt"
OPTIONS: dict[str, dict[str, Any]] = {
    "file": {"auto_mkdir": True},
    "s3": {"config_kwargs": {"connect_timeout": 5, "read_timeout": 20, "retries": {"max_attempts": 2}}},
}
"""How each kind is opened: a connection that is lost is known within seconds [s]."""
WHOLE = ("s3", "gs", "az", "abfs", "memory")
"""Kinds whose files are there whole or not at all; in others they are written aside and renamed."""


class RemoteError(OSError):
    """A folder elsewhere that does not answer, or not as it should; one line that names it."""


SOURCES_HELP = "output folders of other robots, or URLs to which they upload, to learn from too; with ',' between"


def is_url(place: str) -> bool:
    """Whether a place is given by its URL, not by a path."""
    return "://" in place


class RemoteFolder:
    """Files directly in the folder of a URL. Every method may take seconds, and raises RemoteError."""

    def __init__(self, url: str) -> None:
        """Raises ConfigError for a URL of no known kind, or one whose package is not installed."""
        from fsspec.core import url_to_fs

        self.url = url.rstrip("/")
        self._kind = url.partition("://")[0]
        try:
            self._files, self._root = url_to_fs(self.url, skip_instance_cache=True, **OPTIONS.get(self._kind, {}))
        except ImportError as error:
            raise ConfigError(f"{url}: {one_line(error)}: {pip_cure(REQUIREMENTS)}") from error
        except ValueError as error:
            raise ConfigError(f"{url}: {one_line(error)}; give a URL such as s3://bucket/folder") from error

    def sizes(self, suffix: str) -> dict[str, int]:
        """The files whose names end so, with their bytes; none where there is no folder yet."""
        with self._told():
            self._files.invalidate_cache()
            try:
                found = self._files.ls(self._root, detail=True)
            except FileNotFoundError:
                return {}
        named = ((str(item["name"]).rpartition("/")[2], item) for item in found if item["type"] == "file")
        return {name: int(item["size"]) for name, item in named if name.endswith(suffix) and not name.startswith(".")}

    def read(self, name: str, limit: int, offset: int = 0) -> bytes:
        """At most `limit` bytes of a file, from `offset` on."""
        with self._told():
            return bytes(self._files.cat_file(self._path(name), start=offset, end=offset + limit))

    def size(self, name: str) -> int:
        """Bytes of a file; -1 where there is none."""
        with self._told():
            self._files.invalidate_cache()
            try:
                return int(self._files.info(self._path(name))["size"])
            except FileNotFoundError:
                return -1

    def write(self, name: str, data: bytes) -> None:
        """Write a file, or replace it; whoever reads it gets all of it or what was there before."""
        with self._told():
            if self._kind in WHOLE:
                self._files.pipe_file(self._path(name), data)
                return
            aside = self._path(f".{name}{TEMPORARY_SUFFIX}")
            self._files.pipe_file(aside, data)
            self._files.mv(aside, self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # each kind of storage raises its own
            raise RemoteError(
                f"{self.url}: {one_line(error, 300)}; check the address, the right to it and the network"
            ) from error
