"""The directory of episodes: the only thing that the process which records and the one which learns have in common."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from robot_finetune.config import ConfigError
from robot_finetune.data.episode_log import SUFFIX, CorruptEpisode, EpisodeLogError, read_episode
from robot_finetune.data.label_log import Label, Labels, is_discarded
from robot_finetune.data.layout import EPISODES
from robot_finetune.progress import with_progress
from robot_finetune.types import Episode


@dataclass(frozen=True)
class Verification:
    """What a directory holds. corrupt: (file, why) of each that cannot be read. bytes: of all its episode files.
    discarded: episodes of `episodes` that people have discarded. labels: why lines of labels.jsonl cannot be read."""

    episodes: int
    successes: int
    steps: int
    bytes: int
    corrupt: tuple[tuple[Path, str], ...]
    discarded: int = 0
    labels: tuple[str, ...] = ()


class EpisodeStore:
    """Reads a directory of episodes, which another process may be adding to; changes nothing in it.

    Episodes are as people have labelled them since (labels.jsonl in the directory).

    corrupt: (file, why) of each file that could not be read so far, each once.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.corrupt: list[tuple[Path, str]] = []
        self._polled: set[str] = set()
        self._labels = Labels(self.folder)
        self._relabelled = self._labels.poll()

    def paths(self) -> list[Path]:
        """All episode files, sorted by name; none if the directory is not there yet."""
        return sorted(path for path in self.folder.glob(f"*{SUFFIX}") if not path.name.startswith("."))

    def poll(self) -> list[Path]:
        """The files that came since the last call, sorted by name."""
        found = [path for path in self.paths() if path.name not in self._polled]
        self._polled.update(path.name for path in found)
        return found

    def read(self, path: Path) -> Episode:
        """The episode in one of the files. Raises CorruptEpisode, and lists it in `corrupt`."""
        try:
            return self._labels.apply(read_episode(path))
        except CorruptEpisode as error:
            if path not in (known for known, _ in self.corrupt):
                self.corrupt.append((path, error.why))
            raise

    def relabelled(self) -> list[Label]:
        """The labels that people have given or changed since the last call, at first all that there are; episodes are
        read by them from now on."""
        found, self._relabelled = self._relabelled + self._labels.poll(), []
        return found

    @property
    def discarded(self) -> set[str]:
        """Ids of episodes that people have discarded."""
        return self._labels.discarded

    def new(self) -> list[Episode]:
        """The episodes that came since the last call, sorted by name; unreadable files are left out (see `corrupt`)."""
        episodes = []
        for path in self.poll():
            try:
                episodes.append(self.read(path))
            except CorruptEpisode:
                continue
        return episodes

    def verify(self) -> Verification:
        """Read every file and count what is in them."""
        episodes = successes = steps = size = discarded = 0
        corrupt = []
        paths = self.paths()
        for path in with_progress(paths, len(paths), "reading"):
            size += path.lstat().st_size
            try:
                episode = self._labels.apply(read_episode(path))
            except CorruptEpisode as error:
                corrupt.append((path, error.why))
                continue
            episodes += 1
            discarded += is_discarded(episode)
            successes += episode.outcome.success
            steps += len(episode.steps)
        return Verification(episodes, successes, steps, size, tuple(corrupt), discarded, tuple(self._labels.damaged))

    def ensure_space(self, min_free_bytes: int) -> None:
        """Raises EpisodeLogError if less than this is free on the disk of the directory."""
        there = next(folder for folder in (self.folder.absolute(), *self.folder.absolute().parents) if folder.exists())
        free = shutil.disk_usage(there).free
        if free < min_free_bytes:
            raise EpisodeLogError(
                f"{self.folder}: {free / 1e6:.0f} MB are free, recording needs at least {min_free_bytes / 1e6:.0f} MB; "
                "delete files or choose another output folder"
            )


def episodes_in(folder: Path) -> EpisodeStore:
    """The episodes of a session's folder, or of a folder of episodes. Raises ConfigError if there are none."""
    for store in (EpisodeStore(folder / EPISODES), EpisodeStore(folder)):
        if store.paths():
            return store
    raise ConfigError(f"{folder}: no episodes there; give the --out folder of a session")
