"""Episodes on their way between computers, by way of a folder elsewhere: one for each robot.

Each file is brought at least once and has the name of its episode there too, so that bringing it again changes
nothing; what a killed process has begun is begun again. What people say of episodes goes along.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from robot_finetune.data.atomic_file import atomic_file
from robot_finetune.data.episode_log import FILE_LIMIT, SUFFIX
from robot_finetune.data.episode_store import EpisodeStore
from robot_finetune.data.label_log import LABELS_FILE
from robot_finetune.data.layout import SOURCES, TRAINER_STATE
from robot_finetune.data.remote import RemoteError, RemoteFolder
from robot_finetune.files import JSON_LIMIT, digest, read_file

Closing = Callable[[], bool]
"""Whether to end after the file that is just brought."""


class EpisodeSender:
    """Brings the episodes of a folder to a folder elsewhere."""

    def __init__(self, folder: Path, url: str) -> None:
        """Raises ConfigError."""
        self._store, self._remote = EpisodeStore(folder), RemoteFolder(url)
        self._there: set[str] | None = None  # names, once they are known
        self._labels = 0  # bytes of them that are there

    def carry(self, closing: Closing) -> None:
        """Bring what is not there yet, the oldest first. Raises OSError, with how many episodes wait."""
        paths = self._store.paths()
        try:
            if self._there is None:
                sizes = self._remote.sizes(SUFFIX)
                self._there = {path.name for path in paths if sizes.get(path.name) == path.stat().st_size}
            for path in paths:
                if path.name not in self._there and not closing():
                    self._remote.write(path.name, read_file(path, FILE_LIMIT))
                    self._there.add(path.name)
            labels = self._store.folder / LABELS_FILE
            size = labels.stat().st_size if labels.is_file() else 0
            if size != self._labels and not closing():
                self._remote.write(LABELS_FILE, read_file(labels, JSON_LIMIT))
                self._labels = size
        except OSError as error:
            waiting = sum(path.name not in (self._there or ()) for path in paths)
            raise OSError(f"{waiting} episodes wait for their way to the trainer: {error}") from error


class EpisodeFetcher:
    """Brings the episodes of a folder elsewhere into a folder here, which is its own."""

    def __init__(self, url: str, folder: Path) -> None:
        """Raises ConfigError."""
        self._remote, self._folder = RemoteFolder(url), folder
        folder.mkdir(parents=True, exist_ok=True)

    def carry(self, closing: Closing) -> None:
        """Bring what is not here yet; labels first, by which episodes are read. Raises OSError."""
        here = {path.name: path.stat().st_size for path in self._folder.iterdir()}
        labels = {name: size for name, size in self._remote.sizes(LABELS_FILE).items() if name == LABELS_FILE}
        odd = []
        for name, size in (labels | self._remote.sizes(SUFFIX)).items():
            if here.get(name) == size or closing():
                continue
            data = self._remote.read(name, min(size, FILE_LIMIT) + 1)
            if len(data) != size:
                odd.append(name)
                continue
            with atomic_file(self._folder / name) as stream:
                stream.write(data)
        if odd:
            raise RemoteError(f"{self._remote.url}/{odd[0]}: not of the size that is listed, or too large; remove it")


def fetched_episodes(out: Path, url: str) -> Path:
    """Where a trainer keeps the episodes that it fetches from a folder elsewhere."""
    return out / TRAINER_STATE / SOURCES / digest(url)
