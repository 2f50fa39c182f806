"""The order in which the episodes of a folder were made: counted, since the clock in their names may be set back."""

from __future__ import annotations

from pathlib import Path

from robot_finetune.data.atomic_file import atomic_file
from robot_finetune.data.episode_store import EpisodeStore

FILE = ".counted"
_DIGITS = 18


class EpisodeCounter:
    """Counts on from the highest number that was given in the folder, also after files were taken out of it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self.last = max(len(EpisodeStore(folder).paths()), self._stored())

    def count(self) -> None:
        """The next number has been given to an episode that is on disk. Raises OSError."""
        self.last += 1
        with atomic_file(self._path) as stream:
            stream.write(str(self.last).encode())

    def _stored(self) -> int:
        """What is in the file; 0 if it is not there or damaged: then the files count."""
        try:
            with self._path.open("rb") as stream:
                text = stream.read(_DIGITS + 1).decode("ascii", "replace")
        except OSError:
            return 0
        return int(text) if text.isdigit() and len(text) <= _DIGITS else 0
