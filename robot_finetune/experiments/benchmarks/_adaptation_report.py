"""The results of `adaptation` as JSON, as a Markdown table beside the paper's numbers, and as plots."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from robot_finetune.experiments.retention import draw_retention, retention
from robot_finetune.files import to_json
from robot_finetune.stats import Proportion

PAPER = {
    "base": (86, 98),
    "checkerboard_backing": (50, 90),
    "harsh_lighting": (31, 63),
    "extend_gripper_1cm": (76, 93),
    "offset_gripper_10cm": (47, 98),
    "transparent_bottles": (49, 66),
}
"""Success of the paper's base policy and of its best fine-tuned one [%], of 50 or more grasps each. base: its row
"Baseline", fine-tuning where nothing has changed (`--variations base`)."""

Cells = list[dict[str, Any]]


def write_report(result: dict[str, Any], out: Path) -> None:
    """Write `out`.json, .md and .png, and with lineages `out`_retention.png. result: {made_by, settings, cells}."""
    out.parent.mkdir(parents=True, exist_ok=True)
    text = markdown(result)
    out.with_suffix(".json").write_text(to_json(result, indent=1))
    out.with_suffix(".md").write_text(text)
    _plot(result["cells"], out.with_suffix(".png"))
    if lineages := [cell["steps"] for cell in result["cells"] if cell["kind"] == "lineage"]:
        draw_retention(*retention(lineages), out.with_name(f"{out.name}_retention.png"))
    print(text)


def markdown(result: dict[str, Any]) -> str:
    """All tables."""
    cells, settings = result["cells"], result["settings"]
    means = f"{settings['episodes']} grasps an evaluation; seeds, pooled: {settings['seeds']}"
    parts = [
        "# Adaptation\n",
        f"Success in % [95 % interval] of grasps in new scenes with held-out objects ({means}; lineage, scratch and"
        f" ImageNet: {settings['baselines']}); last columns: the paper.\n",
        _fine_tuned(cells),
        _base_task(cells),
        _lineages(cells),
        origin(result["made_by"]),
    ]
    return "\n".join(part for part in parts if part)


def origin(made_by: dict[str, str]) -> str:
    """Policy, commit and machine as a line."""
    return f"\nPolicy {made_by['sha256'][:12]}, commit {made_by['commit'][:12]}, {made_by['machine']}.\n"


def pooled(cells: Iterable[dict[str, Any]], key: str = "after") -> Proportion:
    """The evaluations of several seeds as one."""
    found = [cell[key] for cell in cells]
    return Proportion(sum(one["successes"] for one in found), sum(one["episodes"] for one in found))


def select(cells: Cells, kind: str, variation: str, grasps: int | None = None) -> Cells:
    """The cells of a kind and a variation."""
    return [
        cell
        for cell in cells
        if (cell["kind"], cell["variation"]) == (kind, variation) and grasps in (None, cell["grasps"])
    ]


def _numbers(cells: Cells) -> tuple[list[str], list[int]]:
    """Variations in the order of the table, and numbers of grasps."""
    adapted = [cell for cell in cells if cell["kind"] == "adapt"]
    return list(dict.fromkeys(cell["variation"] for cell in adapted)), sorted({cell["grasps"] for cell in adapted})


def _fine_tuned(cells: Cells) -> str:
    variations, grasps = _numbers(cells)
    extra = [kind for kind in ("scratch", "imagenet") if any(cell["kind"] == kind for cell in cells)]
    head = ["variation", "zero-shot", *map(str, grasps), *extra, "paper: zero-shot", "paper: best"]
    rows = []
    for variation in variations:
        row = [variation, str(pooled(select(cells, "base", variation)))]
        row += [str(pooled(select(cells, "adapt", variation, number))) for number in grasps]
        row += [str(pooled(select(cells, kind, variation))) for kind in extra]
        rows.append([*row, *(f"{number} %" if number else "" for number in PAPER.get(variation, ("", "")))])
    return table("After fine-tuning on so many grasps", head, rows)


def _base_task(cells: Cells) -> str:
    variations, grasps = _numbers(cells)
    before = pooled(select(cells, "base", "base"))
    rows = [
        [variation, *(str(pooled(select(cells, "adapt", variation, number), "base_after")) for number in grasps)]
        for variation in variations
    ]
    return table(f"The base task afterwards (before: {before})", ["fine-tuned on", *map(str, grasps)], rows)


def _lineages(cells: Cells) -> str:
    """Mean success over the seeds after each step of the lineage, beside fine-tuning in a single step."""
    runs = [cell for cell in cells if cell["kind"] == "lineage"]
    if not runs:
        return ""
    rows = []
    for number, step in enumerate(runs[0]["steps"]):
        steps = [run["steps"][number] for run in runs]
        name, grasps = step["variation"], runs[0]["grasps"]
        single = pooled(select(cells, "adapt", name, grasps))
        kept = ", ".join(f"{one} {pooled([s['earlier'] for s in steps], one)}" for one in step["earlier"])
        rows.append([name, str(pooled(steps, "before")), str(pooled(steps)), str(single), kept])
    head = ["step", "before", "after", "single step", "base and earlier variations afterwards"]
    return table(f"One lineage, {runs[0]['grasps']} grasps a step", head, rows)


def table(title: str, head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table under a title."""
    lines = [f"## {title}\n", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows), ""])


def row_table(title: str, rows: Sequence[dict[str, Any]]) -> str:
    """Rows of the same keys as such a table; what is None stays empty."""
    shown = [["" if value is None else str(value) for value in row.values()] for row in rows]
    return table(title, [name.replace("_", " ") for name in rows[0]], shown)


def _plot(cells: Cells, path: Path) -> None:
    variations, grasps = _numbers(cells)
    figure = Figure(figsize=(8.4, 4.4), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for variation in variations:
        points = [pooled(select(cells, "base", variation))]
        points += [pooled(select(cells, "adapt", variation, number)) for number in grasps]
        places = range(len(points))
        line = axes.plot(places, [100 * point.rate for point in points], "o-", label=variation.replace("_", " "))[0]
        low, high = zip(*(point.ci95 for point in points), strict=True)
        axes.fill_between(places, [100 * x for x in low], [100 * x for x in high], color=line.get_color(), alpha=0.08)
    base = pooled(select(cells, "base", "base"))
    axes.axhline(100 * base.rate, color="#1d2733", linestyle=":", label="base policy on the base task")
    axes.set_xticks(range(len(grasps) + 1), ["zero-shot", *map(str, grasps)])
    axes.set_xlabel("exploring grasps of the frozen base policy")
    axes.set_ylabel("success [%]")
    axes.set_ylim(0, 102)
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    figure.savefig(path)
