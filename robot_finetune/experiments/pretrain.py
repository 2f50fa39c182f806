"""The base policy, from nothing, or from another one in other scenes or another cell.

As QT-Opt: episodes of a weak scripted policy first (or those that the other policy was made from), then rounds in which
the learned policy collects while the learner goes on. What a round collects joins the replay at its end, so a run
depends on its seed alone, not on timing, and one that was killed goes on with identical results.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from robot_finetune.config import ConfigError, setting, to_mapping
from robot_finetune.data.layout import REPLAY
from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.data.replay_file import copy_newest, pack, unpack
from robot_finetune.data.transitions import Batch
from robot_finetune.experiments.evaluate import EVALUATION_SEED, evaluate, success
from robot_finetune.experiments.rollouts import TEACHER, RolloutConfig, rollouts
from robot_finetune.experiments.run_state import save_state, saved_state
from robot_finetune.experiments.training_log import TrainingLog
from robot_finetune.experiments.workers import HERE, Workers
from robot_finetune.files import parse_json, to_json
from robot_finetune.learning.batches import Batches
from robot_finetune.learning.bellman import BellmanConfig, QLearner, linear_decay, mixed_batch
from robot_finetune.learning.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from robot_finetune.learning.networks.build import build_network
from robot_finetune.learning.networks.interface import CPU, NetworkConfig, QNetwork
from robot_finetune.progress import with_progress
from robot_finetune.robot.profile import RobotProfile, load_robot
from robot_finetune.sim.cell import Cell
from robot_finetune.sim.randomisation import Randomisation
from robot_finetune.types import EVALUATE, EXPLORE, SCRIPTED, Episode

TRAINING_SEED = 10_000_000  # first scene of collections
VALIDATION_SEED = 98  # of the evaluations that choose the best version: reported figures use others
LEAST_SEEN = 0.002  # of the image, taken by all objects
LOG_EVERY = 50  # gradient steps


@dataclass(frozen=True)
class PretrainConfig:
    """How much of what."""

    scripted: int = setting(8000, "episodes of the weak scripted policy", low=1)
    updates: int = setting(2000, "gradient steps on them, or on the replay of the policy to start from", low=0)
    rounds: int = setting(28, "rounds in which the learned policy collects", low=0)
    round_episodes: int = setting(600, "exploring episodes in a round", low=1)
    round_updates: int = setting(500, "gradient steps in a round", low=1)
    batch_size: int = setting(64, "transitions a gradient step", low=2)
    on_policy: float = setting(0.5, "part of a batch that the learned policy has collected", low=0.0, high=1.0)
    decay_from: float = setting(0.4, "part of all gradient steps after which the rate falls", low=0.0, high=1.0)
    final_rate: float = setting(0.02, "of the learning rate, at the last gradient step", low=0.0, high=1.0)
    evaluate_every: int = setting(4, "rounds between evaluations", low=1)
    episodes: int = setting(300, "grasps of one evaluation in the cell as it is, and in randomised scenes", low=1)
    patterns_from: int = setting(12, "round from which on the floors of the scenes have patterns", low=0)
    randomise: float = setting(1.0, "strength of the scene randomisation", low=0.0, high=3.0)
    base_replay: int = setting(4500, "episodes kept beside the base policy for fine-tuning", low=1)
    seeing_only: bool = setting(False, "the network learns only to see the gripper, the rest of it stays as it is")
    seed: int = setting(0, "of scenes, weights and batches", low=0)
    network: NetworkConfig = setting(NetworkConfig)
    bellman: BellmanConfig = setting(BellmanConfig)
    randomisation: Randomisation = setting(Randomisation)

    @property
    def all_updates(self) -> int:
        """Gradient steps of the whole run."""
        return self.updates + self.rounds * self.round_updates

    def learning_rate(self, update: int) -> float:
        """Constant, then falling linearly."""
        return self.bellman.learning_rate * linear_decay(update / self.all_updates, self.decay_from, self.final_rate)


def check_view(profile: RobotProfile) -> None:
    """Raises ConfigError where the simulated camera of a profile sees no objects, from which nothing could be learned,
    or where no cell can be built for it."""
    cell = Cell(profile)
    seen = cell.in_view()
    cell.close()
    if seen < LEAST_SEEN:
        raise ConfigError(
            f"{profile.name}: the camera sees next to nothing of the objects in the bin ({seen:.2%} of its image): "
            "correct camera.position, camera.target, camera.focal, bin_center or floor_z in the profile"
        )


class Pretraining:
    """One run in the folder `out`; `best` in it ends as the best version by evaluation, with its replay.bin.

    Goes on where a run of the same configuration in `out` stopped. Raises CheckpointError if `out` holds another.
    """

    def __init__(
        self,
        config: PretrainConfig,
        out: Path,
        robot: str = "sim",
        workers: Workers = HERE,
        device: torch.device = CPU,
        policy: Path | None = None,
    ) -> None:
        """device: where it learns. workers: collect meanwhile; policies decide where that is best. policy: folder to
        start from; its network takes the place of the one in `config`, its replay that of scripted episodes."""
        start = load_checkpoint(policy) if policy else Checkpoint(build_network(config.network, config.seed))
        if policy:
            config = replace(config, network=start.network.config)
        self.config, self.out, self.robot, self.workers, self.start = config, out, robot, workers, start
        state = saved_state(out, self._made_with)
        profile = load_robot(robot)
        network = start.network.to(device)
        network.geometry.set_profile(profile)
        if config.seeing_only:
            _let_see_only(network)
        self.learner = QLearner(network, config.bellman, profile.workspace.max_step_yaw, config.seed)
        size, steps, data = config.network.image_size, config.network.max_steps, out / "data"
        explored = max(1, config.rounds * config.round_episodes)
        self.first = (
            unpack(policy / REPLAY, data / "first")
            if policy
            else ReplayBuffer(data / "first", config.scripted * steps, size)
        )
        self.explored = ReplayBuffer(data / "explored", explored * steps, size)
        self.batches = Batches(self._draw, lambda: (self.first.revision, self.explored.revision), device, config.seed)
        self.round, self.best = 0, -1.0
        if state:
            self._restore(state)
        self.log = TrainingLog(out / "tensorboard", config.all_updates, self.learner.updates)

    def run(self) -> None:
        check_view(load_robot(self.robot))
        if self.round == 0 and not self.start.sha256:
            self._collect_scripted()
        while self.round <= self.config.rounds:
            self._run_round()
        self._pack()

    def _run_round(self) -> None:
        """Learn while the policy as it is now collects (round 0: learn from the first episodes alone)."""
        config = self.config
        collecting = self._start_exploring() if self.round else iter(())
        for _ in range(config.round_updates if self.round else config.updates):
            self._update()
        for episode in with_progress(collecting, config.round_episodes, f"round {self.round}"):
            self.explored.add(episode)
        self.log.scalar("explored/success", self.explored.successes / max(1, self.explored.episodes))
        if self.round % config.evaluate_every == 0 or self.round == config.rounds:
            self._evaluate()
        self.round += 1
        self._save_state()

    def _collect_scripted(self) -> None:
        config, first = self.config, TRAINING_SEED * (self.config.seed + 1)
        source = self._rollouts(TEACHER, SCRIPTED)
        collected = rollouts(source, range(first, first + config.scripted), self.workers)
        for episode in with_progress(collected, config.scripted, "collecting scripted episodes"):
            self.first.add(episode)  # those of an earlier, interrupted run are there already
        self.log.say(f"scripted policy: {self.first.successes / self.first.episodes:.1%} successful")

    def _start_exploring(self) -> Iterator[Episode]:
        config = self.config
        first = TRAINING_SEED * (config.seed + 1) + config.scripted + (self.round - 1) * config.round_episodes
        policy = str(self._save_policy(f"collecting/{self.round:04d}"))
        source = self._rollouts(policy, EXPLORE, patterns=self.round >= config.patterns_from)
        return rollouts(source, range(first, first + config.round_episodes), self.workers)

    def _rollouts(self, policy: str, mode: str, patterns: bool = False, family: str = "training") -> RolloutConfig:
        """Episodes of a policy in randomised scenes."""
        config = self.config
        return RolloutConfig(
            policy,
            robot=self.robot,
            mode=mode,
            family=family,
            randomise=config.randomise,
            patterns=patterns,
            randomisation=config.randomisation,
            network=config.network,
        )

    def _draw(self, rng: np.random.Generator) -> Batch:
        config = self.config
        on_policy = round(config.batch_size * config.on_policy) if len(self.explored) else 0
        counts = [(self.first, config.batch_size - on_policy), (self.explored, on_policy)]
        return mixed_batch(counts, config.bellman, rng)

    def _update(self) -> None:
        config, learner = self.config, self.learner
        learner.set_learning_rate(config.learning_rate(learner.updates))
        with self.batches.next() as batch:
            metrics = learner.update(batch)
        if learner.updates % LOG_EVERY == 0:
            self.log.progress(learner.updates, {f"train/{name}": value for name, value in metrics._asdict().items()})

    def _evaluate(self) -> None:
        folder = self._save_policy(f"versions/{self.learner.updates:06d}")
        there = evaluate(str(folder), "base", self.config.episodes, VALIDATION_SEED, self.robot, self.workers)
        anywhere = self._evaluate_anywhere(str(folder))
        self.log.scalar("evaluation/success", there["success_rate"])
        self.log.scalar("evaluation/randomised", anywhere["success_rate"])
        self.log.say(
            f"update {self.learner.updates}: {there['success_rate']:.1%} of {there['episodes']} held-out grasps,"
            f" {anywhere['success_rate']:.1%} in randomised scenes"
        )
        score = (there["success_rate"] + anywhere["success_rate"]) / 2
        if score > self.best:
            self.best = score
            self._save_policy("best", validation=there, randomised=anywhere)

    def _evaluate_anywhere(self, policy: str) -> dict[str, Any]:
        """Success in scenes as randomised as those it learns from, with held-out objects: what is good only in the cell
        as it is begins badly in a real one."""
        config, first = self.config, EVALUATION_SEED * (VALIDATION_SEED + 1)
        source = self._rollouts(policy, EVALUATE, config.patterns_from <= config.rounds, family="held_out")
        judged = rollouts(source, range(first, first + config.episodes), self.workers)
        return success(with_progress(judged, config.episodes, "evaluating in randomised scenes"), config.episodes)

    def _save_policy(self, name: str, **more: Any) -> Path:
        meta = {
            "command": "robot-finetune pretrain",
            "updates": self.learner.updates,
            "pretrain": to_mapping(self.config),
            **({"from": self.start.sha256} if self.start.sha256 else {}),
            **more,
        }
        save_checkpoint(self.out / name, self.learner.target, 1, 0, parse_json(to_json(meta)))
        return self.out / name

    def _save_state(self) -> None:
        for buffer in (self.first, self.explored):
            buffer.flush()
        state = {
            "round": self.round,
            "best": self.best,
            "explored": len(self.explored),
            "rng": self.batches.random_state,
            "learner": self.learner.state_dict(),
        }
        save_state(self.out, self._made_with, state)

    def _restore(self, state: Mapping[str, Any]) -> None:
        self.round, self.best = state["round"], state["best"]
        self.explored.keep_first(state["explored"])
        self.batches.random_state = state["rng"]
        self.learner.load_state_dict(state["learner"])

    @property
    def _made_with(self) -> str:
        return to_json(to_mapping(self.config) | {"policy": self.start.sha256})

    def _pack(self) -> None:
        """Keep the newest explored episodes and the newest of the first ones, half and half, beside the best
        version."""
        half = self.config.base_replay // 2
        keep = ReplayBuffer(
            None, self.config.base_replay * self.config.network.max_steps, self.config.network.image_size
        )
        copy_newest(self.explored, keep, half)
        copy_newest(self.first, keep, self.config.base_replay - keep.episodes)
        pack(keep, self.out / "best" / REPLAY)
        self.log.say(
            f"best version: {self.best:.1%}, the mean of both; {keep.episodes} episodes in its replay;"
            f" copy {self.out / 'best'} to models/base"
        )


def _let_see_only(network: QNetwork) -> None:
    """Only its parameters that see the gripper can learn. Raises ConfigError where it has none."""
    network.requires_grad_(False)
    seeing = list(network.seeing_parameters())
    if not seeing:
        raise ConfigError(f"seeing_only: {network.config.name} does not look for the gripper; leave it out")
    for parameter in seeing:
        parameter.requires_grad_(True)
