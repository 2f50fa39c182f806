"""summary.json: the figures of a session under the names that scripts rely on."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from robot_finetune.data.promotion_log import Decision
from robot_finetune.session.metrics import write_json
from robot_finetune.session.record import SessionRecord, success
from robot_finetune.stats import percentile

SUMMARY_FILE = "summary.json"
FATES = {"trial": "on trial", "succeeded": "on trial", "rejected": "rejected", "dismissed": "dismissed"}


def summarise(record: SessionRecord) -> dict[str, Any]:
    """Plain data for JSON; what was not measured is null. Intervals are Wilson's, as fractions."""
    head, metrics, phases = record.head, record.metrics, record.phases
    decisions = [time for grasp in phases.all for time in grasp.decision_ms]
    lost = sum(metrics.discarded.values())
    made = lost + len(phases.all)
    image = {key: metrics.image.get(key) for key in ("hz", "lost", "p50_ms", "p95_ms")}
    return {
        "variation": head.variation,
        "seed": head.options.seed,
        "grasps": len(phases.learning),
        "grasps_per_minute": _rounded(metrics.grasps_per_minute),
        "before": success(phases.before).summary(),
        "learning": success(phases.learning).summary(),
        "after": success(phases.after).summary(),
        "discarded": {
            "episodes": lost,
            "share": round(lost / made, 4) if made else 0.0,
            "reasons": dict(metrics.discarded),
        },
        "decision_ms": {"p50": _percentile(decisions, 50), "p95": _percentile(decisions, 95)},
        "image": image,
        "swap_ms": {"p50": _percentile(metrics.swap_ms, 50), "max": _percentile(metrics.swap_ms, 100)},
        "versions": versions_table(record),
        "promotion": [dataclasses.asdict(decision) for decision in _decisions(record)],
        "set_up_s": _rounded(metrics.set_up_s),
        "wall_s": _rounded(metrics.wall_s),
        "ended": metrics.ended,
    }


def versions_table(record: SessionRecord) -> list[dict[str, Any]]:
    """One row a version: version, parent, sha256, state, episodes and successes of all grasps that it made alone.

    state: `in use` is promoted, `on trial`, `rejected`, `dismissed` as the gate decided last, `replaced` acted before,
    `unused` never acted, `damaged` fails its hash. Without decisions the version that acted last is in use.
    """
    head, grasps = record.head, record.phases.all
    cards = {head.base_version: (head.base_parent, head.base_sha256, True)}
    cards |= {card.version: (card.parent, card.sha256, card.sound) for card in record.versions}
    decisions = _decisions(record)
    used = decisions[-1].incumbent if decisions else grasps[-1].version if grasps else head.base_version
    fates = {decision.version: FATES.get(decision.decision, "") for decision in decisions}
    rows = []
    for version, (parent, sha256, sound) in sorted(cards.items()):
        own = success([grasp for grasp in grasps if grasp.version == version and not grasp.interventions])
        acted = "replaced" if own.episodes else "unused"
        acted = "in use" if version == used else fates.get(version) or acted
        state = acted if sound else "damaged"
        if head.options.scripted and not own.episodes:
            continue  # the policy beside which there is none
        row = {"version": version, "parent": parent, "sha256": sha256, "state": state}
        rows.append(row | {"episodes": own.episodes, "successes": own.successes})
    return rows


def _decisions(record: SessionRecord) -> list[Decision]:
    return [entry for entry in record.promotion if isinstance(entry, Decision)]


def write_summary(folder: Path, record: SessionRecord) -> dict[str, Any]:
    """Write DIR/summary.json and return it. Raises OSError."""
    summary = summarise(record)
    write_json(folder / SUMMARY_FILE, summary)
    return summary


def _percentile(values: Sequence[float], percent: float) -> float | None:
    return _rounded(percentile(values, percent))


def _rounded(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, 4)
