"""All that is logged of one grasp, as plain data and as lines for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from robot_finetune.data.episode_table import EpisodeRow
from robot_finetune.data.label_log import JUDGED, LABEL, Label
from robot_finetune.types import NO_TRIAL, Action, Episode


def grasp_data(row: EpisodeRow, episode: Episode, labels: Sequence[Label]) -> dict[str, Any]:
    """Plain data for JSON: the line of the table, evidence, labels (the newest last), steps and the rest."""
    times = episode.meta.get("decision_ms", ())
    steps = [
        {
            "step": step.observation.step,
            "stamp": step.observation.stamp,
            "pose": step.observation.pose.tolist(),
            "opening": step.observation.opening,
            "joint_positions": list(step.joint_positions),
            "asked": step.asked.vector.tolist(),
            "commanded": step.commanded.vector.tolist(),
            "q": step.q,
            "policy_version": step.policy_version,
            "side": step.side,
            "intervention": step.intervention,
            "decision_ms": times[index] if index < len(times) else None,
        }
        for index, step in enumerate(episode.steps)
    ]
    shown = ("decision_ms", "number", LABEL)
    rest = {name: value for name, value in episode.meta.items() if name not in shown}
    evidence = dict(episode.outcome.evidence)
    return {**asdict(row), "evidence": evidence, "labels": list(map(asdict, labels)), "meta": rest, "data": steps}


def grasp_lines(row: EpisodeRow, episode: Episode, labels: Sequence[Label]) -> list[str]:
    """The same for people."""
    side = "" if row.side == NO_TRIAL else f", {row.side} of a trial"
    judged = episode.meta.get(JUDGED, row.success)
    doubt = ", gripper and images contradict each other" if row.contradiction else ""
    sure = "" if row.label else f", confidence {row.confidence:.2f}{doubt}"
    lines = [
        f"{row.episode_id}, grasp number {row.number}",
        f"  cell       {row.variation}, mode {row.mode}",
        f"  policy     version {row.policy_version}{side}",
        f"  judgement  {_verdict(judged)}{sure}",
        *(f"  label      {said.verdict} by {said.who}, {said.when}{_why(said)}" for said in labels),
        f"  end        {row.end_reason} after {row.steps} steps",
        *(f"  evidence   {name} = {value:.4g}" for name, value in episode.outcome.evidence.items()),
        *(f"  meta       {name} = {value}" for name, value in episode.meta.items() if name not in _TOLD),
    ]
    return [*lines, HEAD, *_steps(episode)]


HEAD = (
    f"  {'step':>4} {'time':>7} {'version':>7} {'q':>5} {'ms':>5} {'x':>6} {'y':>6} {'z':>6} {'yaw':>5} open  "
    "commanded (dx dy dz of the largest step, turn)"
)
_TOLD = (LABEL, JUDGED, "decision_ms", "number", "joint_names", "cell")


def _steps(episode: Episode) -> list[str]:
    times = episode.meta.get("decision_ms", ())
    lines = []
    for index, step in enumerate(episode.steps):
        seen, (x, y, z, yaw) = step.observation, step.observation.pose
        taken = times[index] if index < len(times) else None
        time = seen.stamp - episode.steps[0].observation.stamp
        place = f"{x:6.3f} {y:6.3f} {z:6.3f} {np.degrees(yaw):5.0f} {seen.opening:4.2f}"
        took = f"{taken:5.1f}" if taken is not None else f"{'-':>5}"
        value = f"{step.q:5.2f}" if np.isfinite(step.q) else f"{'-':>5}"
        same = np.array_equal(step.asked.vector, step.commanded.vector)
        asked = "" if same else f"; asked {_action(step.asked)}"
        decision = f"{_action(step.commanded)}{asked}"
        lines.append(f"  {seen.step:4} {time:5.2f} s {step.policy_version:7} {value} {took} {place}  {decision}")
    return lines


def _action(action: Action) -> str:
    if action.closes:
        return "close"
    if action.terminates:
        return "terminate"
    dx, dy, dz = action.translation
    return f"{dx:+.2f} {dy:+.2f} {dz:+.2f} {np.degrees(action.yaw_change):+.0f} deg"


def _verdict(success: bool) -> str:
    return "success" if success else "failure"


def _why(label: Label) -> str:
    return f": {label.why}" if label.why else ""
