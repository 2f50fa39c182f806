"""What a session's folder tells, as plain data for the page. Needs no ROS; the report says it in the same words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from robot_finetune.data.promotion_log import Decision
from robot_finetune.report import words
from robot_finetune.report.story import phrase, shares, story_of
from robot_finetune.session.record import RECENT, Grasp, SessionRecord, success, swaps
from robot_finetune.session.summary import summarise
from robot_finetune.stats import Proportion, rolling_success

POINTS = 500
"""Of a curve, at most."""
LISTED = 12
"""Grasps that are listed, the newest."""


@dataclass(frozen=True)
class Share:
    """Successes of some grasps. target: how many grasps there shall be. low, high: Wilson's 95 % interval, as
    fractions; text: all of it."""

    episodes: int
    successes: int
    rate: float
    low: float
    high: float
    text: str
    target: int = 0

    @staticmethod
    def of(part: Proportion, target: int = 0) -> Share:
        """A proportion as plain data."""
        return Share(part.episodes, part.successes, part.rate, *part.ci95, str(part), target)


@dataclass(frozen=True)
class Curve:
    """Rolling success of the grasps that were learned from, at the grasps `at` (from 1), as fractions. outcomes: of
    each grasp, empty where there are too many to draw. swaps: grasps before a promotion, and the version."""

    window: int
    grasps: int
    at: tuple[int, ...]
    rate: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    outcomes: tuple[bool, ...]
    swaps: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Judgement:
    """One of the newest grasps."""

    episode_id: str
    mode: str
    version: int
    success: bool
    confidence: float
    contradiction: bool
    end_reason: str
    label: str
    corrected: bool

    @staticmethod
    def of(grasp: Grasp) -> Judgement:
        """A grasp as plain data."""
        said = grasp.end_reason, grasp.label, grasp.corrected
        judged = grasp.success, grasp.confidence, grasp.contradiction
        return Judgement(grasp.episode_id, grasp.mode, grasp.version, *judged, *said)


@dataclass(frozen=True)
class Trial:
    """How likely the version on trial was better (null without a trial), after the judged grasps `at`; and all
    decisions: grasps before, what was decided, why, successes of the one on trial and of the other, probability."""

    at: tuple[int, ...] = ()
    probability: tuple[float, ...] = ()
    decisions: tuple[tuple[Any, ...], ...] = ()


@dataclass(frozen=True)
class Snapshot:
    """All that the page shows of a folder. running: who runs the session now, "" if nobody. problem: why the folder
    cannot be read; then there is nothing else."""

    name: str
    running: str = ""
    problem: str = ""
    identity: str = ""
    headline: str = ""
    verdict: str = ""
    notes: tuple[str, ...] = ()
    change: tuple[str, str] = ("", "")
    phases: dict[str, Share] = field(default_factory=dict)
    curve: Curve | None = None
    losses: tuple[tuple[float, float], ...] = ()
    versions: tuple[dict[str, Any], ...] = ()
    trial: Trial = field(default_factory=Trial)
    grasps: tuple[Judgement, ...] = ()
    failures: tuple[tuple[Any, ...], ...] = ()
    timing: tuple[tuple[str, str], ...] = ()
    troubles: tuple[str, ...] = ()


def snapshot_of(record: SessionRecord, running: str = "") -> Snapshot:
    """The page of a session. running: who runs it now."""
    phases, options, summary = record.phases, record.head.options, summarise(record)
    parts = {
        "before": (phases.before, options.before),
        "finetune": (phases.learning, options.grasps),
        "after": (phases.after, options.measured_after),
    }
    return Snapshot(
        record.folder.name,
        running,
        identity=words.identity(record),
        headline=words.headline(record),
        verdict="" if running else words.verdict(record),
        notes=tuple(filter(None, (words.discards(record), words.corrections(record)))),
        change=(record.head.description or record.head.variation, record.head.operator_note),
        phases={name: Share.of(success(grasps), target) for name, (grasps, target) in parts.items()},
        curve=curve_of([grasp.success for grasp in phases.learning], record.incumbents),
        losses=tuple(thinned(record.metrics.losses)),
        versions=tuple(_versions(record, summary)),
        trial=_trial(record),
        grasps=tuple(Judgement.of(grasp) for grasp in reversed(phases.all[-LISTED:])),
        failures=tuple(words.failure_counts(record)),
        timing=tuple(words.timing_rows(record, summary)),
        troubles=tuple(words.trouble_lines(record)),
    )


def curve_of(outcomes: Sequence[bool], versions: Sequence[int], window: int = RECENT) -> Curve:
    """The curve of success. versions: promoted at each grasp."""
    rolling, at = rolling_success(outcomes, window), thinned(range(len(outcomes)))
    lines = [[round(float(line[i]), 4) for i in at] for line in (rolling.rate, rolling.low, rolling.high)]
    drawn = tuple(outcomes) if len(outcomes) <= POINTS else ()
    rate, low, high = map(tuple, lines)
    return Curve(window, len(outcomes), tuple(i + 1 for i in at), rate, low, high, drawn, tuple(swaps(versions)))


def thinned(items: Sequence[Any], most: int = POINTS) -> list[Any]:
    """At most `most` of the items, evenly spread, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[i] for i in np.linspace(0, len(items) - 1, most).round().astype(int).tolist()]


def _versions(record: SessionRecord, summary: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of the summary, each with its success as text and with what was said last of the version."""
    said = {made.version: made.reason for made in record.promotion if isinstance(made, Decision)}
    rows = []
    for row in reversed(summary["versions"]):
        part = Proportion(row["successes"], row["episodes"])
        rows.append({**row, "success": str(part), "reason": said.get(row["version"], "")})
    return rows


def _trial(record: SessionRecord) -> Trial:
    story = story_of(record.promotion)
    at = thinned(range(len(story.probability)))
    decisions = [(grasp, phrase(made), made.reason, *shares(made)) for grasp, made in story.decisions]
    likely = tuple(round(story.probability[i], 4) for i in at)
    return Trial(tuple(i + 1 for i in at), likely, tuple(reversed(decisions)))
