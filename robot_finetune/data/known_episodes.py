"""Which episodes a replay buffer was ever given: digests of their ids, in a file beside its rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from robot_finetune.data.replay_storage import KEY_SIZE

KEYS = "episodes.keys"


class KnownEpisodes:
    """The file KEYS in a replay's folder. The replay's lock guards it: other processes add to it, too.

    mode: "w+b" begins it anew, "r+b" goes on with it, "rb" only reads. Raises OSError."""

    def __init__(self, folder: Path, mode: str) -> None:
        self._file = open(folder / KEYS, mode, buffering=0)  # noqa: SIM115 (held as long as the replay)
        self._keys: set[bytes] = set()
        self._read = 0

    def refresh(self) -> None:
        """Read what others have added."""
        self._file.seek(self._read)
        data = self._file.read()
        whole = len(data) - len(data) % KEY_SIZE
        self._keys.update(data[start : start + KEY_SIZE] for start in range(0, whole, KEY_SIZE))
        self._read += whole

    def __contains__(self, key: bytes) -> bool:
        """Whether an episode with this digest is known, as of the last `refresh`."""
        return key in self._keys

    def add(self, key: bytes) -> None:
        """Remember an episode's digest; `refresh` first."""
        self._file.seek(self._read)  # over what an interrupted write left
        self._file.write(key)
        self._keys.add(key)
        self._read += KEY_SIZE

    def keep(self, keys: np.ndarray) -> None:
        """Forget all but these digests, uint8 (n, KEY_SIZE)."""
        self._file.truncate(0)
        self._file.seek(0)
        self._file.write(keys.tobytes())
        self._keys, self._read = {key.tobytes() for key in keys}, len(keys) * KEY_SIZE
