"""What a promotion log tells, grasp by grasp: who acted for which side, how likely the one on trial is better, and what
was decided on which evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from robot_finetune.data.promotion_log import ADAPTING, JUDGED, LOOKS, WORKING, Decision, Fact
from robot_finetune.learning.promotion.sequential import probability_better
from robot_finetune.types import CANDIDATE, INCUMBENT

DECISIVE = ("promoted", "rejected", "dismissed", "restored")
MARKED = (*DECISIVE, ADAPTING, WORKING, LOOKS)
"""In the figure."""


@dataclass
class Story:
    """A session as its grasps tell it. versions, success, sides, probability: one each grasp; probability: that the
    candidate of the running trial is better than the incumbent, NaN without a trial. decisions: with the number of
    grasps before each."""

    versions: list[int] = field(default_factory=list)
    success: list[bool] = field(default_factory=list)
    sides: list[str] = field(default_factory=list)
    probability: list[float] = field(default_factory=list)
    decisions: list[tuple[int, Decision]] = field(default_factory=list)


def story_of(entries: Sequence[Fact | Decision]) -> Story:
    """What a promotion log tells."""
    story, counts = Story(), {INCUMBENT: [0, 0], CANDIDATE: [0, 0]}
    for entry in entries:
        if isinstance(entry, Decision):
            story.decisions.append((len(story.success), entry))
            if entry.decision in ("trial", *DECISIVE):  # after any other the trial goes on
                counts = {INCUMBENT: [0, 0], CANDIDATE: [0, 0]}
        elif entry.fact == JUDGED:
            if entry.side in counts:
                counts[entry.side][0] += entry.success
                counts[entry.side][1] += 1
            story.versions.append(entry.version)
            story.success.append(entry.success)
            story.sides.append(entry.side)
            better = probability_better(*counts[CANDIDATE], *counts[INCUMBENT])
            story.probability.append(better if entry.side in counts else float("nan"))
    return story


def phrase(made: Decision) -> str:
    """Which version a decision is about and what becomes of it, in few words."""
    return made.phrase.replace(" is ", " ", 1)


def shares(made: Decision) -> tuple[str, str, str]:
    """Successes of both sides, and the probability, as text."""
    evidence = made.evidence
    if not evidence.get("candidate_grasps"):
        return "", "", ""
    sides = [
        f"{evidence[f'{side}_successes']:.0f} of {evidence[f'{side}_grasps']:.0f}" for side in (CANDIDATE, INCUMBENT)
    ]
    return sides[0], sides[1], f"{100 * evidence['probability']:.0f} %"
