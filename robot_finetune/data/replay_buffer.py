"""Transitions in memory-mapped arrays: one row a step, whole episodes, a ring that forgets the oldest episode first.

One process adds, any number of processes sample from the same folder (each opens its own ReplayBuffer). A sample is
taken under a shared file lock and an episode is added under an exclusive one, so no batch holds half of an episode.
Rows are written before the counter that makes them visible: a process killed at any moment leaves a sound buffer.
"""

from __future__ import annotations

import dataclasses
import fcntl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from robot_finetune.data.atomic_file import atomic_file
from robot_finetune.data.known_episodes import KEYS, KnownEpisodes
from robot_finetune.data.replay_storage import (
    CURE,
    FORMAT,
    ROW,
    SETTINGS,
    CorruptReplay,
    ReplayError,
    ReplaySettings,
    check_rows,
    checksum,
    episode_key,
    existing_array,
    new_array,
    read_settings,
)
from robot_finetune.data.transitions import Batch, batch_of, rows_of
from robot_finetune.files import open_file, to_json
from robot_finetune.types import Episode

__all__ = ["CorruptReplay", "ReplayBuffer", "ReplayError"]

_TAIL, _HEAD = 0, 1  # counters: number of the oldest visible row, and of the row that is written next


class ReplayBuffer:
    """Episodes as rows of memory-mapped arrays. folder: where they are kept and found again (None: files without names,
    which are gone with the process however it ends).

    capacity: rows (steps) it holds at most. image_size: edge of the square images [px]. read_only: of a folder that
    nobody writes to; it is sampled without a lock.
    Raises ReplayError if the folder was made with others, CorruptReplay if what it holds is damaged.
    """

    def __init__(self, folder: Path | None, capacity: int, image_size: int = 64, read_only: bool = False) -> None:
        if capacity < 1 or image_size < 1:
            raise ReplayError(f"replay capacity {capacity}, image size {image_size}: both must be at least 1")
        self.capacity, self.image_size, self.read_only = capacity, image_size, read_only
        self.revision = 0
        """Changes that were made by this object; what is drawn from it is of the same data while this is the same."""
        self._mutex = threading.Lock()
        if folder is not None:
            self._begin(Path(folder))
            return
        with tempfile.TemporaryDirectory(prefix="replay-") as temporary:
            self._begin(Path(temporary))

    def _begin(self, folder: Path) -> None:
        """Open everything in a folder; from then on its files need no names."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._lock_file = open(folder / "lock", "a+b")  # noqa: SIM115 (held as long as the buffer)
        if self.read_only:
            fcntl.flock(self._lock_file, fcntl.LOCK_SH)  # in use: see `replay_cache`
        with self._locked(fcntl.LOCK_EX):
            if (folder / SETTINGS).is_file():
                self._open()
            else:
                self._create()

    @classmethod
    def open(cls, folder: Path, read_only: bool = False) -> ReplayBuffer:
        """The buffer that is in a folder, with the capacity it was made with. Raises CorruptReplay."""
        settings = read_settings(Path(folder))
        return cls(Path(folder), settings.capacity, settings.image_size, read_only)

    def add(self, episode: Episode) -> bool:
        """Append an episode's steps, as commanded; all or none of them is seen by `sample`.

        False if its id was added before (also if the ring has dropped it since) or it has no steps. Raises ReplayError.
        """
        if not episode.steps:
            return False
        return self.add_rows(*rows_of(episode, self.image_size))

    def add_rows(self, rows: np.ndarray, images: np.ndarray) -> bool:
        """Append one episode as rows of dtype ROW and its images; what `add` and `replay_file` use."""
        self._require_writable()
        count = len(rows)
        key = rows["key"][0].tobytes()
        if count > self.capacity:
            raise ReplayError(
                f"an episode of {count} steps does not fit: set the replay capacity above {self.capacity}"
            )
        rows["crc"] = [checksum(row, image) for row, image in zip(rows, images, strict=True)]
        with self._locked(fcntl.LOCK_EX):
            self._known.refresh()
            if key in self._known:
                return False
            head, tail = int(self._counters[_HEAD]), int(self._counters[_TAIL])
            while head + count - tail > self.capacity:
                tail += int(self._rows["remaining"][tail % self.capacity]) + 1
            self._counters[_TAIL] = tail
            where = np.arange(head, head + count) % self.capacity
            self._images[where] = images
            self._rows[where] = rows
            self._counters[_HEAD] = head + count
            self._known.add(key)
            self.revision += 1
        return True

    def sample(
        self,
        rng: np.random.Generator,
        n: int,
        n_step: int = 1,
        discount: float = 1.0,
        terminal_fraction: float = 0.0,
        by_hand: bool = False,
    ) -> Batch:
        """n transitions with returns over up to `n_step` steps, all equally likely; the first `terminal_fraction` of
        them are replaced by the last of their episode. by_hand: only those in which a person acted. Raises ReplayError
        if there are none."""
        with self._locked(fcntl.LOCK_SH):
            head, tail = int(self._counters[_HEAD]), int(self._counters[_TAIL])
            chosen = self._by_hand() if by_hand else None
            count = head - tail if chosen is None else len(chosen)
            if not count:
                raise ReplayError(f"{self.folder}: no transitions to sample from; add an episode first")
            number = rng.integers(count, size=n)
            number = tail + (number if chosen is None else chosen[number])
            terminal = number[: round(n * terminal_fraction)]
            terminal += self._rows["remaining"][terminal % self.capacity]
            return self._transitions(number, n_step, discount)

    def every(self, n_step: int = 1, discount: float = 1.0) -> Batch:
        """All transitions, each once, oldest first; otherwise as `sample`."""
        with self._locked(fcntl.LOCK_SH):
            return self._transitions(np.arange(self._counters[_TAIL], self._counters[_HEAD]), n_step, discount)

    def _transitions(self, number: np.ndarray, n_step: int, discount: float) -> Batch:
        """Those that begin at rows of these numbers."""
        here = number % self.capacity
        rows = self._rows[here]
        following = (number + np.minimum(rows["remaining"], n_step)) % self.capacity
        return batch_of(rows, self._images[here], self._rows[following], self._images[following], n_step, discount)

    def relabel(self, episode_id: str, success: bool) -> bool:
        """Change the outcome of an episode that can be sampled; False if there is none of this id."""
        self._require_writable()
        key = np.frombuffer(episode_key(episode_id), np.uint8)
        with self._locked(fcntl.LOCK_EX):
            where = self._visible()
            found = where[(self._rows["key"][where] == key).all(axis=1)]
            for index in found:
                row = self._rows[index].copy()
                row["success"] = success
                row["crc"] = checksum(row, self._images[index])
                self._rows[index] = row
            self.revision += 1
        return len(found) > 0

    def keep_first(self, transitions: int) -> None:
        """Forget what was added after the first `transitions` rows: back to a state saved earlier. Raises ReplayError
        if they are not all there any more, or end within an episode."""
        self._require_writable()
        with self._locked(fcntl.LOCK_EX):
            head, tail = int(self._counters[_HEAD]), int(self._counters[_TAIL])
            ends_episode = transitions == 0 or self._rows["remaining"][(transitions - 1) % self.capacity] == 0
            if tail or not 0 <= transitions <= head or not ends_episode:
                raise ReplayError(f"{self.folder}: does not hold its first {transitions} transitions; {CURE}")
            kept = np.unique(self._rows["key"][:transitions], axis=0)
            self._counters[_HEAD] = transitions
            self.revision += 1
            self._known.keep(kept)

    def read_all(self) -> tuple[np.ndarray, np.ndarray]:
        """Copies of all rows (dtype ROW) and images, oldest first."""
        with self._locked(fcntl.LOCK_SH):
            where = self._visible()
            return np.array(self._rows[where]), np.array(self._images[where])

    def __len__(self) -> int:
        """Transitions that can be sampled."""
        with self._locked(fcntl.LOCK_SH):
            return int(self._counters[_HEAD] - self._counters[_TAIL])

    def __contains__(self, episode_id: str) -> bool:
        """Whether an episode of this id was ever added."""
        with self._locked(fcntl.LOCK_SH):
            self._known.refresh()
            return episode_key(episode_id) in self._known

    @property
    def interventions(self) -> int:
        """Transitions that can be sampled in which a person acted."""
        with self._locked(fcntl.LOCK_SH):
            return len(self._by_hand())

    @property
    def episodes(self) -> int:
        """Episodes that can be sampled from."""
        return len(self._outcomes())

    @property
    def successes(self) -> int:
        """Successful episodes among them."""
        return int(self._outcomes().sum())

    def flush(self) -> None:
        """Write everything to disk now (it survives the process without this, but not a power cut)."""
        with self._locked(fcntl.LOCK_EX):
            for array in (self._images, self._rows, self._counters):
                array.flush()

    def _require_writable(self) -> None:
        if self.read_only:
            raise ReplayError(f"{self.folder}: is shared and only read; copy its episodes to a replay of your own")

    def _outcomes(self) -> np.ndarray:
        with self._locked(fcntl.LOCK_SH):
            where = self._visible()
            last = where[self._rows["remaining"][where] == 0]
            return np.array(self._rows["success"][last])

    def _by_hand(self) -> np.ndarray:
        """Which of the visible rows are a person's, counted from the oldest."""
        return np.flatnonzero(self._rows["intervention"][self._visible()])

    def _visible(self) -> np.ndarray:
        return np.arange(self._counters[_TAIL], self._counters[_HEAD]) % self.capacity

    def _create(self) -> None:
        shape = (self.capacity, self.image_size, self.image_size, 3)
        self._images = new_array(self.folder / "images.npy", np.dtype(np.uint8), shape)
        self._rows = new_array(self.folder / "rows.npy", ROW, (self.capacity,))
        self._counters = new_array(self.folder / "counters.npy", np.dtype(np.int64), (2,))
        self._known = KnownEpisodes(self.folder, "w+b")
        settings = ReplaySettings(FORMAT, self.capacity, self.image_size)
        with atomic_file(self.folder / SETTINGS) as stream:
            stream.write(to_json(dataclasses.asdict(settings)).encode())

    def _open(self) -> None:
        settings = read_settings(self.folder)
        asked = {"capacity": self.capacity, "image_size": self.image_size}
        found = {name: getattr(settings, name) for name in asked}
        if asked != found:
            raise ReplayError(f"{self.folder}: was made with {found}, asked for {asked}; use those or another folder")
        shape = (self.capacity, self.image_size, self.image_size, 3)
        existing = partial(existing_array, read_only=self.read_only)
        self._images = existing(self.folder / "images.npy", np.dtype(np.uint8), shape)
        self._rows = existing(self.folder / "rows.npy", ROW, (self.capacity,))
        self._counters = existing(self.folder / "counters.npy", np.dtype(np.int64), (2,))
        tail, head = (int(counter) for counter in self._counters)
        if not 0 <= tail <= head <= tail + self.capacity:
            raise CorruptReplay(self.folder / "counters.npy", f"impossible counters {tail}, {head}", CURE)
        for index in self._visible():
            if self._rows["crc"][index] != checksum(self._rows[index], self._images[index]):
                raise CorruptReplay(
                    self.folder / "images.npy", f"row {index} is damaged (power cut or disk error)", CURE
                )
        try:
            check_rows(self._rows[self._visible()])
            open_file(self.folder / KEYS).close()
            self._known = KnownEpisodes(self.folder, "rb" if self.read_only else "r+b")
        except OSError as error:  # without them the ring would take in again what it has dropped
            raise CorruptReplay(self.folder / KEYS, f"cannot be read ({error.strerror})", CURE) from error
        except ValueError as error:
            raise CorruptReplay(self.folder / "rows.npy", f"holds {error}", CURE) from error
        self._known.refresh()
        for key in () if self.read_only else np.unique(self._rows["key"][self._visible()], axis=0):
            if key.tobytes() not in self._known:  # killed between making it visible and remembering its id
                self._known.add(key.tobytes())

    @contextmanager
    def _locked(self, kind: int) -> Iterator[None]:
        with self._mutex:
            if self.read_only:
                yield
                return
            fcntl.flock(self._lock_file, kind)
            try:
                yield
            finally:
                fcntl.flock(self._lock_file, fcntl.LOCK_UN)
