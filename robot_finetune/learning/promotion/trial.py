"""A trial: grasps of a candidate and of the incumbent in turns, compared block by block."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from robot_finetune.learning.promotion.sequential import EProcess, probability_better
from robot_finetune.types import CANDIDATE, INCUMBENT

COUNTS = ("incumbent_grasps", "incumbent_successes", "candidate_grasps", "candidate_successes")
LONGEST_BLOCK = 8
"""Grasps."""


@dataclass
class Count:
    """Grasps of one side."""

    grasps: int = 0
    successes: int = 0

    def add(self, success: bool) -> None:
        self.grasps += 1
        self.successes += success

    @property
    def rate(self) -> float:
        """Share of successes; 0 without grasps."""
        return self.successes / self.grasps if self.grasps else 0.0


def standard_errors_ahead(one: Count, other: Count) -> float:
    """How far the success rate of the first is above that of the other, in standard errors of the difference."""
    pooled = (one.successes + other.successes + 1) / (one.grasps + other.grasps + 2)
    variance = pooled * (1 - pooled) * (1 / max(1, one.grasps) + 1 / max(1, other.grasps))
    return float((one.rate - other.rate) / np.sqrt(variance))


@dataclass(frozen=True)
class Evidence:
    """What a decision rests on. better, worse: e-values against "no better" and "no worse" than the incumbent.

    probability: that the candidate's success rate is the higher one, for people to read.
    """

    incumbent_grasps: int = 0
    incumbent_successes: int = 0
    candidate_grasps: int = 0
    candidate_successes: int = 0
    better: float = 1.0
    worse: float = 1.0
    probability: float = 0.5

    @staticmethod
    def pooled(parts: Iterable[Evidence]) -> Evidence:
        """Of independent trials of the same question: the product of their e-values is one, too."""
        parts = list(parts)
        made, succeeded, new_made, new_succeeded = (sum(getattr(part, name) for part in parts) for name in COUNTS)
        better, worse = (math.prod(getattr(part, name) for part in parts) for name in ("better", "worse"))
        probable = probability_better(new_succeeded, new_made, succeeded, made)
        return Evidence(made, succeeded, new_made, new_succeeded, better, worse, probable)

    @staticmethod
    def of(told: Mapping[str, float]) -> Evidence:
        """From the figures of `dataclasses.asdict`. Raises KeyError."""
        counts = (int(told[name]) for name in COUNTS)
        return Evidence(*counts, *(told[name] for name in ("better", "worse", "probability")))

    @property
    def incumbent(self) -> Count:
        """Its grasps."""
        return Count(self.incumbent_grasps, self.incumbent_successes)

    @property
    def candidate(self) -> Count:
        """Those of the candidates."""
        return Count(self.candidate_grasps, self.candidate_successes)


class Trial:
    """Compares two sides in blocks of a few grasps each, in an order drawn anew for each block.

    Conditions that change meanwhile touch both sides of a block alike. The candidate may be replaced by its successor
    between two blocks: what is tested is then whether the candidates of this trial were better (worse) on the whole,
    with the same error rates. A grasp that is discarded is made again by the same side.
    """

    def __init__(self, share: float = 0.5, margin: float = 0.0, seed: int = 0, first: int = 0) -> None:
        """share: of a block's grasps that the candidate makes. margin: how much lower its success may be and still
        count as no worse. seed: of the order. first: the first candidate's version, by which the trial is known."""
        part = Fraction(share).limit_denominator(LONGEST_BLOCK)
        self._sizes = {CANDIDATE: part.numerator, INCUMBENT: part.denominator - part.numerator}
        if not all(self._sizes.values()):
            raise ValueError(f"a share of {share}: both sides have to grasp")
        self._seed, self.first = seed, first
        self._partners: dict[str, tuple[int, Evidence]] = {}
        self.counts = {INCUMBENT: Count(), CANDIDATE: Count()}
        self.own = Count()
        """Grasps of the present candidate alone."""
        self.blocks = self.own_blocks = 0
        self.own_lead = 0.0
        """Sum over blocks of the present candidate's success rate less the incumbent's."""
        self._better, self._worse = EProcess(-margin), EProcess(0.0)
        self._block = {INCUMBENT: Count(), CANDIDATE: Count()}

    @property
    def side(self) -> str:
        """Whose turn it is."""
        turns = [side for side, size in self._sizes.items() for _ in range(size)]
        order = [turns[i] for i in np.random.default_rng([self._seed, self.blocks]).permutation(len(turns))]
        made = sum(count.grasps for count in self._block.values())
        return next(side for side in order[made:] + order if self._block[side].grasps < self._sizes[side])

    def record(self, side: str, success: bool) -> bool:
        """Count a grasp; returns whether it ended a block. One beyond a side's part of the block is left out."""
        if self._block[side].grasps >= self._sizes[side]:
            return False
        self._block[side].add(success)
        self.counts[side].add(success)
        if side == CANDIDATE:
            self.own.add(success)
        if any(self._block[name].grasps < size for name, size in self._sizes.items()):
            return False
        difference = self._block[CANDIDATE].rate - self._block[INCUMBENT].rate
        self._better.add(difference)
        self._worse.add(-difference)
        self.blocks, self.own_blocks = self.blocks + 1, self.own_blocks + 1
        self.own_lead += difference
        self._block = {INCUMBENT: Count(), CANDIDATE: Count()}
        return True

    @property
    def between_blocks(self) -> bool:
        """Whether the present block has no grasp yet."""
        return not any(count.grasps for count in self._block.values())

    def replace_candidate(self) -> None:
        """The next block is the first of another candidate. Raises ValueError within a block."""
        if not self.between_blocks:
            raise ValueError("the candidate of a block that has begun stays")
        self.own, self.own_blocks, self.own_lead = Count(), 0, 0.0

    def hear(self, robot: str, trial: int, evidence: Evidence) -> None:
        """How another robot's trial of the same question stands. The first of its trials that is heard of is this
        one's partner to the end: evidence that begins anew would count as evidence."""
        if self._partners.get(robot, (trial, evidence))[0] == trial:
            self._partners[robot] = trial, evidence

    @property
    def robots(self) -> int:
        """Whose trials decide together, this one included."""
        return 1 + len(self._partners)

    @property
    def e_values(self) -> tuple[float, float]:
        """Against "no better" and "no worse", of this robot and its partners together."""
        others = [evidence for _, evidence in self._partners.values()]
        better = self._better.evidence * math.prod(evidence.better for evidence in others)
        return better, self._worse.evidence * math.prod(evidence.worse for evidence in others)

    @property
    def pooled(self) -> Evidence:
        """What this robot and its partners know by now."""
        return Evidence.pooled([self.evidence, *(evidence for _, evidence in self._partners.values())])

    @property
    def evidence(self) -> Evidence:
        """What this robot's own grasps tell by now."""
        old, new = self.counts[INCUMBENT], self.counts[CANDIDATE]
        return Evidence(
            old.grasps,
            old.successes,
            new.grasps,
            new.successes,
            self._better.evidence,
            self._worse.evidence,
            probability_better(new.successes, new.grasps, old.successes, old.grasps),
        )
