"""A session's report: summary.json and one self-contained HTML page from a session's folder alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robot_finetune.data.atomic_file import atomic_file
from robot_finetune.report import sections
from robot_finetune.report.promotion import trials
from robot_finetune.report.words import corrections, discards, headline, number, verdict
from robot_finetune.session.record import SessionRecord, read_record
from robot_finetune.session.summary import write_summary

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
        sections.cards(summary),
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


def _figures(summary: dict[str, Any]) -> tuple[str, ...]:
    """What was measured besides success, for a terminal."""
    show = number
    decision, image, longest = summary["decision_ms"], summary["image"], summary["swap_ms"]["max"]
    swapped = "" if longest is None else f"; a swap of the policy takes at most {show(longest, 2)} ms"
    return (
        f"{show(summary['grasps_per_minute'], 0)} grasps a minute; a decision takes {show(decision['p50'])} ms (p50), "
        f"{show(decision['p95'])} ms (p95)",
        f"images: {show(image['hz'])} Hz, {show(image['lost'], 0)} lost, {show(image['p50_ms'])} ms (p50), "
        f"{show(image['p95_ms'])} ms (p95){swapped}",
    )
