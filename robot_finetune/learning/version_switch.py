"""Which version of the Q-network acts: takes over announced versions between episodes, and goes back on request."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from robot_finetune.learning.checkpoint import Checkpoint, CheckpointError, load_checkpoint
from robot_finetune.learning.q_policy import QPolicy, probe
from robot_finetune.robot.interfaces import Decision
from robot_finetune.types import Observation

HISTORY = 10
"""Versions that can be gone back through."""

_Placed = tuple[Checkpoint, Path | None]
"""A version, and the folder in which its own lies beside those of its trainer's other versions."""


class SwitchingPolicy:
    """Implements `Policy` by a `QPolicy` whose version changes only in `begin_episode`.

    `offer` is slow (it reads, verifies and probes a checkpoint) and belongs to a thread of its own; `rollback` may be
    called from any thread. accept_updates: whether `begin_episode` takes the newest offered version; a rollback is
    always taken.
    """

    def __init__(self, policy: QPolicy, accept_updates: bool = True) -> None:
        self.accept_updates = accept_updates
        self.decision_ms = 0.0
        self._policy = policy
        self._lock = threading.Lock()
        self._history: list[_Placed] = [(policy.checkpoint, None)]
        self._offered: _Placed | None = None
        self._rolled_back: set[tuple[Path | None, int]] = set()

    @property
    def version(self) -> int:
        """The version that acts."""
        return self._policy.version

    @property
    def swap_ms(self) -> float:
        """Wall time that the last change of version took [ms]."""
        return self._policy.swap_ms

    def offer(self, folder: str | Path, version: int, sha256: str = "") -> bool:
        """Load, verify and probe an announced version. Returns False if it is not newer than what there is.

        Versions are newer or older only among those of one trainer, whose folders lie side by side: one from elsewhere
        does not stand in the way of the next. Raises CheckpointError if it must not be used; what acts is untouched.
        """
        place = Path(folder).parent
        with self._lock:
            newest, of_newest = self._offered or self._history[-1]
            if (place, version) in self._rolled_back:
                raise CheckpointError(f"version {version} was rolled back and is not taken again; train on")
        if version <= newest.version and of_newest in (None, place):
            return False
        checkpoint = self._load(folder, version, sha256)
        with self._lock:
            self._offered = checkpoint, place
        return True

    def _load(self, folder: str | Path, version: int, sha256: str) -> Checkpoint:
        """The sound checkpoint in a folder, if the policy can act by it. Raises CheckpointError."""
        try:
            checkpoint = load_checkpoint(folder, sha256)
            there, acting = checkpoint.network.config, self._policy.checkpoint.network.config
            if checkpoint.version != version:
                raise CheckpointError(
                    f"{folder}: holds version {checkpoint.version}, {version} was announced; use another version"
                )
            for key in ("image_size", "max_steps"):
                if getattr(there, key) != getattr(acting, key):
                    raise CheckpointError(
                        f"{folder}: its network has {key} {getattr(there, key)}, the policy runs with "
                        f"{getattr(acting, key)}; restart the policy with it, or use another version"
                    )
            probe(checkpoint, self._policy.profile)
        except CheckpointError:
            raise
        except Exception as error:  # a card or weights that are not what they should be make nearly anything fail
            reason = " ".join(str(error).split())[:200]
            raise CheckpointError(
                f"{folder}: cannot be used ({type(error).__name__}: {reason}); use another version"
            ) from error
        return checkpoint

    def rollback(self) -> int:
        """Go back to the version before the present one at the next episode, and never take the present one again.

        What was offered and does not act yet is dropped; versions that are offered later are taken. Returns the
        version gone back to. Raises CheckpointError if there is none.
        """
        with self._lock:
            if len(self._history) < 2:
                raise CheckpointError(
                    f"version {self._history[-1][0].version} is the first of this run: there is none to go back to"
                )
            checkpoint, place = self._history.pop()
            self._rolled_back.add((place, checkpoint.version))
            self._offered = None
            return self._history[-1][0].version

    def begin_episode(self, mode: str) -> None:
        """Change the version if there is reason to."""
        with self._lock:
            if self.accept_updates and self._offered is not None:
                self._history = [*self._history, self._offered][-HISTORY:]
                self._offered = None
            newest, _ = self._history[-1]
        if newest is not self._policy.checkpoint:
            self._policy.swap(newest)
        self._policy.begin_episode(mode)

    def act(self, observation: Observation) -> Decision:
        """Decide; decision_ms is the wall time from image to action."""
        start = time.perf_counter()
        decision = self._policy.act(observation)
        self.decision_ms = (time.perf_counter() - start) * 1e3
        return decision
