"""The sections of a session report, each a piece of HTML (empty where there is nothing to show)."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np

from robot_finetune.data.episode_log import CorruptEpisode, read_episode
from robot_finetune.data.step_arrays import to_png
from robot_finetune.report import plots
from robot_finetune.report.style import STYLE
from robot_finetune.report.words import failure_counts, identity, number, timing_rows, trouble_lines
from robot_finetune.session.record import Grasp, SessionRecord, success

SAMPLES = 6
LISTED = 8


def page(title: str, body: str) -> str:
    """A whole HTML document that needs nothing else."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body><main>\n{body}\n</main></body></html>\n"
    )


def head(record: SessionRecord, headline: str, verdict: str) -> str:
    """Title, result and when it was."""
    what = escape(identity(record))
    return f"<header><p class=kicker>{what}</p><h1>{escape(headline)}</h1><p>{escape(verdict)}</p></header>"


def cards(summary: dict[str, Any]) -> str:
    """The main figures."""
    acted = sum(row["episodes"] > 0 for row in summary["versions"])
    figures = [
        (str(summary["grasps"]), "grasps learned from"),
        (number(summary["grasps_per_minute"], 0), "grasps a minute"),
        (str(acted), "versions that acted"),
        (f"{number(summary['decision_ms']['p95'])} ms", "decision, 95th percentile"),
        (number(summary["image"]["lost"], 0), "images lost"),
    ]
    items = "".join(
        f"<div class=card><b>{escape(value)}</b><span>{escape(name)}</span></div>" for value, name in figures
    )
    return f"<section class=cards>{items}</section>"


def change(record: SessionRecord) -> str:
    """What is different in this cell."""
    note = record.head.operator_note
    cell = f"<p class=note>On a real cell: {escape(note)}</p>" if note else ""
    return section("What was changed", f"<p>{escape(record.head.description or record.head.variation)}</p>{cell}")


def measured(record: SessionRecord) -> str:
    """Bars before and after."""
    before, after = success(record.phases.before), success(record.phases.after)
    if not before.episodes and not after.episodes:
        return ""
    labels = (_label("before", record.phases.before), _label("after", record.phases.after))
    figure = image(plots.before_after_bars(before, after, labels), f"before {before}, after {after}", "narrow")
    text = "Held-out objects, no exploration; bars with Wilson's 95 % interval. None of these grasps was learned from."
    return section("Before and after", f"{figure}<p class=note>{text}</p>")


def learning(record: SessionRecord) -> str:
    """Success and loss while learning."""
    grasps = record.phases.learning
    if not grasps:
        return ""
    curve = plots.success_over_grasps([grasp.success for grasp in grasps], record.incumbents)
    body = scrolling(image(curve, f"success over {len(grasps)} grasps: {success(grasps)} in all"))
    body += (
        "<p class=note>Each dashed line is the promotion of a version, between two grasps. Ticks above: successes.</p>"
    )
    losses = record.metrics.losses
    if len(losses) > 1:
        body += scrolling(image(plots.loss_over_updates(*zip(*losses, strict=True)), "loss over gradient steps"))
    return section("While learning", body)


def samples(record: SessionRecord) -> str:
    """First and last image of some successes and failures."""
    grasps = [*record.phases.learning, *record.phases.after] or list(record.phases.before)
    parts = []
    for title, wanted in (("Successes", True), ("Failures", False)):
        chosen = _spread([grasp for grasp in grasps if grasp.success == wanted], SAMPLES)
        pairs = "".join(_pair(grasp) for grasp in chosen)
        parts.append(f"<h3>{title}</h3><div class=samples>{pairs or '<p class=note>none</p>'}</div>")
    note = "<p class=note>Left: what the policy saw first. Right: what it saw when it decided for the last time.</p>"
    return section("Samples", note + "".join(parts)) if grasps else ""


def failures(record: SessionRecord) -> str:
    """How failed grasps ended, and where the two sources of the grasp detector disagreed."""
    phases = record.phases
    body = table(("how the failed grasp ended", "before", "finetune", "after"), failure_counts(record))
    doubtful = [grasp for grasp in phases.all if grasp.contradiction]
    text = f"Gripper and images contradicted each other in {len(doubtful)} of {len(phases.all)} grasps"
    listed = ", ".join(grasp.episode_id for grasp in doubtful[:LISTED])
    more = f": {listed}{' and more' if len(doubtful) > LISTED else ''}" if doubtful else ""
    return section("Failures and doubts", f"{body}<p>{escape(text + more)}.</p>") if phases.all else ""


def versions(summary: dict[str, Any]) -> str:
    """The versions and what they did."""
    rows = [
        (row["version"], row["parent"], row["sha256"][:12], row["state"], row["episodes"], row["successes"])
        for row in summary["versions"]
    ]
    return section("Versions", table(("version", "parent", "sha256", "state", "grasps", "successes"), rows))


def timing(record: SessionRecord, summary: dict[str, Any]) -> str:
    """How fast everything was."""
    return section("Timing", table(("", "wall time"), timing_rows(record, summary)))


def troubles(record: SessionRecord) -> str:
    """Processes that were started again, episodes that were discarded and files that cannot be read."""
    lines = trouble_lines(record)
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return section("Troubles", f"<ul>{items}</ul>") if lines else ""


def image(png: bytes, text: str, kind: str = "wide") -> str:
    """An embedded image."""
    data = base64.b64encode(png).decode()
    return f'<img class="{kind}" alt="{escape(text, quote=True)}" src="data:image/png;base64,{data}">'


def _label(name: str, grasps: Sequence[Grasp]) -> str:
    return f"{name}, version {grasps[-1].version}" if grasps else name


def _pair(grasp: Grasp) -> str:
    try:
        steps = read_episode(grasp.path).steps
    except CorruptEpisode:
        return ""
    if not steps:
        return ""
    pictures = "".join(image(to_png(step.observation.image), "observation", "seen") for step in (steps[0], steps[-1]))
    contradiction = ", contradiction" if grasp.contradiction else ""
    caption = (
        f"v{grasp.version}, {grasp.end_reason}, {len(steps)} steps, confidence {grasp.confidence:.2f}{contradiction}"
    )
    return f"<figure>{pictures}<figcaption>{escape(caption)}</figcaption></figure>"


def _spread(grasps: Sequence[Grasp], count: int) -> list[Grasp]:
    """At most `count` grasps, evenly spread from the first to the last."""
    places = np.unique(np.linspace(0, len(grasps) - 1, count).round().astype(int)) if grasps else ()
    return [grasps[place] for place in places]


def section(title: str, body: str) -> str:
    """A part of the page with its title."""
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def table(names: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Rows under their names."""
    top = "".join(f"<th>{escape(name)}</th>" for name in names)
    lines = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return scrolling(f"<table><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table>")


def scrolling(body: str) -> str:
    """On a narrow screen it scrolls sideways instead of becoming too small to read."""
    return f"<div class=scroll>{body}</div>"
