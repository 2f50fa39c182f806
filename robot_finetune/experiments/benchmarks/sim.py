"""Grasps of the simulated cell by `rollouts` in one process, scripted and learned: a second and core, and a second.

A second and core is of processor time, all threads of the process together (rendering included). The two policies take
turns in blocks of grasps; the first grasp of a block, which builds the cell anew, does not count.
"""

from __future__ import annotations

import time
from typing import Any

import click
import numpy as np

from robot_finetune.config import policy_folder
from robot_finetune.experiments.benchmarks import _options
from robot_finetune.experiments.benchmarks._timing import Timing, timing_command
from robot_finetune.experiments.rollouts import TEACHER, RolloutConfig, rollouts

FIRST_SCENE = 40_000_000
BLOCK, QUICK_BLOCK = 30, 5


def block(config: RolloutConfig, first: int, grasps: int) -> list[tuple[float, float, int]]:
    """Processor seconds, wall seconds and steps of each of `grasps` grasps, in scenes from `first` on."""
    measured = []
    episodes = rollouts(config, range(first, first + grasps + 1))
    next(episodes)
    processor, wall = time.process_time(), time.perf_counter()
    for episode in episodes:
        now = time.process_time(), time.perf_counter()
        measured.append((now[0] - processor, now[1] - wall, len(episode.steps)))
        processor, wall = now
    return measured


def summary(measured: list[tuple[float, float, int]]) -> dict[str, float]:
    """Rates of all grasps together, and medians of one."""
    processor, wall, steps = np.array(measured).T
    return {
        "grasps": len(measured),
        "grasps_per_core_second": len(measured) / processor.sum(),
        "grasps_per_second": len(measured) / wall.sum(),
        "median_processor_ms": float(np.median(processor)) * 1e3,
        "median_wall_ms": float(np.median(wall)) * 1e3,
        "steps_per_grasp": steps.mean(),
    }


def run(timing: Timing, policy: str, variation: str, blocks: int) -> dict[str, Any]:
    """Print a row a policy."""
    policy = str(policy_folder(policy))
    blocks, grasps = (1, QUICK_BLOCK) if timing.quick else (blocks, BLOCK)
    configs = {
        "scripted": RolloutConfig(TEACHER, variation, mode="scripted"),
        "learned": RolloutConfig(policy, variation),
    }
    measured: dict[str, list[tuple[float, float, int]]] = {name: [] for name in configs}
    for index in range(blocks):
        for name, config in configs.items():
            measured[name] += block(config, FIRST_SCENE + index * (BLOCK + 1), grasps)
    rows = {name: summary(grasps) for name, grasps in measured.items()}
    print(f"{'policy':10}{'a second and core':>19}{'a second':>10}{'median':>11}{'steps':>7}{'grasps':>8}")
    for name, row in rows.items():
        print(
            f"{name:10}{row['grasps_per_core_second']:>19.2f}{row['grasps_per_second']:>10.2f}"
            f"{row['median_processor_ms']:>8.0f} ms{row['steps_per_grasp']:>7.1f}{row['grasps']:>8}"
        )
    ratio = rows["learned"]["grasps_per_core_second"] / rows["scripted"]["grasps_per_core_second"]
    print(f"learned / scripted: {ratio:.2f}")
    return {"variation": variation, "policy": policy, "learned_over_scripted": ratio, **rows}


command = timing_command(
    run,
    __doc__,
    _options.POLICY,
    _options.VARIATION,
    click.option("--blocks", type=click.IntRange(1), default=3, help=f"Blocks of {BLOCK} grasps of each policy."),
)
