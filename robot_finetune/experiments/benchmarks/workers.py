"""Grasps a second by processes of this computer and by a Ray cluster of it, in turns, and what a grasp costs the
learner.

Both have as many workers; wall time of blocks of grasps, whatever --cpu-time says: the processor time is the workers'.
"""

from __future__ import annotations

import pickle
import time
from functools import partial
from typing import Any

import click
import numpy as np

from robot_finetune.config import policy_folder
from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.experiments.benchmarks import _options
from robot_finetune.experiments.benchmarks._timing import Timing, interleave, medians_ms, timing_command
from robot_finetune.experiments.parcel import pack
from robot_finetune.experiments.pool import open_workers
from robot_finetune.experiments.rollouts import RolloutConfig, rollouts
from robot_finetune.experiments.workers import Workers
from robot_finetune.types import MOST_STEPS, Episode

FIRST_SCENE = 50_000_000
TARGET = 0.9
"""Of the grasps a second by processes, least."""
BLOCK, QUICK_BLOCK = 48, 8


def block(config: RolloutConfig, grasps: int, workers: Workers) -> list[Episode]:
    """The same grasps each time."""
    return list(rollouts(config, range(FIRST_SCENE, FIRST_SCENE + grasps), workers))


def take_in(sent: list[bytes], one: Episode) -> None:
    """Put episodes that have arrived into a replay."""
    buffer = ReplayBuffer(None, MOST_STEPS * len(sent), one.steps[0].observation.image.shape[0])
    for data in sent:
        buffer.add(pickle.loads(data))


def run(timing: Timing, policy: str, variation: str, processes: int, ray: str, rounds: int) -> dict[str, Any]:
    """Print grasps a second of each, their ratio, and the bytes."""
    config = RolloutConfig(str(policy_folder(policy)), variation)
    rounds, grasps = (1, QUICK_BLOCK) if timing.quick else (rounds, BLOCK)
    with open_workers(processes, apart=True) as local, open_workers(processes, ray) as cluster:
        workers = {"processes": local, "ray": cluster}
        variants = {name: partial(block, config, grasps, each) for name, each in workers.items()}
        medians = medians_ms(interleave(variants, rounds, time.perf_counter, warm_up=1))
        episodes = block(config, grasps, cluster)
    rates = {name: 1e3 * grasps / median for name, median in medians.items()}
    ratio = rates["ray"] / rates["processes"]
    sent = [pickle.dumps(episode, protocol=5) for episode in episodes]
    size, steps = (float(np.mean([len(each) for each in which])) for which in (sent, [one.steps for one in episodes]))
    taken = medians_ms(interleave({"in": partial(take_in, sent, episodes[0])}, rounds, time.perf_counter))["in"] / len(
        sent
    )
    version = len(pickle.dumps(pack(config)))
    for name, rate in rates.items():
        print(f"{name:>10}: {rate:6.2f} grasps a second, {rate / processes:.2f} a worker")
    print(f"ray / processes: {ratio:.2f} (target: at least {TARGET})")
    print(f"a grasp: {size / 1e3:.0f} kB in {steps:.1f} steps; {taken:.2f} ms of the learner's process to take it in")
    print(f"a version of the policy: {version / 1e3:.0f} kB")
    return {
        **{f"{name}_grasps_per_second": rate for name, rate in rates.items()},
        "ray_over_processes": ratio,
        "target": TARGET,
        "processes": processes,
        "grasp_bytes": size,
        "take_in_ms": taken,
        "version_bytes": version,
        "grasps": grasps,
        "rounds": rounds,
        "variation": variation,
    }


command = timing_command(
    run,
    __doc__,
    _options.POLICY,
    _options.VARIATION,
    click.option("--processes", type=click.IntRange(1, 256), default=2, help="Workers of each."),
    click.option("--ray", default="auto", help="Address of a cluster with as many processors; auto: begins one."),
    click.option("--rounds", type=click.IntRange(1), default=5, help=f"Blocks of {BLOCK} grasps of each."),
)
