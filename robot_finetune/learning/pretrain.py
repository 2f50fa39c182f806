"""`robot-finetune pretrain`: the base policy, from nothing (QT-Opt: a weak scripted policy first, then the learned
one)."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from robot_finetune.config import setting, to_mapping
from robot_finetune.data.layout import REPLAY
from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.data.replay_file import copy_newest, pack
from robot_finetune.learning.bellman import BellmanConfig, QLearner, mixed_batch
from robot_finetune.learning.checkpoint import load_checkpoint, save_checkpoint
from robot_finetune.learning.evaluate import evaluate
from robot_finetune.learning.q_network import NetworkConfig, build_network
from robot_finetune.learning.rollouts import RolloutConfig, rollouts
from robot_finetune.robot.profile import load_robot

TRAINING_SEED = 10_000_000  # first scene of collections
VALIDATION_SEED = 98  # of the evaluations that choose the best version; reported figures use others


@dataclass(frozen=True)
class PretrainConfig:
    """How much of what."""

    scripted: int = setting(4000, "episodes of the weak scripted policy", low=1)
    updates: int = setting(3000, "gradient steps on them", low=1)
    rounds: int = setting(3, "on-policy rounds", low=0)
    round_episodes: int = setting(1000, "exploring episodes of the learned policy in a round", low=1)
    round_updates: int = setting(1200, "gradient steps after each round", low=1)
    batch_size: int = setting(64, "transitions a gradient step", low=2)
    on_policy: float = setting(0.5, "part of a batch that comes from the on-policy rounds", low=0.0, high=1.0)
    evaluate_every: int = setting(400, "gradient steps between evaluations in the rounds", low=1)
    episodes: int = setting(150, "grasps of one evaluation", low=1)
    randomise: float = setting(1.0, "strength of the scene randomisation", low=0.0)
    base_replay: int = setting(5000, "episodes kept beside the base policy for fine-tuning", low=1)
    seed: int = setting(0, "of scenes, weights and batches", low=0)
    network: NetworkConfig = setting(NetworkConfig)
    bellman: BellmanConfig = setting(BellmanConfig)


class Pretraining:
    """One pre-training run; `out` ends as the folder of the best version by evaluation, with its replay.bin."""

    def __init__(self, config: PretrainConfig, out: Path, robot: str = "sim", processes: int = 2) -> None:
        self.config, self.out, self.robot, self.processes = config, out, robot, processes
        profile = load_robot(robot)
        network = build_network(config.network, config.seed)
        network.geometry.set_profile(profile)
        self.learner = QLearner(network, config.bellman, profile.workspace.max_step_yaw, config.seed)
        self.rng = np.random.default_rng(config.seed)
        size, steps = config.network.image_size, config.network.max_steps
        self.scripted = ReplayBuffer(out / "data" / "scripted", config.scripted * steps, size)
        self.explored = ReplayBuffer(
            out / "data" / "explored", max(1, config.rounds * config.round_episodes * steps), size
        )
        self.best = -1.0
        self.scenes = 0
        self.start = time.monotonic()

    def run(self) -> None:
        config = self.config
        self._collect(
            self.scripted,
            RolloutConfig("scripted", robot=self.robot, mode="scripted", family="training", randomise=config.randomise),
            config.scripted,
        )
        self._train(config.updates)
        self._evaluate()
        for index in range(config.rounds):
            source = RolloutConfig(
                str(self._save("last")), robot=self.robot, mode="explore", family="training", randomise=config.randomise
            )
            self._collect(self.explored, source, config.round_episodes * (index + 1))
            for _ in range(0, config.round_updates, config.evaluate_every):
                self._train(config.evaluate_every)
                self._evaluate()
        self._pack()

    def _collect(self, buffer: ReplayBuffer, source: RolloutConfig, episodes: int) -> None:
        first = TRAINING_SEED * (self.config.seed + 1)
        while buffer.episodes < episodes:
            start = first + self.scenes
            self.scenes += episodes - buffer.episodes
            for episode in rollouts(source, range(start, first + self.scenes), self.processes):
                buffer.add(episode)
        self._say(f"{buffer.episodes} {source.mode} episodes, {buffer.successes / buffer.episodes:.1%} successful")

    def _train(self, updates: int) -> None:
        config = self.config
        on_policy = round(config.batch_size * config.on_policy) if len(self.explored) else 0
        counts = [(self.scripted, config.batch_size - on_policy), (self.explored, on_policy)]
        for _ in range(updates):
            metrics = self.learner.update(mixed_batch(counts, config.bellman, self.rng))
            if self.learner.updates % 100 == 0:
                self._say(
                    f"update {self.learner.updates}: loss {metrics.loss:.4f}, mean Q {metrics.mean_q:.3f},"
                    f" TD error {metrics.td_error:.3f}"
                )

    def _evaluate(self) -> None:
        folder = self._save("last")
        result = evaluate(str(folder), "base", self.config.episodes, VALIDATION_SEED, self.robot, self.processes)
        self._say(
            f"update {self.learner.updates}: {result['success_rate']:.1%} of {result['episodes']} held-out grasps"
        )
        if result["success_rate"] > self.best:
            self.best = result["success_rate"]
            self._save("best", validation=result)

    def _save(self, name: str, **more: object) -> Path:
        meta = {
            "command": "robot-finetune pretrain",
            "updates": self.learner.updates,
            "pretrain": to_mapping(self.config),
            **more,
        }
        folder = self.out / name
        save_checkpoint(folder, self.learner.target, 1, 0, json.loads(json.dumps(meta)))
        return folder

    def _pack(self) -> None:
        """Keep the newest explored and scripted episodes, half and half, beside the best version."""
        half = self.config.base_replay // 2
        keep = ReplayBuffer(
            None, self.config.base_replay * self.config.network.max_steps, self.config.network.image_size
        )
        copy_newest(self.explored, keep, half)
        copy_newest(self.scripted, keep, self.config.base_replay - keep.episodes)
        pack(keep, self.out / "best" / REPLAY)
        load_checkpoint(self.out / "best")
        self._say(
            f"best version: {self.best:.1%}; {keep.episodes} episodes in its replay;"
            f" copy {self.out / 'best'} to models/base"
        )

    def _say(self, text: str) -> None:
        print(f"[{time.monotonic() - self.start:6.0f} s] {text}", flush=True)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--config", type=Path, help="YAML of PretrainConfig; see config/pretrain.yaml")
    parser.add_argument("--robot", default="sim", help="robot profile: name or YAML file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2, help="parallel simulations")
    parser.add_argument("--threads", type=int, default=1, help="torch threads of the learner")


def run(args: argparse.Namespace) -> int:
    from dataclasses import replace

    from robot_finetune.config import from_yaml

    torch.set_num_threads(args.threads)
    config = from_yaml(PretrainConfig, args.config) if args.config else PretrainConfig()
    Pretraining(replace(config, seed=args.seed), args.out, args.robot, args.processes).run()
    return 0
