"""A session's report: summary.json and one self-contained HTML page from a session's folder alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robot_finetune.data.atomic_file import atomic_file
from robot_finetune.data.label_log import DISCARD
from robot_finetune.data.promotion_log import ADAPTING, PHRASES, WORKING, Decision
from robot_finetune.report import sections
from robot_finetune.report.promotion import trials
from robot_finetune.robot.discards import too_many
from robot_finetune.session.metrics import COMPLETE
from robot_finetune.session.record import SessionRecord, read_record, success
from robot_finetune.session.summary import write_summary
from robot_finetune.types import AUTO

REPORT_FILE = "report.html"


@dataclass(frozen=True)
class Report:
    """What was written. lines: the report in a few lines of text."""

    path: Path
    summary: dict[str, Any]
    lines: tuple[str, ...]


def write_report(folder: Path) -> Report:
    """Write DIR/summary.json and DIR/report.html. Raises ConfigError where there is no session, OSError."""
    record = read_record(Path(folder))
    summary = write_summary(record.folder, record)
    path = record.folder / REPORT_FILE
    with atomic_file(path) as stream:
        stream.write(render(record, summary).encode())
    said = (
        headline(record),
        verdict(record),
        discards(record),
        corrections(record),
        *_figures(summary),
        f"report: {path}",
    )
    return Report(path, summary, tuple(filter(None, said)))


def render(record: SessionRecord, summary: dict[str, Any]) -> str:
    """The HTML page."""
    parts = [
        sections.head(
            record, headline(record), " ".join(filter(None, (verdict(record), discards(record), corrections(record))))
        ),
        sections.cards(record, summary),
        sections.change(record),
        sections.measured(record),
        sections.learning(record),
        sections.samples(record),
        sections.failures(record),
        trials(record.promotion),
        sections.versions(summary),
        sections.timing(record, summary),
        sections.troubles(record),
    ]
    return sections.page(f"{record.head.variation}: {headline(record)}", "\n".join(filter(None, parts)))


def headline(record: SessionRecord) -> str:
    """The result in one sentence."""
    phases = record.phases
    if record.head.options.mode == AUTO and phases.all:
        return f"{len(phases.all)} grasps in mode auto, {success(phases.all)} of them successful"
    before, after, grasps = success(phases.before), success(phases.after), len(phases.learning)
    if before.episodes and after.episodes:
        change = 100 * (after.rate - before.rate)
        if abs(change) < 0.5:
            return f"Grasp success stayed at {100 * after.rate:.0f} % after {grasps} grasps"
        verb = "rose" if change > 0 else "fell"
        return f"Grasp success {verb} from {100 * before.rate:.0f} % to {100 * after.rate:.0f} % after {grasps} grasps"
    if grasps and record.head.options.scripted:
        return f"{grasps} grasps without a network, {success(phases.learning)} of them successful"
    if grasps:
        return f"{grasps} grasps learned from, {success(phases.learning)} of them successful"
    if before.episodes:
        return f"First policy measured: {before}"
    return "No grasp was made"


def verdict(record: SessionRecord) -> str:
    """How sure that is, or why it is not complete, in one sentence."""
    phases, ended = record.phases, record.metrics.ended
    before, after = success(phases.before), success(phases.after)
    stopped = "" if ended in ("", COMPLETE) else f" The session is not complete: {ended}."
    if record.head.options.scripted:
        return f"To learn from them: robot-finetune pretrain --episodes {record.folder} --out runs/policy.{stopped}"
    if record.head.options.mode == AUTO:
        return f"{_changes_of_mind(record)}.{stopped}"
    if not (before.episodes and after.episodes):
        return f"Before and after are not both measured.{stopped}"
    if after.above(before):
        sure = "the intervals are apart: the policy became better"
    elif before.above(after):
        sure = "the intervals are apart: the policy became worse"
    else:
        sure = "the intervals overlap: more grasps are needed to tell"
    return f"95 % intervals {_interval(before.ci95)} before and {_interval(after.ci95)} after; {sure}.{stopped}"


def _changes_of_mind(record: SessionRecord) -> str:
    """When mode auto began to learn and to work again, and why."""
    decisions = [entry for entry in record.promotion if isinstance(entry, Decision)]
    told = [made for made in decisions if made.decision in (ADAPTING, WORKING)]
    lines = [f"after {made.grasp} grasps it {PHRASES[made.decision]}: {made.reason}" for made in told]
    return "; ".join(lines).capitalize() or "Success was as usual: there was nothing to learn"


def discards(record: SessionRecord) -> str:
    """That too many episodes were discarded, and why, in one sentence; "" if they were not."""
    complaint = too_many(record.metrics.discarded, len(record.phases.all), record.head.options.discard_share)
    return complaint and f"{complaint}."


def corrections(record: SessionRecord) -> str:
    """What people have said of grasps afterwards, in one sentence; "" if nothing."""
    grasps = record.phases.all
    wrong, gone = sum(grasp.corrected for grasp in grasps), sum(grasp.label == DISCARD for grasp in grasps)
    confirmed = sum(bool(grasp.label) for grasp in grasps) - wrong - gone
    said = {"corrected": wrong, "confirmed": confirmed, "discarded": gone}
    told = ", ".join(f"{count} {name}" for name, count in said.items() if count)
    return told and f"Judgements that were looked at afterwards: {told}."


def _interval(bounds: tuple[float, float]) -> str:
    return f"{100 * bounds[0]:.0f} to {100 * bounds[1]:.0f} %"


def _figures(summary: dict[str, Any]) -> tuple[str, ...]:
    """What was measured besides success, for a terminal."""
    show = sections.number
    decision, image, swap = summary["decision_ms"], summary["image"], summary["swap_ms"]
    return (
        f"{show(summary['grasps_per_minute'], 0)} grasps a minute; a decision takes {show(decision['p50'])} ms (p50), "
        f"{show(decision['p95'])} ms (p95)",
        f"images: {show(image['hz'])} Hz, {show(image['lost'], 0)} lost, {show(image['p50_ms'])} ms (p50), "
        f"{show(image['p95_ms'])} ms (p95); a swap of the policy takes at most {show(swap['max'], 2)} ms",
    )
