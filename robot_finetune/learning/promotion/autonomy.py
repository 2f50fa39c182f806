"""Mode "auto": work with the version that is promoted, learn when its success falls, work again when learning has
levelled off. Nobody says that anything has changed.

A pure state machine beside the gate, told of the same facts. At work the episodes measure (mode "evaluate") and are not
learned from, and a detector watches their success; while it adapts they explore, the trainer learns from them, and the
gate tries its versions. What success is usual is what the robot itself had at work; what adaptation reached is the next
usual. Beside success the look of the scene is watched: what changes there is told, and begins learning if that is
asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from robot_finetune.config import setting
from robot_finetune.data.promotion_log import ADAPTING, JUDGED, LOOKS, STARTED, WORKING, Decision, Fact
from robot_finetune.learning.promotion.drift import FallDetector
from robot_finetune.learning.promotion.gate import Gate, NothingToDecide, PromotionConfig
from robot_finetune.learning.promotion.look import SIZE, LookDetector
from robot_finetune.learning.promotion.trial import Count, standard_errors_ahead
from robot_finetune.stats import wilson_interval
from robot_finetune.types import EVALUATE, EXPLORE

CONFIDENCE = 0.8
"""Of the interval whose lower end counts as usual: one of ten such ends lies above the true rate."""


@dataclass(frozen=True)
class AutonomyConfig:
    """When mode "auto" begins to learn, and when it works again."""

    false_alarms: float = setting(
        0.5,
        "falls of success that are found in 1,000 grasps where there is none, at most; as many changes of the look",
        low=0.001,
        high=100.0,
    )
    look_begins: bool = setting(
        False, "learning also begins where the scene looks different, though success has not fallen"
    )
    expected: float = setting(
        0.0, "success that is usual from the first grasp on; 0: the first grasps at work tell", low=0.0, high=1.0
    )
    reference: int = setting(50, "grasps at work that tell which success is usual", low=10, high=10_000)
    leg: int = setting(60, "exploring grasps that are compared with as many before them", low=10, high=10_000)
    gain: float = setting(
        0.5, "standard errors by which they must be better, or learning has levelled off", low=-5.0, high=5.0
    )
    longest: int = setting(400, "exploring grasps of one adaptation, at most", low=10, high=1_000_000)


class Autonomy:
    """Whether the next episode works or explores; see the module."""

    def __init__(self, config: AutonomyConfig = AutonomyConfig()) -> None:
        self.config = config
        self.mode = EVALUATE
        self._usual = config.expected
        self._detector = self._watch()
        self.look = self._watch_look()
        self._work = Count()
        self._legs = [Count()]

    def apply(self, fact: Fact, incumbent: int, grasps: int) -> list[Decision]:
        """Take a fact; returns what was decided. Facts of other modes than "auto" say nothing.

        incumbent: the version that is promoted after it. grasps: that were judged by then.
        """
        if fact.fact != JUDGED or not fact.auto or fact.explore != (self.mode == EXPLORE):
            return []
        told = []
        if self.mode == EXPLORE:
            what, why = WORKING, self._explored(fact.success)
        else:
            if different := self._looked(fact.look):
                told.append((LOOKS, different))
            what, why = ADAPTING, self._worked(fact.success, different if self.config.look_begins else "")
        if why:
            told.append((what, why))
        return [Decision(what, incumbent, incumbent, why, {"usual": self._usual}, grasps) for what, why in told]

    def _looked(self, look: Sequence[float]) -> str:
        """After a grasp at work that began with this look; returns how the scene is different, or nothing. What it
        looks like from then on is usual."""
        if len(look) != SIZE:  # a person began it, or it was recorded before looks were
            return ""
        self.look.add(look)
        if not self.look.alarm:
            return ""
        self.look = self._watch_look()
        return "the scene looks different"

    def _worked(self, success: bool, different: str) -> str:
        """After a grasp at work, of a scene that is different; returns why it is time to adapt, or nothing."""
        self._work.add(success)
        why = different
        if self._detector is not None:
            self._detector.add(success)
            if self._detector.alarm:
                why = f"success has fallen below the usual {100 * self._usual:.0f} %"
        if why:
            self.mode, self._legs = EXPLORE, [Count()]
            return why
        if self._work.grasps == self.config.reference:
            lowest = _lowest(self._work)
            if lowest > self._usual:
                self._usual = lowest
                self._detector = self._watch()
        return ""

    def _explored(self, success: bool) -> str:
        """After an exploring grasp; returns why it is time to work, or nothing."""
        leg = self._legs[-1]
        leg.add(success)
        if leg.grasps < self.config.leg:
            return ""
        why = self._ended(leg)
        if why:
            self.mode, self._work = EVALUATE, Count()
            self._usual = max(_lowest(leg), self.config.expected)
            self._detector, self.look = self._watch(), self._watch_look()
        self._legs.append(Count())
        return why

    def _ended(self, leg: Count) -> str:
        had = f"{leg.successes} of the last {leg.grasps} grasps succeeded"
        if leg.rate >= self._usual:
            return f"{had}, as many as usual"
        before = self._legs[-2] if len(self._legs) > 1 else None
        if before and standard_errors_ahead(leg, before) < self.config.gain:
            return f"{had}, {before.successes} of the {before.grasps} before: the gain has levelled off"
        if sum(leg.grasps for leg in self._legs) >= self.config.longest:
            return f"{had}, after {self.config.longest} grasps of learning"
        return ""

    def _watch(self) -> FallDetector | None:
        """A new detector, once it is known which success is usual."""
        return FallDetector(self._usual, self.config.false_alarms / 1000) if self._usual else None

    def _watch_look(self) -> LookDetector:
        """A new one: the first half of the reference tells what is usual, the second how far looks are from it."""
        return LookDetector(self.config.reference // 2, self.config.false_alarms / 1000)


def _lowest(count: Count) -> float:
    return wilson_interval(count.successes, count.grasps, CONFIDENCE)[0]


def decide(fact: Fact, gate: Gate, autonomy: Autonomy) -> list[Decision]:
    """What both decide upon a fact. Raises NothingToDecide for an operator's wish without an object."""
    return [*gate.apply(fact), *autonomy.apply(fact, gate.incumbent.version, gate.grasps)]


def restored(
    facts: Sequence[Fact], promotion: PromotionConfig, config: AutonomyConfig = AutonomyConfig()
) -> tuple[Gate, Autonomy]:
    """Both after `facts`, of which the first one is the start of a policy."""
    gate, autonomy = Gate(facts[0].id, promotion), Autonomy(config)
    for fact in facts[1:]:
        with suppress(NothingToDecide):  # under another configuration than they were recorded with
            if fact.fact != STARTED:
                decide(fact, gate, autonomy)
    return gate, autonomy
