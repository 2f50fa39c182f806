"""The paper's experiment in pieces: explore with a policy, fine-tune it on what it did, measure. No ROS."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from robot_finetune.config import setting
from robot_finetune.data.layout import REPLAY
from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.data.replay_cache import unpacked
from robot_finetune.experiments.rollouts import RolloutConfig, rollouts
from robot_finetune.experiments.workers import HERE, Workers
from robot_finetune.learning.bellman import linear_decay
from robot_finetune.learning.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from robot_finetune.learning.device import AUTO
from robot_finetune.learning.finetuner import FineTuneConfig, FineTuner
from robot_finetune.learning.networks.build import build_network
from robot_finetune.learning.networks.interface import CPU, NetworkConfig
from robot_finetune.progress import with_progress
from robot_finetune.robot.profile import RobotProfile

EXPLORATION_SEED = 5_000_000  # first scene of explorations


@dataclass(frozen=True)
class AdaptConfig:
    """How long to fine-tune on so many grasps, and how."""

    updates_per_grasp: float = setting(4.0, "gradient steps a new grasp", low=0.0, high=1000.0)
    min_updates: int = setting(200, "gradient steps at least", low=0, high=1_000_000)
    max_updates: int = setting(1200, "gradient steps at most", low=1, high=1_000_000)
    decay_from: float = setting(0.4, "part of the gradient steps after which the rate falls", low=0.0, high=1.0)
    fine_tune: FineTuneConfig = setting(FineTuneConfig)

    def updates(self, grasps: int) -> int:
        """Gradient steps for so many new grasps."""
        return round(min(max(self.updates_per_grasp * grasps, self.min_updates), self.max_updates))


def explore(
    policy: str,
    variation: str,
    grasps: int,
    seed: int,
    buffer: ReplayBuffer,
    robot: str = "sim",
    workers: Workers = HERE,
    device: str = AUTO,
) -> None:
    """Add `grasps` exploring episodes of a checkpoint folder under `variation` to `buffer`, in scenes of their own."""
    config = RolloutConfig(policy, variation, robot, mode="explore", family="held_out", device=device)
    scene = EXPLORATION_SEED + seed * 100_000 + buffer.episodes
    goal = buffer.episodes + grasps
    while buffer.episodes < goal:  # a discarded episode is made up for
        scenes = range(scene, scene + goal - buffer.episodes)
        scene = scenes.stop
        for episode in with_progress(rollouts(config, scenes, workers), len(scenes), "exploring"):
            buffer.add(episode)


def fine_tune(
    policy: Path,
    new: ReplayBuffer,
    profile: RobotProfile,
    config: AdaptConfig,
    seed: int = 0,
    device: torch.device = CPU,
    base: ReplayBuffer | None = None,
    earlier: ReplayBuffer | None = None,
) -> FineTuner:
    """Fine-tune a checkpoint on a base replay (its own unless given), the new one and an earlier one. Raises
    CheckpointError, ReplayError."""
    base = base_replay(policy) if base is None else base
    tuner = FineTuner(load_checkpoint(policy, device=device), base, new, profile, config.fine_tune, seed, earlier)
    train(tuner, config, config.updates(new.episodes))
    return tuner


def train(tuner: FineTuner, config: AdaptConfig, updates: int) -> None:
    """Take gradient steps, at a constant learning rate first, which then falls to zero."""
    rate = config.fine_tune.bellman.learning_rate
    for update in with_progress(range(updates), updates, "fine-tuning", "updates"):
        tuner.learner.set_learning_rate(rate * linear_decay(update / updates, config.decay_from))
        tuner.update()


def from_scratch(
    shape: NetworkConfig,
    new: ReplayBuffer,
    profile: RobotProfile,
    config: AdaptConfig,
    seed: int,
    updates: int,
    device: torch.device = CPU,
) -> FineTuner:
    """A fresh network trained on the new data alone; nothing of its random start is deployed."""
    fresh = replace(config.fine_tune, base_weight=0.0)
    nothing = ReplayBuffer(None, capacity=1, image_size=shape.image_size)
    network = build_network(shape, seed).to(device)
    tuner = FineTuner(Checkpoint(network), nothing, new, profile, fresh, seed)
    train(tuner, config, updates)
    return tuner


def save_tuned(tuner: FineTuner, folder: Path, parent: int, meta: dict[str, Any]) -> int:
    """Write the tuned network as the version after `parent`; returns its number."""
    save_checkpoint(folder, tuner.network(), parent + 1, parent, meta | {"updates": tuner.updates})
    return parent + 1


@lru_cache(maxsize=1)
def base_replay(policy: Path) -> ReplayBuffer:
    """The replay that is kept beside a base policy, read once."""
    return unpacked(policy / REPLAY)
