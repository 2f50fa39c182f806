"""What a promotion gate was told and what it decided, a line each in DIR/promotion.jsonl: the gate is restored from
it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from robot_finetune.config import setting
from robot_finetune.data.line_log import LineLog, read_lines
from robot_finetune.types import NO_TRIAL, SIDES

PROMOTION_FILE = "promotion.jsonl"
GATED, IMMEDIATE = "gated", "immediate"
"""How a new version comes to act: on trial first, or from the next episode on."""
STARTED, OFFERED, BEGUN, JUDGED, HEARD, ROLLBACK, PROMOTE, FAILED = (
    "started",
    "offered",
    "begun",
    "judged",
    "heard",
    "rollback",
    "promote",
    "failed",
)
FLEET_HELP = "namespaces of other robots whose trials of versions count in this one's, with ',' between: /b,/c"
ADAPTING, WORKING, LOOKS = "adapting", "working", "looks"
"""Decisions of mode "auto"."""
FACTS = (STARTED, OFFERED, BEGUN, JUDGED, HEARD, ROLLBACK, PROMOTE, FAILED)

PHRASES = {
    "trial": "is on trial",
    "succeeded": "takes over the trial",
    "promoted": "is promoted",
    "rejected": "is rejected",
    "dismissed": "is dismissed",
    "restored": "acts again",
    "kept": "goes on",
    ADAPTING: "adapts",
    WORKING: "works",
    LOOKS: "goes on",
}
"""What becomes of a version by a decision about it."""


class VersionId(NamedTuple):
    """A version by its number and what it holds: two trainers may give the same number."""

    version: int
    sha256: str = ""


@dataclass(frozen=True)
class Fact:
    """Something that happened.

    started: a policy began to work. offered: a sound version was announced. begun: an episode, exploring or not.
    judged: a grasp of `side`, exploring or not, succeeded or not. heard: another robot's trial against this version
    stands so. rollback, promote: an operator's wish. failed: a version cannot act.
    """

    fact: str = setting("", "what happened", choices=FACTS)
    version: int = setting(0, "that it is about", low=0)
    sha256: str = setting("", "of its weights")
    path: str = setting("", "checkpoint folder")
    explore: bool = setting(False, "whether the episode explores")
    auto: bool = setting(False, "whether that was chosen in mode auto")
    side: str = setting(NO_TRIAL, "of a trial, that grasped", choices=SIDES)
    success: bool = setting(False, "of the grasp")
    episode_id: str = setting("", "of the grasp")
    look: list[float] = setting(
        list, "of the scene where a grasp at work in mode auto began: learning.promotion.look", low=0.0, high=255.0
    )
    scores: dict[str, float] = setting(dict, "of an offered version, by its trainer")
    robot: str = setting("", "another one, that was heard")
    trial: int = setting(0, "its first candidate", low=0)
    evidence: dict[str, float] = setting(dict, "of that trial, see `Evidence` of learning.promotion")

    @property
    def id(self) -> VersionId:
        """The version that it is about."""
        return VersionId(self.version, self.sha256)


@dataclass(frozen=True)
class Decision:
    """What came of a fact: one line for people, and the counts it rests on (see `Evidence` of learning.promotion)."""

    decision: str = setting("", "what was decided")
    version: int = setting(0, "that it is about", low=0)
    incumbent: int = setting(0, "that acts from now on", low=0)
    reason: str = setting("", "in one line")
    evidence: dict[str, float] = setting(dict, "figures behind it")
    grasp: int = setting(0, "number of grasps that were judged before", low=0)

    @property
    def phrase(self) -> str:
        """Which version it is about and what becomes of it."""
        return f"version {self.version} {PHRASES.get(self.decision, self.decision)}"

    @property
    def told(self) -> str:
        """All of it in one line."""
        return f"{self.phrase}: {self.reason}"


class PromotionLog(LineLog):
    """Appends to DIR/promotion.jsonl; of one process."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError."""
        super().__init__(folder / PROMOTION_FILE)


def read_promotion(folder: Path) -> tuple[list[Fact | Decision], list[str]]:
    """What DIR/promotion.jsonl holds, in order, and one line for each that cannot be read; nothing without the file."""
    return read_lines(folder / PROMOTION_FILE, lambda data: Fact if "fact" in data else Decision)


def facts(entries: list[Fact | Decision]) -> list[Fact]:
    """The facts among them, from the last start of a policy on."""
    found = [entry for entry in entries if isinstance(entry, Fact)]
    starts = [index for index, fact in enumerate(found) if fact.fact == STARTED]
    return found[starts[-1] :] if starts else []
