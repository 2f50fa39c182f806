"""The plots of session reports, drawn without a display and returned as the bytes of a PNG file, or of another."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from robot_finetune.report.style import AFTER, BAND, BEFORE, GRID, INK, MUTED
from robot_finetune.session.record import RECENT, swaps
from robot_finetune.stats import Proportion, rolling_success
from robot_finetune.types import CANDIDATE, INCUMBENT, NO_TRIAL

COMPARED = ("#2563a8", "#d1642a", "#1f7a5c", "#8a4fa3", "#b8860b", "#c0397b", "#3a9bb8", "#6b7785")
"""Colours of sessions beside each other."""


def success_over_grasps(outcomes: Sequence[bool], versions: Sequence[int], window: int = RECENT) -> bytes:
    """Rolling success of the grasps that were learned from, its 95 % band, and a line at every swap of the policy.

    versions: the policy version that chose each grasp, as long as `outcomes`.
    """
    figure, axes = _figure(8.4, 3.9)
    grasps = np.arange(1, len(outcomes) + 1)
    rolling = rolling_success(outcomes, window)
    axes.fill_between(grasps, 100 * rolling.low, 100 * rolling.high, color=BAND, alpha=0.16, linewidth=0)
    axes.plot(grasps, 100 * rolling.rate, color=BAND, linewidth=2)
    hits = np.asarray(outcomes, bool)
    axes.plot(grasps[hits], np.full(hits.sum(), 101.5), "|", color=AFTER, markersize=5, clip_on=False)
    axes.plot(grasps[~hits], np.full((~hits).sum(), -1.5), "|", color=BEFORE, markersize=5, clip_on=False)
    _mark_swaps(axes, versions)
    axes.set_xlim(1, max(len(outcomes), 2))
    axes.set_ylim(-3, 103)
    axes.set_xlabel("grasps while learning (exploration noise on)")
    axes.set_ylabel(f"success, last {window} grasps [%]")
    return _bytes(figure)


def before_after_bars(before: Proportion, after: Proportion, labels: tuple[str, str]) -> bytes:
    """Two bars of success with their 95 % Wilson intervals."""
    figure, axes = _figure(4.6, 3.9)
    for place, (part, color) in enumerate(((before, BEFORE), (after, AFTER))):
        if not part.episodes:
            axes.text(place, 4, "not measured", ha="center", color=MUTED)
            continue
        low, high = part.ci95
        axes.bar(place, 100 * part.rate, width=0.56, color=color)
        error = [[100 * (part.rate - low)], [100 * (high - part.rate)]]
        axes.errorbar(place, 100 * part.rate, error, color=INK, capsize=7, linewidth=1.6)
        axes.text(place, 100 * high + 2, f"{100 * part.rate:.0f} %", ha="center", fontsize=13, color=INK)
    counts = [
        f"{label}\n{part.successes} of {part.episodes}" for label, part in zip(labels, (before, after), strict=True)
    ]
    axes.set_xticks([0, 1], counts)
    axes.set_xlim(-0.6, 1.6)
    axes.set_ylim(0, 112)
    axes.set_yticks(range(0, 101, 20))
    axes.set_ylabel("grasp success [%]")
    return _bytes(figure)


def versions_on_trial(
    versions: Sequence[int],
    outcomes: Sequence[bool],
    sides: Sequence[str],
    probability: Sequence[float],
    decisions: Sequence[tuple[int, str]],
) -> bytes:
    """Which version made each grasp for which side of a trial, and the probability that the one on trial is better.

    decisions: grasps before each, and what it was in a few words.
    """
    figure, (upper, lower) = _figures(8.4, 4.6, 2)
    grasps, names = np.arange(1, len(outcomes) + 1), sorted(set(versions))
    acted, hits = np.asarray(versions), np.asarray(outcomes, bool)
    for chosen, face in ((hits, None), (~hits, "white")):
        for side, color in ((CANDIDATE, BAND), (INCUMBENT, BEFORE), (NO_TRIAL, AFTER)):
            mask = chosen & (np.asarray(sides) == side)
            upper.scatter(grasps[mask], acted[mask], 14, color=face or color, edgecolors=color, linewidths=0.9)
    upper.set_yticks(names, [f"v{version}" for version in names])
    upper.set_ylabel("who acted")
    lower.plot(grasps, 100 * np.asarray(probability), color=BAND, linewidth=2)
    lower.axhline(50, color=MUTED, linewidth=0.8)
    lower.set_ylim(-3, 103)
    lower.set_ylabel("likely better [%]")
    lower.set_xlabel("judged grasps")
    for grasp, label in decisions:
        for axes in (upper, lower):
            axes.axvline(grasp + 0.5, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
        upper.annotate(label, (grasp + 0.5, 1.02), xycoords=("data", "axes fraction"), fontsize=8, color=INK)
    return _bytes(figure)


def loss_over_updates(updates: Sequence[float], losses: Sequence[float]) -> bytes:
    """The trainer's loss over its gradient steps."""
    figure, axes = _figure(8.4, 2.6)
    axes.plot(updates, losses, color=BAND, linewidth=1.8)
    axes.set_xlabel("gradient steps since the base policy")
    axes.set_ylabel("loss")
    return _bytes(figure)


@dataclass(frozen=True)
class Curve:
    """A session in a plot of several: outcomes while learning, and what was measured before and after."""

    name: str
    outcomes: Sequence[bool]
    before: Proportion
    after: Proportion


def success_compared(curves: Sequence[Curve], kind: str, window: int = RECENT) -> bytes:
    """Rolling success of several sessions with its 95 % band, and before and after with theirs; kind: png, pdf, svg."""
    figure, axes = _figure(8.4, 4.2)
    longest = max(2, *(len(curve.outcomes) for curve in curves))
    handles = []
    for place, curve in enumerate(curves):
        color = COMPARED[place % len(COMPARED)]
        grasps, rolling = np.arange(1, len(curve.outcomes) + 1), rolling_success(curve.outcomes, window)
        axes.fill_between(grasps, 100 * rolling.low, 100 * rolling.high, color=color, alpha=0.12, linewidth=0)
        handles += axes.plot(grasps, 100 * rolling.rate, color=color, linewidth=2)
        aside = 0.01 * longest * place
        for x, part, face in ((-aside, curve.before, "white"), (longest * 1.02 + aside, curve.after, color)):
            if part.episodes:
                low, high = part.ci95
                error = [[100 * (part.rate - low)], [100 * (high - part.rate)]]
                axes.errorbar(x, 100 * part.rate, error, color=color, capsize=3, marker="o", markerfacecolor=face)
    # a legend hides names that begin with _, and reads $ as the start of a formula
    names = [f" {curve.name}".replace("$", r"\$") for curve in curves]
    axes.legend(handles, names, frameon=False, fontsize=9, loc="lower right")
    axes.set_ylim(-3, 103)
    axes.set_xlabel("grasps while learning (before: open circles, after: full ones)")
    axes.set_ylabel(f"success, last {window} grasps [%]")
    return _bytes(figure, kind)


def _mark_swaps(axes: Axes, versions: Sequence[int], labels: int = 12) -> None:
    """Vertical lines where the version changes; at most about `labels` of them carry their version."""
    changes = swaps(versions)
    stride = max(1, -(-len(changes) // labels))
    for count, (grasp, version) in enumerate(changes):
        axes.axvline(grasp + 0.5, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
        if count % stride == 0:
            axes.text(grasp + 1, 106, f"v{version}", color=MUTED, fontsize=8, ha="center", va="bottom", clip_on=False)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure, (axes,) = _figures(width, height, 1)
    return figure, axes


def _figures(width: float, height: float, rows: int) -> tuple[Figure, Sequence[Axes]]:
    """Plots above each other, over the same abscissa."""
    figure = Figure(figsize=(width, height), dpi=150, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    plots: list[Axes] = list(figure.subplots(rows, sharex=True, squeeze=False)[:, 0])
    for axes in plots:
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(GRID)
        axes.grid(axis="y", color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(colors=MUTED, length=0)
        axes.xaxis.label.set_color(MUTED)
        axes.yaxis.label.set_color(MUTED)
    return figure, plots


def _bytes(figure: Figure, kind: str = "png") -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind)
    return buffer.getvalue()
