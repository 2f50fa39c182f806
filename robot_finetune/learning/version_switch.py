"""Which version of the Q-network acts: loads announced versions and lets the promotion gate choose among them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path

from robot_finetune.data.promotion_log import (
    BEGUN,
    GATED,
    HEARD,
    JUDGED,
    OFFERED,
    PROMOTE,
    ROLLBACK,
    Decision,
    Fact,
    VersionId,
)
from robot_finetune.files import one_line
from robot_finetune.learning.checkpoint import Checkpoint, CheckpointError, load_checkpoint
from robot_finetune.learning.own_grasps import OwnGrasps
from robot_finetune.learning.promotion.autonomy import Autonomy, decide
from robot_finetune.learning.promotion.gate import Gate, NothingToDecide, Turn
from robot_finetune.learning.promotion.look import look_of
from robot_finetune.learning.q_policy import QPolicy, probe
from robot_finetune.robot.interfaces import Decision as ActionDecision
from robot_finetune.robot.interfaces import Policy
from robot_finetune.types import AUTO, EVALUATE, EXPLORE, SCRIPTED, Observation


def version_id(checkpoint: Checkpoint) -> VersionId:
    """What the gate calls a checkpoint."""
    return VersionId(checkpoint.version, checkpoint.sha256)


class SwitchingPolicy:
    """Implements `Policy` by a `QPolicy` whose version changes only in `begin_episode`, as its `Gate` has it.

    `offer` is slow (it reads, verifies and probes a checkpoint) and belongs to a thread of its own; `rollback` and
    `promote` may be called from any thread. accept_updates: whether the gate may bring in another version.
    """

    def __init__(
        self,
        policy: QPolicy,
        gate: Gate | None = None,
        record: Callable[[Fact | Decision], None] = lambda entry: None,
        accept_updates: bool = True,
        scripted: Policy | None = None,
        autonomy: Autonomy | None = None,
    ) -> None:
        """gate, autonomy: as they were left; by default new ones, the gate begins with the policy's version. record:
        takes what they were told and what they decided, in order. scripted: acts in episodes of mode "scripted"."""
        self.accept_updates = accept_updates
        self.decision_ms = 0.0
        self.gate = gate or Gate(version_id(policy.checkpoint))
        self.autonomy = autonomy or Autonomy()
        self.turn = Turn(self.gate.incumbent)
        self.decided: Decision | None = None
        """The last decision."""
        self.on_decision: Callable[[Decision], None] = lambda decision: None
        self._policy, self._scripted, self._record = policy, scripted, record
        self._acting: Policy = policy
        self._auto = self._explores = self._counts = False
        self._look: list[float] = []
        self._own = OwnGrasps()
        self._lock = threading.RLock()
        self._loaded = {version_id(policy.checkpoint): policy.checkpoint}
        self._places: dict[VersionId, Path] = {}

    @property
    def version(self) -> int:
        """The version that acts."""
        return self._policy.version

    @property
    def swap_ms(self) -> float:
        """Wall time that the last change of version took [ms]."""
        return self._policy.swap_ms

    def offer(
        self, folder: str | Path, version: int, sha256: str = "", scores: Mapping[str, float] | None = None
    ) -> bool:
        """Load, verify and probe an announced version. Returns False if it is not newer than what there is.

        scores: of the version, as its trainer found them; those on the robot's own grasps are added.

        Versions are newer or older only among those of one trainer, whose folders lie side by side: one from elsewhere
        does not stand in the way of the next. Raises CheckpointError if it must not be used; what acts is untouched.
        """
        place = Path(folder).parent
        with self._lock:
            newest = self.gate.waiting or self.gate.candidate or self.gate.incumbent
            self._refuse(VersionId(version, sha256))
        if version <= newest.version and self._places.get(newest) in (None, place):
            return False
        checkpoint = self._load(folder, version, sha256)
        offered = version_id(checkpoint)
        found = {**(scores or {}), **self._own_scores(checkpoint)}
        with self._lock:
            self._refuse(offered)
            self._loaded[offered], self._places[offered] = checkpoint, place
            self.apply(Fact(OFFERED, *offered, path=str(folder), scores=found))
            self._forget()
        return True

    def _own_scores(self, offered: Checkpoint) -> dict[str, float]:
        if self.gate.config.mode != GATED:
            return {}
        with self._lock:
            incumbent = self._loaded[self.gate.incumbent]
        found = self._own.score(offered.network, incumbent.network)
        return asdict(found) if found else {}

    def _refuse(self, version: VersionId) -> None:
        if version in self.gate.refused:
            raise CheckpointError(f"version {version.version} was rolled back or rejected and is not taken; train on")

    def restore(self, checkpoint: Checkpoint, folder: Path) -> None:
        """A version that the gate knows already."""
        known = version_id(checkpoint)
        self._loaded[known], self._places[known] = checkpoint, folder.parent

    def _load(self, folder: str | Path, version: int, sha256: str) -> Checkpoint:
        """The sound checkpoint in a folder, if the policy can act by it. Raises CheckpointError."""
        try:
            checkpoint = load_checkpoint(folder, sha256, self._policy.device)
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
            raise CheckpointError(
                f"{folder}: cannot be used ({type(error).__name__}: {one_line(error)}); use another version"
            ) from error
        return checkpoint

    def rollback(self) -> Decision:
        """Take back the version on trial, or else the one that was promoted last, and never take it again.

        What was offered and does not act yet is dropped; versions that are offered later are taken. Raises
        CheckpointError if there is none to go back to.
        """
        return self._wish(ROLLBACK)

    def promote(self) -> Decision:
        """Promote the version on trial, or the one that waits, now. Raises CheckpointError if there is none."""
        return self._wish(PROMOTE)

    def _wish(self, fact: str) -> Decision:
        try:
            return self.apply(Fact(fact))[0]
        except NothingToDecide as error:
            raise CheckpointError(str(error)) from error

    def chosen_mode(self, wish: str) -> str:
        """The mode of the next episode where `wish` is asked for: mode "auto" explores or measures as it needs."""
        self._auto = wish == AUTO
        return self.autonomy.mode if self._auto else wish

    def begin_episode(self, mode: str) -> None:
        """Change the version if the gate says so: only mode "explore" has trials, "evaluate" measures the incumbent, in
        the others no version acts."""
        self._acting = self._scripted if mode == SCRIPTED and self._scripted is not None else self._policy
        self._counts, self._look = mode in (EXPLORE, EVALUATE), []
        self._own.begin_episode()
        if not self._counts:
            self.turn = Turn(self.gate.incumbent)
            self._acting.begin_episode(mode)
            return
        self._explores = mode == EXPLORE
        explore = self._explores and self.accept_updates
        with self._lock:
            if self.accept_updates:
                self.apply(Fact(BEGUN, explore=explore))
            self.turn = self.gate.turn(explore)
            checkpoint = self._loaded[self.turn.id]
            self._forget()
        if checkpoint is not self._policy.checkpoint:
            self._policy.swap(checkpoint)
        self._policy.begin_episode(mode)

    def judged(self, episode_id: str, success: bool) -> None:
        """Tell the gate what came of the episode that was begun last, if it was one of a version."""
        if not self._counts:
            return
        self._own.judged(success)
        fact = Fact(JUDGED, *self.turn.id, explore=self._explores, auto=self._auto, side=self.turn.side)
        look = self._look if self._auto and not self._explores else []
        self.apply(replace(fact, success=success, episode_id=episode_id, look=look))

    def heard(self, robot: str, incumbent: VersionId, trial: int, evidence: Mapping[str, float]) -> None:
        """Tell the gate how another robot's trial stands, if it is of the same question as its own."""
        with self._lock:
            if self.gate.trial and incumbent == self.gate.incumbent:
                self.apply(Fact(HEARD, *incumbent, robot=robot, trial=trial, evidence=dict(evidence)))

    def act(self, observation: Observation) -> ActionDecision | None:
        """Decide; decision_ms is the wall time from image to action."""
        start = time.perf_counter()
        if observation.step == 0:
            self._look = look_of(observation.image)
        decision = self._acting.act(observation)
        self.decision_ms = (time.perf_counter() - start) * 1e3
        if decision is None:
            return None
        self._own.decided(observation, decision)
        return replace(decision, side=self.turn.side)

    def apply(self, fact: Fact) -> list[Decision]:
        """Tell gate and autonomy, and record what they were told and what they decided."""
        with self._lock:
            decisions = decide(fact, self.gate, self.autonomy)
            if decisions or fact.fact != BEGUN:
                self._record(fact)
            for self.decided in decisions:
                self._record(self.decided)
                self.on_decision(self.decided)
            return decisions

    def needed(self) -> set[VersionId]:
        """Versions that act or may act again."""
        with self._lock:
            return {*self.gate.kept, self.turn.id}

    def _forget(self) -> None:
        """Networks that cannot act any more."""
        needed = self.needed()
        self._loaded = {version: loaded for version, loaded in self._loaded.items() if version in needed}
