"""What a lineage keeps of what it learned: success after each step on the base task and on every variation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from robot_finetune.stats import Proportion

BASE = "base"


def retention(runs: Sequence[Sequence[dict[str, Any]]]) -> tuple[list[str], np.ndarray]:
    """The tasks, base first, and the retention matrix (steps, tasks): success after each step, the seeds `runs` pooled.

    runs: the `steps` of `lineage.lineage`. NaN where a step was not measured on a task: further than one step ahead.
    """
    names = [step["variation"] for step in runs[0]]
    tasks = [BASE, *names]
    matrix = np.full((len(names), len(tasks)), np.nan)
    for row in range(len(names)):
        matrix[row, 1 + row] = _rate([steps[row]["after"] for steps in runs])
        for task in (BASE, *names[:row]):
            matrix[row, tasks.index(task)] = _rate([steps[row]["earlier"][task] for steps in runs])
        if row + 1 < len(names):
            matrix[row, 2 + row] = _rate([steps[row + 1]["before"] for steps in runs])
    return tasks, matrix


def draw_retention(tasks: Sequence[str], matrix: np.ndarray, path: Path) -> None:
    """Write the matrix as a heat map, in percent. Raises OSError."""
    figure = Figure(figsize=(2.6 + 1.1 * len(tasks), 1.6 + 0.6 * len(matrix)), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    shown = axes.imshow(100 * matrix, vmin=0, vmax=100, cmap="viridis", aspect="auto")
    for (row, column), rate in np.ndenumerate(matrix):
        if np.isfinite(rate):
            ink = "black" if rate > 0.6 else "white"
            axes.text(column, row, f"{100 * rate:.0f}", ha="center", va="center", color=ink)
    labels = [task.replace("_", "\n") for task in tasks]
    axes.set_xticks(range(len(tasks)), labels, fontsize=8)
    axes.set_yticks(range(len(matrix)), [f"after {task.replace('_', ' ')}" for task in tasks[1:]], fontsize=8)
    axes.set_xlabel("measured on; right of the diagonal: before its own step")
    figure.colorbar(shown, label="success [%]")
    figure.savefig(path)


def _rate(results: Sequence[dict[str, Any]]) -> float:
    return Proportion(sum(one["successes"] for one in results), sum(one["episodes"] for one in results)).rate
