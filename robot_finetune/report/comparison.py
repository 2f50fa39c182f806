"""Sessions beside each other: the figures of each as a line of a table, for a terminal and for LaTeX, and a plot."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robot_finetune.config import ConfigError
from robot_finetune.files import one_line
from robot_finetune.report.plots import Curve, success_compared
from robot_finetune.report.words import number
from robot_finetune.session.metrics import COMPLETE
from robot_finetune.session.record import SessionRecord, read_record, success
from robot_finetune.session.summary import summarise
from robot_finetune.stats import Proportion

PLOTS = ("pdf", "svg", "png")
COLUMNS = (
    *("session", "cell", "before [%]", "after [%]", "gain [points]", "grasps", "minutes"),
    *("versions", "contradictions", "images lost"),
)
LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        **{character: f"\\{character}" for character in "&%$#_{}"},
    }
)


@dataclass(frozen=True)
class Compared:
    """A session among others. name: its folder's, or the whole path where two have one."""

    name: str
    record: SessionRecord

    @property
    def before(self) -> Proportion:
        return success(self.record.phases.before)

    @property
    def after(self) -> Proportion:
        return success(self.record.phases.after)

    def figures(self) -> dict[str, Any]:
        """Plain data for JSON; what was not measured is null. Intervals are fractions, of 95 %."""
        summary, before, after = summarise(self.record), self.before, self.after
        measured = bool(before.episodes and after.episodes)
        return {
            "session": self.name,
            "folder": str(self.record.folder),
            **{key: summary[key] for key in ("variation", "seed", "before", "after")},
            "gain": after.rate - before.rate if measured else None,
            "gain_ci95": list(after.gain_over(before)) if measured else None,
            "grasps": summary["grasps"],
            "minutes": None if summary["wall_s"] is None else summary["wall_s"] / 60,
            "versions": sum(row["episodes"] > 0 for row in summary["versions"]),
            "contradictions": sum(grasp.contradiction for grasp in self.record.phases.all),
            "images_lost": summary["image"]["lost"],
            "damaged": len(self.record.corrupt),
        }

    def cells(self) -> list[str]:
        """The same as text, one cell a column of COLUMNS."""
        figures = self.figures()
        gain = _interval(figures["gain"], figures["gain_ci95"], "+") if figures["gain"] is not None else number(None)
        parts = [
            _interval(part.rate, part.ci95) if part.episodes else number(None) for part in (self.before, self.after)
        ]
        counts = [(figures[key], 0) for key in ("versions", "contradictions", "images_lost")]
        measured = [number(value, digits) for value, digits in ((figures["minutes"], 1), *counts)]
        return [self.name, figures["variation"], *parts, gain, str(figures["grasps"]), *measured]


def read_sessions(folders: Sequence[Path]) -> tuple[list[Compared], list[str]]:
    """The complete sessions in `folders`, and one line for each that is left out and for each file that cannot be read.

    Raises ConfigError where no session is left."""
    records, said = [], []
    for folder in folders:
        try:
            record = read_record(folder.absolute())
        except (ConfigError, OSError) as error:
            said.append(f"{one_line(error)}; left out")
            continue
        ended = record.metrics.ended
        if ended != COMPLETE:
            said.append(f"{folder}: not complete ({ended or 'it has not ended'}); left out")
            continue
        said += record.corrupt
        records.append(record)
    if not records:
        raise ConfigError(f"no session to compare: {'; '.join(said)}")
    often = Counter(record.folder.name for record in records)
    names = [record.folder.name if often[record.folder.name] == 1 else str(record.folder) for record in records]
    return [Compared(name, record) for name, record in zip(names, records, strict=True)], said


def text_table(sessions: Sequence[Compared]) -> list[str]:
    """Lines for a terminal."""
    rows = [list(COLUMNS), *(session.cells() for session in sessions)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def latex_table(sessions: Sequence[Compared]) -> str:
    """A tabular for the package booktabs."""
    lines = [rf"\begin{{tabular}}{{ll{'r' * (len(COLUMNS) - 2)}}}", r"\toprule", _latex_row(COLUMNS), r"\midrule"]
    lines += [_latex_row(session.cells()) for session in sessions]
    return "\n".join(["% needs \\usepackage{booktabs}", *lines, r"\bottomrule", r"\end{tabular}", ""])


def latex_text(text: str) -> str:
    """Any text so that LaTeX prints it as it is; a minus before a number as a minus."""
    escaped = " ".join(text.split()).translate(LATEX)
    return re.sub(r"(?<!\S)(\[?)-(?=\d)", r"\1$-$", escaped)


def plot(sessions: Sequence[Compared], kind: str) -> bytes:
    """Success over grasps of all, as one of PLOTS."""
    curves = [
        Curve(session.name, [grasp.success for grasp in session.record.phases.learning], session.before, session.after)
        for session in sessions
    ]
    return success_compared(curves, kind)


def _latex_row(cells: Sequence[str]) -> str:
    row = " & ".join(map(latex_text, cells)) + r" \\"
    return f"{{}}{row}" if row.startswith(("[", "*")) else row  # which would belong to the line before


def _interval(rate: float, bounds: Sequence[float], sign: str = "") -> str:
    low, high = bounds
    return f"{100 * rate:{sign}.0f} [{100 * low:.0f}, {100 * high:.0f}]"
