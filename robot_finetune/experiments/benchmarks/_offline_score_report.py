"""What `offline_score` found, as tables: how scores rank versions, and whom they would have rejected."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from robot_finetune.experiments.benchmarks._adaptation_report import origin, pooled, row_table
from robot_finetune.stats import rank_correlation

SHARE, MORE, BASE = "held-out share", "further grasps", "base replay"
"""What versions are scored on: the share of the exploring grasps that a session holds out; as many again that it would
not have; the share of the base replay."""
WORSE, BETTER = -0.1, 0.05
"""Difference to the first policy's measured success from which a version counts as really worse, or better."""


class Rule(NamedTuple):
    """How a score would decide. sign: 1 where more is better. margins: how much worse than the first policy's, on the
    same grasps, a version's may be; each is a rule of its own."""

    sign: int
    margins: tuple[float, ...]


RULES = {
    "worse": Rule(-1, (1.0, 3.0)),
    "log_loss": Rule(-1, (0.0, 0.1)),
    "soft_opc": Rule(1, (0.0, 0.05)),
    "auc": Rule(1, (0.0, 0.05)),
    "calibration_error": Rule(-1, (0.0, 0.05)),
    "bellman_error": Rule(-1, (0.0, 0.02)),
    "agreement": Rule(1, (0.1, 0.3)),
}
"""Of the fields of `HeldOutScores`; the gate's is "worse" with `promotion.offline_limit`."""


def summarise(cells: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """cells: of `offline_score`. Returns {versions: a row a kind, ranks, rejected: a row a score, grasps and rule}."""
    first = {cell["variation"]: _rate(cell) for cell in cells if "scores" not in cell}
    made = [cell for cell in cells if "scores" in cell]
    gains = np.array([_rate(cell) - first[cell["variation"]] for cell in made])
    ranked, rejected = [], []
    for on in (SHARE, MORE, BASE):
        for name, rule in RULES.items():
            ranked.append({"score": name, "on": on, **_ranks(made, gains, on, name, rule.sign)})
            ahead = _ahead(made, on, name, rule.sign)
            for margin in rule.margins:
                out = ahead < -margin
                counts = {"worse": out[gains <= WORSE], "better": out[gains >= BETTER]}
                told = {f"really {what}": f"{found.sum()} of {len(found)}" for what, found in counts.items()}
                rejected.append({"score": name, "on": on, "margin": margin, **told})
    return {"versions": _kinds(made, first, gains), "ranks": ranked, "rejected": rejected}


def _rate(cell: dict[str, Any]) -> float:
    return float(cell["result"]["success_rate"])


def _ahead(made: Sequence[dict[str, Any]], on: str, name: str, sign: int) -> np.ndarray:
    """How much better each version's score is than the first policy's."""
    return np.array([sign * (cell["scores"][on][name] - cell["first"][on][name]) for cell in made])


def _ranks(made: Sequence[dict[str, Any]], gains: np.ndarray, on: str, name: str, sign: int) -> dict[str, float | None]:
    """Spearman's rank correlations with success; None where there is none, as of one version."""
    score = np.array([sign * cell["scores"][on][name] for cell in made])
    rate = np.array([_rate(cell) for cell in made])
    variation = np.array([cell["variation"] for cell in made])
    within = [rank_correlation(score[variation == one], rate[variation == one]) for one in np.unique(variation)]
    defined = [found for found in within if math.isfinite(found)]
    return {
        "within a variation": _told(float(np.mean(defined)) if defined else math.nan),
        "pooled": _told(rank_correlation(score, rate)),
        "pooled, less the first policy's": _told(rank_correlation(_ahead(made, on, name, sign), gains)),
    }


def _told(value: float) -> float | None:
    return round(value, 3) if math.isfinite(value) else None


def _kinds(made: Sequence[dict[str, Any]], first: dict[str, float], gains: np.ndarray) -> list[dict[str, Any]]:
    rows = []
    for kind in dict.fromkeys(cell["kind"] for cell in made):
        which = [index for index, cell in enumerate(made) if cell["kind"] == kind]
        own = [made[index] for index in which]
        rows.append(
            {
                "kind": kind,
                "versions": len(own),
                "updates": own[0]["updates"],
                "success": str(pooled(own, "result")),
                "first policy": f"{100 * np.mean([first[cell['variation']] for cell in own]):.0f} %",
                "really worse": int(np.sum(gains[which] <= WORSE)),
                "really better": int(np.sum(gains[which] >= BETTER)),
            }
        )
    return rows


def markdown(result: dict[str, Any]) -> str:
    """All tables."""
    plan = result["plan"]
    title = (
        f"Versions fine-tuned on {plan['grasps']} exploring grasps, of which {100 * plan['hold_out']:.0f} % are held "
        f"out, each measured by {plan['episodes']} grasps; really worse: {-100 * WORSE:.0f} points or more below the "
        f"first policy, really better: {100 * BETTER:.0f} or more above it"
    )
    text = "# Offline scores\n\n" + row_table(title, result["versions"])
    title = "Spearman's rank correlation with success; 1: the better score is the better version"
    text += row_table(title, result["ranks"])
    title = "Versions that would have been rejected: a score worse than the first policy's by more than the margin"
    return text + row_table(title, result["rejected"]) + origin(result["made_by"])
