"""The gate between the trainer's versions and the robot: trial, promotion, watch, rollback.

A pure state machine: `apply` takes facts in the order in which they happened and returns what was decided; the same
facts give the same decisions, so that a restart replays them. An exploring episode on trial is made by the candidate or
by the incumbent, block by block, and learned from either way. Decisions are made by tests that allow for looking after
every grasp (`sequential`):

* A version never acts whose offline score is clearly worse: on held-out grasps than that of the first policy, as its
  trainer found, or on this robot's own grasps than the incumbent's. What is on trial by then is the same policy,
  trained less: it needs proof.
* The candidates of a trial were better than the incumbent (e-value 1 / false_promotion), and the present one is not
  behind: it is promoted. They were worse (1 / false_rollback): the candidate is rejected, and what comes after it needs
  proof. A trainer's later versions take the candidate's side after a `leg`, for they are the same policy trained
  longer; the evidence goes on, or a short session would end before the second one was tried.
* Where a trial has to end undecided, as before a measurement or after `longest` grasps, the candidate is promoted
  unless it is behind by more than `lean` standard errors: most versions are better than the one they were trained from,
  and too late costs as much as too early. Not so where proof is needed, as after a candidate of this incumbent was
  rejected.
* Robots of one lineage decide together: another one's trial against the same incumbent is independent evidence on the
  same question, and the product of the e-values is the evidence of both. Each candidate is still tried here.
* A promoted version is watched: if its success falls significantly below what the version before it had in the trial,
  that one comes back.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from robot_finetune.config import setting
from robot_finetune.data.promotion_log import (
    BEGUN,
    FAILED,
    GATED,
    HEARD,
    IMMEDIATE,
    JUDGED,
    OFFERED,
    PROMOTE,
    ROLLBACK,
    Decision,
    Fact,
    VersionId,
)
from robot_finetune.learning.promotion.trial import Count, Evidence, Trial, standard_errors_ahead
from robot_finetune.learning.promotion.watch import Watch
from robot_finetune.types import CANDIDATE, INCUMBENT, NO_TRIAL

LEAST_BLOCKS = 4
"""Of a trial that a version has to take part in before it may be promoted."""
HISTORY = 10
"""Versions that can be gone back through."""
STEADY, TRIAL, WATCH = "steady", "trial", "watch"


class NothingToDecide(ValueError):
    """An operator's wish that cannot be granted; the message says why."""


@dataclass(frozen=True)
class PromotionConfig:
    """When a new version may act."""

    mode: str = setting(
        GATED, "gated: a version acts on trial first; immediate: from the next episode on", choices=(GATED, IMMEDIATE)
    )
    share: float = setting(0.5, "part of a trial's grasps that the candidate makes", low=0.125, high=0.875)
    margin: float = setting(0.0, "how much lower its success may be and still count as no worse", low=0.0, high=0.5)
    false_promotion: float = setting(0.05, "chance that a worse one is promoted by the test", low=0.001, high=0.5)
    false_rollback: float = setting(0.05, "chance that a better one is rejected by the test", low=0.001, high=0.5)
    leg: int = setting(20, "grasps of a trial after which a newer version may take over", low=2, high=10_000)
    longest: int = setting(200, "grasps of a trial, at most", low=2, high=100_000)
    lean: float = setting(
        1.0, "standard errors that a candidate may be behind where a trial ends undecided", low=-5.0, high=5.0
    )
    fewest: int = setting(16, "grasps of a trial below which none is promoted undecided", low=2, high=10_000)
    watch: int = setting(60, "grasps for which a promoted version is watched", low=0, high=100_000)
    offline_limit: float = setting(
        3.0, "standard errors by which an offline score may be worse than what it is compared with", low=0.0, high=1e9
    )


WITNESSES = (
    ("worse", "log_loss", "first", "grasps that were held out", "the first policy's"),
    ("own_worse", "own_log_loss", "own_incumbent", "this robot's own grasps", "the incumbent's"),
)
"""Offline scores that may speak against a version: names of its distance, of both losses, and of what they are of."""


@dataclass(frozen=True)
class Turn:
    """Who makes an episode, and for which side of a trial."""

    id: VersionId
    side: str = NO_TRIAL


def contradicted(scores: Mapping[str, float], limit: float) -> str:
    """Which offline score speaks against a version, in words; empty if none does by more than `limit` standard
    errors."""
    for worse, new, old, grasps, whose in WITNESSES:
        if scores.get(worse, 0.0) > limit:
            losses = f"log-loss {scores.get(new, 0):.2f}, {whose} {scores.get(old, 0):.2f}"
            return f"its Q-values foretell the outcome of {grasps} worse: {losses}"
    return ""


class Gate:
    """Which version acts; see the module. Not safe for use from several threads at once."""

    def __init__(self, start: VersionId, config: PromotionConfig = PromotionConfig()) -> None:
        """start: the version that acts first."""
        self.config = config
        self.grasps = 0
        self.history = [start]
        self.candidate: VersionId | None = None
        self.waiting: VersionId | None = None
        self.refused: set[VersionId] = set()
        self._trial: Trial | None = None
        self._predecessor: VersionId | None = None  # the trial's candidate before the present one
        self._predecessor_made = Count()
        self._burnt = False
        self._looked = 0  # grasps at the last measurement that a trial was interrupted by
        self._watch: Watch | None = None

    @property
    def incumbent(self) -> VersionId:
        """The version that acts where no trial runs."""
        return self.history[-1]

    @property
    def state(self) -> str:
        """steady, trial, or watch after a promotion."""
        return TRIAL if self._trial else WATCH if self._watch else STEADY

    @property
    def evidence(self) -> Evidence:
        """Of the running trial, by this robot's grasps."""
        return self._trial.evidence if self._trial else Evidence()

    @property
    def pooled(self) -> Evidence:
        """Of the running trial, with those of other robots."""
        return self._trial.pooled if self._trial else Evidence()

    @property
    def robots(self) -> int:
        """Whose trials decide together, this one included."""
        return self._trial.robots if self._trial else 1

    @property
    def _together(self) -> str:
        return f" of {self.robots} robots" if self.robots > 1 else ""

    @property
    def trial(self) -> int:
        """The first candidate of the running trial, or 0."""
        return self._trial.first if self._trial else 0

    @property
    def kept(self) -> set[VersionId]:
        """Versions that may still act."""
        return {*self.history, *filter(None, (self.candidate, self.waiting, self._predecessor))}

    def turn(self, explore: bool) -> Turn:
        """Who makes the next episode: trials are made of exploring ones."""
        if self._trial and self.candidate and explore:
            side = self._trial.side
            return Turn(self.candidate if side == CANDIDATE else self.incumbent, side)
        return Turn(self.incumbent)

    def apply(self, fact: Fact) -> list[Decision]:
        """Take a fact; returns what was decided. Raises NothingToDecide for an operator's wish without an object."""
        handler = {
            OFFERED: self._offered,
            BEGUN: self._begun,
            JUDGED: self._judged,
            HEARD: self._heard,
            ROLLBACK: self._rollback,
            PROMOTE: self._promote_by_hand,
            FAILED: self._failed,
        }[fact.fact]
        return handler(fact)

    def _offered(self, fact: Fact) -> list[Decision]:
        if fact.id in self.refused or fact.id in self.history or fact.id == self.candidate:
            return []
        if self.config.mode == GATED and (why := contradicted(fact.scores, self.config.offline_limit)):
            self.refused.add(fact.id)
            self._burnt |= fact.scores.get("own_worse", 0.0) > self.config.offline_limit
            return [Decision("rejected", fact.version, self.incumbent.version, why, dict(fact.scores), self.grasps)]
        self.waiting = fact.id
        return []

    def _begun(self, fact: Fact) -> list[Decision]:
        """Between two episodes: a version that waits takes its turn, or a trial is settled before a measurement."""
        if self.config.mode == IMMEDIATE:
            return self._promote(self.waiting, "promotion.mode is immediate") if self.waiting else []
        if not fact.explore:
            fresh, self._looked = self.grasps > self._looked, self.grasps
            return self._settle("a measurement begins") if self._trial and fresh else []
        if self._trial is None:
            return self._try(self.waiting) if self.waiting else []
        if self.waiting and self._trial.between_blocks and self._trial.own.grasps >= self._leg_of_candidate():
            return self._succeed(self._trial, self.waiting)
        return []

    def _leg_of_candidate(self) -> float:
        return self.config.leg * self.config.share

    def _try(self, version: VersionId) -> list[Decision]:
        seed = version.version * 1_000_003 + self.incumbent.version
        self._trial = Trial(self.config.share, self.config.margin, seed, version.version)
        self.candidate, self.waiting = version, None
        return [self._decided("trial", version, f"acts in turns with version {self.incumbent.version}")]

    def _succeed(self, trial: Trial, version: VersionId) -> list[Decision]:
        before, self.candidate, self.waiting = self.candidate, version, None
        assert before is not None
        self._predecessor, self._predecessor_made = before, trial.own
        trial.replace_candidate()
        return [self._decided("succeeded", version, f"the same policy as version {before.version}, trained longer")]

    def _judged(self, fact: Fact) -> list[Decision]:
        self.grasps += 1
        self._looked += fact.side == NO_TRIAL  # a measurement's own grasp changes nothing about the trial
        decisions: list[Decision] = []
        if fact.side != CANDIDATE and fact.id == self.incumbent:
            decisions = self._look_after(fact.success)
        expected = {CANDIDATE: self.candidate, INCUMBENT: self.incumbent}.get(fact.side)
        if decisions or self._trial is None or fact.id != expected:
            return decisions
        return self._conclude(self._trial) if self._trial.record(fact.side, fact.success) else []

    def _heard(self, fact: Fact) -> list[Decision]:
        """What another robot's trial says counts from the end of this one's next block on."""
        if self._trial is not None and fact.id == self.incumbent:
            self._trial.hear(fact.robot, fact.trial, Evidence.of(fact.evidence))
        return []

    def _conclude(self, trial: Trial) -> list[Decision]:
        """After a block."""
        assert self.candidate is not None
        better, worse = trial.e_values
        tried = trial.own_blocks >= LEAST_BLOCKS and trial.own_lead >= -self.config.margin * trial.own_blocks
        if tried and better >= 1 / self.config.false_promotion:
            return self._promote(self.candidate, f"better: e-value {better:.0f}{self._together}")
        if worse >= 1 / self.config.false_rollback:
            self.refused.add(self.candidate)
            self._burnt = True
            return self._end_trial("rejected", f"worse: e-value {worse:.0f}{self._together}")
        if sum(count.grasps for count in trial.counts.values()) >= self.config.longest:
            return self._settle(f"undecided after {self.config.longest} grasps", end=True)
        return []

    def _settle(self, why: str, end: bool = False) -> list[Decision]:
        """End a trial undecided: whoever leads acts on. end: the candidate is not tried any longer."""
        trial = self._trial
        assert trial is not None and self.candidate is not None
        chosen, own = self.candidate, trial.own
        if trial.own_blocks < LEAST_BLOCKS and self._predecessor:
            chosen, own = self._predecessor, self._predecessor_made
        known = trial.pooled
        old, new = known.incumbent, known.candidate
        ahead = min(standard_errors_ahead(new, old), standard_errors_ahead(own, old))
        enough = old.grasps + new.grasps >= self.config.fewest
        if enough and not self._burnt and ahead >= -self.config.lean:
            return self._promote(chosen, f"{why}, and it is not behind ({ahead:+.1f} standard errors)")
        behind = f"it is behind ({ahead:+.1f} standard errors)"
        if end:
            self.refused.add(self.candidate)
            return self._end_trial("dismissed", f"{why}, and {'it needs proof' if self._burnt else behind}")
        reason = "too few grasps to tell" if not enough else "it needs proof" if self._burnt else behind
        return [self._decided("kept", self.incumbent, f"{why}: {reason}")]

    def _promote(self, version: VersionId, why: str) -> list[Decision]:
        evidence = self.evidence
        decision = self._decided("promoted", version, why, incumbent=version.version)
        self.history = [*self.history, version][-HISTORY:]
        if self.waiting == version:
            self.waiting = None
        watched = self.config.watch and evidence.incumbent_grasps
        self._watch = Watch(evidence.incumbent, self.config.false_rollback, self.config.watch) if watched else None
        self.candidate = self._trial = self._predecessor = None
        self._burnt = False
        return [decision]

    def _look_after(self, success: bool) -> list[Decision]:
        """Count a grasp of the incumbent while it is watched."""
        if self._watch is None or len(self.history) < 2:
            return []
        self._watch.add(success)
        if self._watch.fallen:
            return self._go_back("restored", str(self._watch))
        if self._watch.over:
            self._watch = None
        return []

    def _rollback(self, _: Fact) -> list[Decision]:
        if len(self.history) < 2 and self.candidate is None:
            raise NothingToDecide(
                f"version {self.incumbent.version} is the first of this run: there is none to go back to"
            )
        if self.candidate is not None:
            self.refused.add(self.candidate)
            self.waiting = None
            return self._end_trial("rejected", "rolled back by the operator")
        return self._go_back("restored", "rolled back by the operator")

    def _go_back(self, what: str, why: str) -> list[Decision]:
        """To the version before; what waits or is on trial came from the one that failed."""
        failed = self.history.pop()
        self.refused.add(failed)
        self.candidate = self.waiting = self._trial = self._predecessor = self._watch = None
        self._burnt = True
        return [self._decided(what, self.incumbent, f"version {failed.version}: {why}")]

    def _promote_by_hand(self, _: Fact) -> list[Decision]:
        version = self.candidate or self.waiting
        if version is None:
            raise NothingToDecide("no version is on trial or waits for one")
        return self._promote(version, "promoted by the operator")

    def _failed(self, fact: Fact) -> list[Decision]:
        """A version that cannot act, such as one whose file is gone: what was compared with it is tried again."""
        self.refused.add(fact.id)
        if self.waiting == fact.id:
            self.waiting = None
        if self.candidate == fact.id:
            return self._end_trial("rejected", "it cannot act")
        if self.incumbent == fact.id and len(self.history) > 1:
            self.waiting = self.waiting or self.candidate
            self.candidate = self._trial = self._predecessor = self._watch = None
        self.history = [self.history[0], *(version for version in self.history[1:] if version != fact.id)]
        return []

    def _end_trial(self, what: str, why: str) -> list[Decision]:
        assert self.candidate is not None
        decision = self._decided(what, self.candidate, why)
        self.candidate = self._trial = self._predecessor = None
        return [decision]

    def _decided(self, what: str, version: VersionId, why: str, incumbent: int | None = None) -> Decision:
        acting = self.incumbent.version if incumbent is None else incumbent
        evidence = dataclasses.asdict(self.pooled) if self._trial else {}
        return Decision(what, version.version, acting, why, evidence, self.grasps)
