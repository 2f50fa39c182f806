"""Episodes of a policy in the simulated cell; no ROS."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from robot_finetune.config import setting
from robot_finetune.experiments.workers import HERE, Workers
from robot_finetune.learning.checkpoint import load_checkpoint
from robot_finetune.learning.device import AUTO, choose
from robot_finetune.learning.networks.interface import NetworkConfig
from robot_finetune.learning.q_policy import QPolicy
from robot_finetune.perception.cell_numbers import cell_numbers
from robot_finetune.perception.grasp_success import GraspDetector
from robot_finetune.perception.scripted_policy import ScriptedPolicy
from robot_finetune.robot.episode_runner import EpisodeDiscarded, EpisodeRunner, RunnerConfig
from robot_finetune.robot.profile import load_robot
from robot_finetune.sim.cell import Cell
from robot_finetune.sim.randomisation import Randomisation, place_camera, randomise_in_view
from robot_finetune.sim.robot import sim_robot
from robot_finetune.sim.robot_model import robot_model
from robot_finetune.sim.teacher_policy import TEACHER, TeacherPolicy
from robot_finetune.sim.variations import load_variation
from robot_finetune.types import EVALUATE, EXPLORE, SCRIPTED, Episode

SCENES_A_DAY = 4
"""Episodes with the same scene randomisation. Rebuilding the cell costs as much as half a grasp, and a policy that is
to work elsewhere has to have seen many looks."""
FEW = 4
"""Episodes that a worker does in a row where the scene is not randomised."""


@dataclass(frozen=True)
class RolloutConfig:
    """What to roll out, and where."""

    policy: str = setting(TEACHER, "checkpoint folder, scripted, or teacher, which knows where the objects are")
    variation: str = setting("base", "name or path of the variation")
    robot: str = setting("sim", "name or path of the robot profile")
    mode: str = setting("evaluate", "what an episode is for", choices=(EXPLORE, EVALUATE, SCRIPTED))
    family: str = setting("held_out", "objects", choices=("training", "held_out"))
    noise: float = setting(1.0, "of the teacher: 0 is a good grasp, 1 a weak one", low=0.0, high=2.0)
    randomise: float = setting(0.0, "strength of the scene randomisation, 1 as in pre-training", low=0.0, high=3.0)
    patterns: bool = setting(False, "the scene randomisation gives floors patterns as well")
    randomisation: Randomisation = setting(Randomisation)
    look: bool = setting(False, "judge by images as well as by the gripper (slower)")
    device: str = setting(AUTO, "where a checkpoint decides: see learning/device.py")
    network: NetworkConfig = setting(NetworkConfig, "that episodes without a checkpoint are for; it has its own")


def rollouts(config: RolloutConfig, seeds: Sequence[int], workers: Workers = HERE) -> Iterator[Episode]:
    """One episode a seed, in order, less those that had to be discarded (EpisodeDiscarded).

    Each seed is one scene, which starts from the same state whatever ran before: the same for every policy that is
    compared. config.policy names a checkpoint folder whose content stays as it is meanwhile."""
    say_what_is_replaced(config.robot)
    chunk = SCENES_A_DAY if config.randomise else FEW
    return filter(None, workers.each(_rollout, config, seeds, chunk))


@lru_cache
def say_what_is_replaced(robot: str) -> None:
    """Warn, once, of what a profile's cell is simulated with in the place of what it has. Raises ConfigError where none
    can be built."""
    profile = load_robot(robot)
    for note in robot_model(profile).urdf.notes:
        print(f"warning: {profile.name}: {note}", file=sys.stderr)


def _rollout(config: RolloutConfig, seed: int) -> Episode | None:
    cell, policy, runner = _bench(config)
    variation, today = load_variation(config.variation), cell.profile
    if config.randomise:
        rng = np.random.default_rng([seed // SCENES_A_DAY, 7])
        today = replace(today, camera=place_camera(today, rng, config.randomise, config.randomisation))
        wander = config.randomise, config.patterns, config.randomisation
        cell.set_variation(randomise_in_view(today, variation, rng, *wander), today.camera)
        if isinstance(policy, QPolicy):
            policy.move_to(today)
    cell.reset(seed, config.family, at_start=True)
    policy.reseed(seed)
    try:
        episode = runner.run(f"{Path(config.variation).stem}-{seed:08d}", variation.name, config.mode)
    except EpisodeDiscarded:
        return None
    episode.meta["cell"] = cell_numbers(today).tolist()  # so that another robot, too, can rehearse it
    if config.randomise:  # what varies the mounting knows it: pre-training learns to see it
        episode.meta["mount"] = [0.0, -cell.variation.gripper.offset_m]
    return episode


@lru_cache(maxsize=1)
def _bench(config: RolloutConfig) -> tuple[Cell, TeacherPolicy | ScriptedPolicy | QPolicy, EpisodeRunner]:
    """The cell, the policy and the runner of this process."""
    torch.set_num_threads(1)
    profile = load_robot(config.robot)
    cell = Cell(profile, load_variation(config.variation))
    policy: TeacherPolicy | ScriptedPolicy | QPolicy
    network = config.network
    if config.policy == TEACHER:
        policy = TeacherPolicy(cell, config.noise, np.random.default_rng())
    elif config.policy == SCRIPTED:
        policy = ScriptedPolicy(profile)
    else:
        checkpoint = load_checkpoint(config.policy)
        network = checkpoint.network.config
        checkpoint.network.to(choose(config.device, acting=network))
        policy = QPolicy(checkpoint, profile)
    settings = RunnerConfig(network.max_steps, network.image_size, config.look)
    return cell, policy, EpisodeRunner(sim_robot(cell), profile, policy, GraspDetector(profile), config=settings)
