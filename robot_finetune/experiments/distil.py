"""A policy that sees in any look what its teacher sees at home: policy distillation across randomised scenes.

Rounds as in pretrain.py: while the learner goes on, the student collects in scenes of any look; what a round collects
joins the others at its end, so a run depends on its seed alone, and one that was killed goes on with identical results.
The first round is the teacher's. That the student acts, and the teacher says what should have been done, is DAgger
(Ross et al., AISTATS 2011).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from robot_finetune.config import ConfigError, setting, to_mapping
from robot_finetune.data.atomic_file import atomic_file
from robot_finetune.data.layout import REPLAY
from robot_finetune.experiments.evaluate import evaluate
from robot_finetune.experiments.looks import LookConfig, Moments, looks
from robot_finetune.experiments.pretrain import LOG_EVERY, TRAINING_SEED, VALIDATION_SEED
from robot_finetune.experiments.run_state import save_state, saved_state
from robot_finetune.experiments.training_log import TrainingLog
from robot_finetune.experiments.workers import HERE, Workers
from robot_finetune.files import parse_json, to_json
from robot_finetune.learning.augmentation import AugmentationConfig, errors_of_pose, in_tool_frame
from robot_finetune.learning.bellman import linear_decay
from robot_finetune.learning.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from robot_finetune.learning.distillation import DistillationConfig, Distiller, Lesson
from robot_finetune.learning.mirror import Mirror
from robot_finetune.learning.networks.build import build_network
from robot_finetune.learning.networks.interface import CPU, NetworkConfig, QNetwork, state_tensors
from robot_finetune.progress import with_progress
from robot_finetune.robot.profile import load_robot
from robot_finetune.sim.randomisation import Randomisation

BEST, STUDENT = "best", "student"


@dataclass(frozen=True)
class DistilConfig:
    """How much of what."""

    rounds: int = setting(8, "rounds in which the student collects, after one of the teacher", low=1)
    round_episodes: int = setting(1200, "episodes in a round", low=1)
    round_updates: int = setting(1500, "gradient steps in a round", low=1)
    batch_size: int = setting(128, "moments a gradient step", low=2)
    decay_from: float = setting(0.4, "part of all gradient steps after which the rate falls", low=0.0, high=1.0)
    final_rate: float = setting(0.02, "of the learning rate, at the last gradient step", low=0.0, high=1.0)
    acting: float = setting(0.5, "part of the episodes in which the student acts", low=0.0, high=1.0)
    usual: float = setting(0.15, "part of the days on which scenes look as usual", low=0.0, high=1.0)
    randomise: float = setting(1.0, "strength of the scene randomisation", low=0.0, high=3.0)
    episodes: int = setting(300, "grasps of the evaluation in the cell as it is", low=1)
    seed: int = setting(0, "of scenes and batches", low=0)
    network: NetworkConfig = setting(NetworkConfig, "the student; of the teacher's shape, it begins with its weights")
    distillation: DistillationConfig = setting(DistillationConfig)
    randomisation: Randomisation = setting(Randomisation)

    @property
    def all_updates(self) -> int:
        """Gradient steps of the whole run."""
        return self.rounds * self.round_updates


class Distillation:
    """One run in the folder `out`; `best` in it ends as the student, with the teacher's replay.bin.

    Goes on where a run of the same configuration in `out` stopped. Raises CheckpointError if `out` holds another or the
    teacher has no replay, ConfigError if the student would see other images than are in that.
    """

    def __init__(
        self, config: DistilConfig, out: Path, policy: Path, robot: str = "sim", workers: Workers = HERE,
        device: torch.device = CPU,
    ) -> None:  # fmt: skip
        """policy: the teacher's folder. device: where the student learns. workers: collect meanwhile."""
        self.config, self.out, self.policy, self.robot, self.workers = config, out, policy, robot, workers
        teacher, profile = load_checkpoint(policy), load_robot(robot)
        if not (policy / REPLAY).is_file():
            raise CheckpointError(f"{policy / REPLAY}: no such file; give the folder of a policy with its replay")
        size = teacher.network.config.image_size
        if config.network.image_size != size:
            raise ConfigError(
                f"network: image_size = {config.network.image_size}: a student keeps its teacher's replay, whose images"
                f" have {size} px; set image_size: {size}"
            )
        self._teacher = teacher.sha256
        self._made_with = to_json(to_mapping(config) | {"policy": self._teacher, "robot": profile.name})
        state = saved_state(out, self._made_with)
        network = _student(config, teacher.network).to(device)
        network.geometry.set_profile(profile)
        self.learner = Distiller(network, config.distillation, Mirror.of(profile), config.seed)
        self.rng, self.round = np.random.default_rng(config.seed), 0
        if state:
            self.round, self.rng.bit_generator.state = state["round"], parse_json(state["rng"])
            self.learner.load_state_dict(state["learner"])
        self.moments = [self._read(number) for number in range(self.round)]
        self.log = TrainingLog(out / "tensorboard", config.all_updates, self.learner.updates)

    def run(self) -> None:
        while self.round <= self.config.rounds:
            self._run_round()
        self._finish()

    def _run_round(self) -> None:
        """Learn while the student as it is now collects (round 0: the teacher collects). The last round only learns."""
        config, number = self.config, self.round
        collecting = self._collect() if number < config.rounds else iter(())
        if number:
            everything = Moments.joined(self.moments)
            for _ in range(config.round_updates):
                self._update(everything)
        if number < config.rounds:
            parts = list(with_progress(collecting, config.round_episodes, f"round {number}"))
            self.moments.append(Moments.joined(parts))
            self._write(number, self.moments[-1])
        self.round += 1
        self._save_state()

    def _collect(self) -> Iterator[Moments]:
        config, number = self.config, self.round
        first = TRAINING_SEED * (config.seed + 2) + number * config.round_episodes
        source = LookConfig(
            str(self.policy),
            str(self._save_policy(f"{STUDENT}/{number:04d}")) if number else "",
            config.acting,
            self.robot,
            config.usual,
            config.randomise,
            config.randomisation,
            config.network,
        )
        return looks(source, range(first, first + config.round_episodes), self.workers)

    def _update(self, moments: Moments) -> None:
        config, learner = self.config, self.learner
        decay = linear_decay(learner.updates / config.all_updates, config.decay_from, config.final_rate)
        rows = self.rng.integers(len(moments.step), size=config.batch_size)
        lesson = lesson_of(moments, rows, config.distillation.augmentation, self.rng)
        told = learner.update(lesson, config.distillation.learning_rate * decay)
        if learner.updates % LOG_EVERY == 0:
            self.log.progress(learner.updates, {f"train/{name}": value for name, value in told._asdict().items()})

    def _finish(self) -> None:
        folder = self._save_policy(BEST)
        shutil.copyfile(self.policy / REPLAY, folder / REPLAY)
        there = evaluate(str(folder), "base", self.config.episodes, VALIDATION_SEED, self.robot, self.workers)
        self.log.scalar("evaluation/success", there["success_rate"])
        self.log.say(f"{there['success_rate']:.1%} of {there['episodes']} held-out grasps at home; copy {folder}")

    def _save_policy(self, name: str) -> Path:
        meta = {
            "command": "robot-finetune distil",
            "updates": self.learner.updates,
            "distil": to_mapping(self.config),
            "from": self._teacher,
        }
        save_checkpoint(self.out / name, self.learner.network, 1, 0, parse_json(to_json(meta)))
        return self.out / name

    def _read(self, number: int) -> Moments:
        with np.load(self._data(number)) as arrays:
            return Moments(**arrays)

    def _write(self, number: int, moments: Moments) -> None:
        self._data(number).parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(self._data(number)) as stream:
            np.savez(stream, **moments._asdict())

    def _data(self, number: int) -> Path:
        return self.out / "data" / f"{number:04d}.npz"

    def _save_state(self) -> None:
        state = {
            "round": self.round,
            "rng": to_json(self.rng.bit_generator.state),
            "learner": self.learner.state_dict(),
        }
        save_state(self.out, self._made_with, state)


def lesson_of(moments: Moments, rows: np.ndarray, config: AugmentationConfig, rng: np.random.Generator) -> Lesson:
    """Those rows of `moments`, of a robot whose pose is wrong: as `augmentation.miscalibrate` has it."""
    error = errors_of_pose(len(rows), config, rng)
    some = Moments(*(array[rows] for array in moments))
    state = state_tensors(some.image, in_tool_frame(some.pose, error), some.opening, some.step)
    mount = torch.from_numpy(some.mount - error.astype(np.float32))
    return Lesson(state, mount, torch.from_numpy(some.action), torch.from_numpy(some.value))


def _student(config: DistilConfig, teacher: QNetwork) -> QNetwork:
    """A network of the student's shape, with the teacher's weights if it differs in nothing but its encoding."""
    network = build_network(config.network, config.seed)
    if replace(config.network, encoding=teacher.config.encoding) == teacher.config:
        network.load_state_dict(teacher.state_dict())
    return network
