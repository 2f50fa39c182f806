"""Episodes of a policy in the simulated cell, in parallel processes; no ROS."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch

from robot_finetune.config import setting
from robot_finetune.learning.checkpoint import load_checkpoint
from robot_finetune.learning.q_policy import QPolicy
from robot_finetune.perception.grasp_success import GraspDetector
from robot_finetune.robot.episode_runner import EpisodeDiscarded, EpisodeRunner, RunnerConfig
from robot_finetune.robot.profile import load_robot
from robot_finetune.sim.cell import Cell
from robot_finetune.sim.randomisation import randomise
from robot_finetune.sim.robot import sim_robot
from robot_finetune.sim.scripted_policy import ScriptedPolicy
from robot_finetune.sim.variations import load_variation
from robot_finetune.types import Episode

SCENES_A_DAY = 25
"""Episodes with the same scene randomisation: rebuilding the cell costs as much as many grasps."""


@dataclass(frozen=True)
class RolloutConfig:
    """What to roll out, and where."""

    policy: str = setting("scripted", "checkpoint folder, or scripted")
    variation: str = setting("base", "name or path of the variation")
    robot: str = setting("sim", "name or path of the robot profile")
    mode: str = setting("evaluate", "explore, evaluate or scripted", choices=("explore", "evaluate", "scripted"))
    family: str = setting("held_out", "objects", choices=("training", "held_out"))
    noise: float = setting(1.0, "of the scripted policy: 0 is a good grasp, 1 a weak one", low=0.0, high=2.0)
    randomise: float = setting(0.0, "strength of the scene randomisation, 1 as in pre-training", low=0.0, high=3.0)
    look: bool = setting(False, "judge by images as well as by the gripper (slower)")


def rollouts(config: RolloutConfig, seeds: range, processes: int = 2) -> Iterator[Episode]:
    """One episode a seed, in order, less those that had to be discarded (EpisodeDiscarded).

    Each seed is one scene: the same for every policy that is compared."""
    work = partial(_rollout, config)
    if processes <= 1:
        yield from filter(None, map(work, seeds))
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes) as pool:
        yield from filter(None, pool.imap(work, seeds, chunksize=SCENES_A_DAY if config.randomise else 4))


def _rollout(config: RolloutConfig, seed: int) -> Episode | None:
    cell, policy, runner = _bench(config)
    variation = load_variation(config.variation)
    if config.randomise:
        rng = np.random.default_rng([seed // SCENES_A_DAY, 7])
        cell.set_variation(randomise(variation, rng, config.randomise))
    cell.reset(seed, config.family)
    policy.reseed(seed)
    try:
        return runner.run(f"{Path(config.variation).stem}-{seed:08d}", variation.name, config.mode)
    except EpisodeDiscarded:
        cell.reset(seed, config.family, at_start=True)
        return None


@lru_cache(maxsize=1)
def _bench(config: RolloutConfig) -> tuple[Cell, ScriptedPolicy | QPolicy, EpisodeRunner]:
    """The cell, the policy and the runner of this process."""
    torch.set_num_threads(1)
    profile = load_robot(config.robot)
    cell = Cell(profile, load_variation(config.variation))
    policy: ScriptedPolicy | QPolicy
    if config.policy == "scripted":
        policy = ScriptedPolicy(cell, config.noise, np.random.default_rng())
    else:
        policy = QPolicy(load_checkpoint(config.policy), profile)
    runner = EpisodeRunner(
        sim_robot(cell), profile, policy, GraspDetector(profile), config=RunnerConfig(look=config.look)
    )
    return cell, policy, runner
