"""Fine-tuning as in "Never Stop Learning", section 3: start from the base policy's parameters, half base data and
half new data. The paper takes a quarter of the learning rate. Here it is the whole, and what is deployed lies between
the fine-tuned weights and those of the start (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022):
that keeps more of the base task, and of the gain."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from robot_finetune.config import ConfigError, setting
from robot_finetune.data.atomic_file import atomic_file
from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.data.transitions import Batch
from robot_finetune.learning.batches import Batches
from robot_finetune.learning.bellman import BellmanConfig, Metrics, QLearner, Sampled, mixed_batch
from robot_finetune.learning.checkpoint import Checkpoint, CheckpointError
from robot_finetune.learning.mounting import ByHand, Mounting
from robot_finetune.learning.networks.interface import QNetwork
from robot_finetune.learning.scene_transfer import SceneTransfer
from robot_finetune.learning.team import ALONE, Team
from robot_finetune.robot.profile import RobotProfile

FINE_TUNE_BELLMAN = BellmanConfig(polyak=0.99, n_step=3)


@dataclass(frozen=True)
class FineTuneConfig:
    """The paper's recipe, and what an ablation has added to it (experiments/benchmarks/ablation.py)."""

    batch_size: int = setting(64, "transitions a gradient step", low=2, high=4096)
    new_fraction: float = setting(0.5, "part of a batch that comes from the new data (paper: half)", low=0.0, high=1.0)
    earlier_fraction: float = setting(
        0.25, "part of the base data's share that comes from earlier sessions, where there are any", low=0.0, high=1.0
    )
    demonstration_share: float = setting(
        0.125,
        "part of a batch, out of the new data's, in which a person acted (Luo et al. 2024); 0 while there is none",
        low=0.0,
        high=1.0,
    )
    transfer: float = setting(
        0.7, "part of the base data that is put into the scene of the new data (ours)", low=0.0, high=1.0
    )
    base_weight: float = setting(
        0.25,
        "part of the weights of the start in the weights that are deployed (Wortsman et al. 2022)",
        low=0.0,
        high=1.0,
    )
    bellman: BellmanConfig = setting(FINE_TUNE_BELLMAN, "update")


@dataclass(frozen=True)
class _Robot:
    """The new data of one robot, and the base data in the scene that it shows."""

    mounted: Mounting
    by_hand: ByHand
    rehearsed: SceneTransfer

    @staticmethod
    def of(base: ReplayBuffer, new: ReplayBuffer, start: QNetwork, profile: RobotProfile, transfer: float) -> _Robot:
        mounted = Mounting(new, start)
        return _Robot(mounted, ByHand(mounted), SceneTransfer(base, new, profile, transfer))


def equal_parts(number: int, parts: int, turn: int) -> list[int]:
    """`number` in so many parts that differ by 1 at most; `turn` says which of them get more."""
    return [(number + (index + turn) % parts) // parts for index in range(parts)]


class FineTuner:
    """Fine-tunes a copy of a checkpoint's network on a base and a new replay buffer, on the network's device; the new
    buffer may grow between two updates."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        base: ReplayBuffer,
        new: ReplayBuffer,
        profile: RobotProfile,
        config: FineTuneConfig = FineTuneConfig(),
        seed: int = 0,
        earlier: ReplayBuffer | None = None,
        others: Sequence[ReplayBuffer] = (),
        team: Team = ALONE,
    ) -> None:
        """earlier: grasps of earlier sessions, rehearsed as they are. others: new buffers of other robots of this
        profile; of each batch all robots that have grasps get an equal share. team: processes with the same
        replays that learn as one; raises ConfigError where they cannot share a batch."""
        if config.batch_size % team.size:
            raise ConfigError(
                f"batch_size = {config.batch_size}: {team.size} processes share it; set a multiple of that"
            )
        checkpoint.network.geometry.set_profile(profile)
        self.config, self.base, self.new = config, base, new
        self.start = copy.deepcopy(checkpoint.network)
        self.learner = QLearner(checkpoint.network, config.bellman, profile.workspace.max_step_yaw, seed, team)
        replays = (base, new, *others)
        self._batches = Batches(self._draw, lambda: tuple(each.revision for each in replays), self.learner.device, seed)
        self._robots = [_Robot.of(base, each, checkpoint.network, profile, config.transfer) for each in (new, *others)]
        self._earlier = earlier

    @property
    def updates(self) -> int:
        """Gradient steps since the checkpoint that fine-tuning started from."""
        return self.learner.updates

    @property
    def mount(self) -> np.ndarray:
        """Where the gripper is in the new data, as far as its images say: see `Mounting.place`."""
        return self._robots[0].mounted.place()

    def update(self) -> Metrics:
        """One gradient step, half on base and half on new transitions (all on one while the other is empty). Raises
        DeviceError."""
        with self._batches.next() as batch:
            return self.learner.update(batch)

    def _draw(self, rng: np.random.Generator) -> Batch:
        size, config = self.config.batch_size, self.config
        robots = [robot for robot in self._robots if len(robot.mounted)]
        new = round(size * config.new_fraction) if len(self.base) else size
        new = new if robots else 0
        past = round((size - new) * config.earlier_fraction) if self._earlier else 0
        demonstrated = round(size * config.demonstration_share)
        counts: list[tuple[Sampled, int]] = []
        robots = robots or self._robots[:1]
        turn = int(rng.integers(len(robots))) if len(robots) > 1 else 0
        parts = (equal_parts(number, len(robots), turn) for number in (size - new - past, new, demonstrated))
        for robot, old, its_new, by_hand in zip(robots, *parts, strict=True):
            shown = min(its_new, by_hand) if len(robot.by_hand) else 0
            counts += [(robot.rehearsed, old), (robot.mounted, its_new - shown), (robot.by_hand, shown)]
        if self._earlier:
            counts.append((self._earlier, past))
        return self.learner.team.part(mixed_batch(counts, config.bellman, rng))

    def network(self) -> QNetwork:
        """The network to deploy: the averaged weights, as in QT-Opt, drawn back to those of the start by
        `base_weight`."""
        deployed = copy.deepcopy(self.learner.target)
        for new, start in zip(deployed.state_dict().values(), self.start.state_dict().values(), strict=True):
            if new.is_floating_point():
                new.lerp_(start, self.config.base_weight)
        return deployed

    def save_state(self, path: str | Path) -> None:
        """Write all that is needed to go on after a crash with identical results, on any device; atomic."""
        with atomic_file(Path(path)) as stream:
            torch.save({"learner": self.learner.state_dict(), "rng": self._batches.random_state}, stream)

    def load_state(self, path: str | Path) -> None:
        """Go on from `save_state`. Raises CheckpointError if the file is damaged or of another network."""
        try:
            state = torch.load(os.fspath(path), map_location="cpu", weights_only=True)
            self.learner.load_state_dict(state["learner"])
            self._batches.random_state = state["rng"]
        except Exception as error:  # torch, zip and pickle raise many kinds
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise CheckpointError(
                f"{path}: cannot resume training ({reason}); remove the file to start from the base policy"
            ) from error
