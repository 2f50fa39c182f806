"""A fine-tuning session in one process, step by step as the nodes make it: grasp, log, learn, publish, decide.

The parts are those of the nodes (`Trainer`, `SwitchingPolicy`, `Gate`); nothing here decides. `Spoiling` breaks the
training, which the gate has to find out by itself.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from robot_finetune.config import setting
from robot_finetune.data.episode_log import write_episode
from robot_finetune.data.layout import EPISODES
from robot_finetune.data.promotion_log import Decision, Fact
from robot_finetune.experiments.evaluate import evaluate
from robot_finetune.learning.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from robot_finetune.learning.promotion.autonomy import Autonomy, AutonomyConfig
from robot_finetune.learning.promotion.gate import Gate, PromotionConfig
from robot_finetune.learning.q_policy import QPolicy
from robot_finetune.learning.trainer import PublishedVersion, Trainer, TrainerConfig
from robot_finetune.learning.version_switch import SwitchingPolicy, version_id
from robot_finetune.perception.grasp_success import GraspDetector
from robot_finetune.robot.episode_runner import EpisodeDiscarded, EpisodeRunner, RunnerConfig
from robot_finetune.robot.interfaces import Decision as ActionDecision
from robot_finetune.robot.profile import load_robot
from robot_finetune.sim.cell import Cell
from robot_finetune.sim.robot import sim_robot
from robot_finetune.sim.teacher_policy import TeacherPolicy
from robot_finetune.sim.variations import load_variation
from robot_finetune.types import EVALUATE, EXPLORE, Episode, Observation

FIRST_SCENE = 40_000_000
"""Scenes of sessions are none of explorations or evaluations."""


@dataclass(frozen=True)
class Spoiling:
    """What is wrong with the training."""

    flipped: float = setting(0.0, "part of the episodes whose success the trainer is told the wrong way", low=0, high=1)
    rate: float = setting(1.0, "factor of the learning rate", low=0.0, high=1e6)
    nan: bool = setting(False, "whether weights are not finite")
    variation: str = setting("", "that the trainer's episodes come from instead")


@dataclass(frozen=True)
class SessionPlan:
    """A session."""

    policy: str
    variation: str
    grasps: int = 200
    seed: int = 0
    promotion: PromotionConfig = PromotionConfig()
    training: TrainerConfig = TrainerConfig()
    spoiling: Spoiling = Spoiling()
    robot: str = "sim"
    auto: AutonomyConfig = AutonomyConfig()


class Person:
    """Implements `Policy` as a person who takes over from `policy` at the first step and grasps well."""

    def __init__(self, teacher: TeacherPolicy, policy: SwitchingPolicy) -> None:
        self._teacher, self._policy = teacher, policy

    def begin_episode(self, mode: str) -> None:
        self._policy.begin_episode(mode)
        self._teacher.begin_episode(mode)

    def act(self, observation: Observation) -> ActionDecision:
        decision = self._teacher.act(observation)
        return dataclasses.replace(decision, version=self._policy.version, intervention=True)


class Bench:
    """A cell under a variation, and who grasps in it."""

    def __init__(self, plan: SessionPlan, variation: str, policy: SwitchingPolicy) -> None:
        network, profile = load_checkpoint(plan.policy).network.config, load_robot(plan.robot)
        self.variation = load_variation(variation)
        self._cell = Cell(profile, self.variation)
        settings = RunnerConfig(network.max_steps, network.image_size, look=False)
        person = Person(TeacherPolicy(self._cell, 0.0, np.random.default_rng(plan.seed)), policy)
        self._runner, self._by_hand = (
            EpisodeRunner(sim_robot(self._cell), profile, acting, GraspDetector(profile), config=settings)
            for acting in (policy, person)
        )
        self._scene = FIRST_SCENE + plan.seed * 100_000

    def switch(self, variation: str) -> None:
        """Change the cell's state."""
        self.variation = load_variation(variation)
        self._cell.set_variation(self.variation)

    def grasp(self, mode: str = EXPLORE, by_hand: bool = False) -> Episode:
        """One grasp in a new scene, by the policy or a person; a discarded one is made again in the next."""
        runner = self._by_hand if by_hand else self._runner
        while True:
            self._scene += 1
            self._cell.reset(self._scene, "held_out", at_start=True)
            try:
                return runner.run(f"s{self._scene:09d}", self.variation.name, mode)
            except EpisodeDiscarded:
                continue


class SimulatedSession:
    """A policy and its trainer in a new folder. facts: what was told and decided. folders: of versions, by number."""

    def __init__(self, plan: SessionPlan, out: Path) -> None:
        torch.set_num_threads(1)
        profile, base = load_robot(plan.robot), load_checkpoint(plan.policy)
        self.facts: list[Fact | Decision] = []
        self.folders = {base.version: Path(plan.policy)}
        gate = Gate(version_id(base), plan.promotion)
        network = QPolicy(base, profile, seed=plan.seed)
        self.policy = SwitchingPolicy(network, gate, self.facts.append, autonomy=Autonomy(plan.auto))
        self._trainer = Trainer(Path(plan.policy), out, profile, _spoiled(plan), plan.seed)
        self._plan, self._episodes = plan, out / EPISODES
        self._rng = np.random.default_rng(plan.seed)
        self._episodes.mkdir(parents=True, exist_ok=True)

    @property
    def decisions(self) -> list[dict[str, Any]]:
        """All that was decided, in order."""
        return [dataclasses.asdict(entry) for entry in self.facts if isinstance(entry, Decision)]

    def learn(self, episode: Episode) -> None:
        """Log an episode, and take what gradient steps are due after it."""
        write_episode(self._episodes, _told(episode, self._plan.spoiling.flipped, self._rng))
        self._trainer.collect()
        while not self._trainer.waiting:
            _offer(self.policy, self._trainer.update(), self.folders, self._plan.spoiling)

    def finish(self) -> int:
        """Publish the last gradient steps; returns the version that is deployed."""
        _offer(self.policy, self._trainer.publish(), self.folders, self._plan.spoiling)
        self.policy.begin_episode(EVALUATE)
        return self.policy.gate.incumbent.version


def run_session(plan: SessionPlan, out: Path, episodes: int, evaluation_seed: int = 0) -> dict[str, Any]:
    """Explore and learn in a new folder, then measure what is deployed over `episodes` grasps.

    Returns {success: bool of each exploring grasp, version: of each, decisions, deployed, versions, folder, result}.
    """
    session = SimulatedSession(plan, out)
    bench = Bench(plan, plan.variation, session.policy)
    other = Bench(plan, plan.spoiling.variation, session.policy) if plan.spoiling.variation else None
    made: list[tuple[int, bool]] = []
    for _ in range(plan.grasps):
        episode = bench.grasp()
        session.policy.judged(episode.episode_id, episode.outcome.success)
        made.append((episode.policy_version, episode.outcome.success))
        session.learn(other.grasp() if other else episode)
    deployed = session.finish()
    folder = str(session.folders[deployed])
    result = evaluate(folder, plan.variation, episodes, evaluation_seed, plan.robot)
    return {
        "success": [success for _, success in made],
        "version": [version for version, _ in made],
        "decisions": session.decisions,
        "deployed": deployed,
        "versions": len(session.folders) - 1,
        "folder": folder,
        "result": result,
    }


def _spoiled(plan: SessionPlan) -> TrainerConfig:
    bellman = plan.training.fine_tune.bellman
    faster = dataclasses.replace(bellman, learning_rate=bellman.learning_rate * plan.spoiling.rate)
    return dataclasses.replace(plan.training, fine_tune=dataclasses.replace(plan.training.fine_tune, bellman=faster))


def _told(episode: Episode, flipped: float, rng: np.random.Generator) -> Episode:
    """What the trainer is told of an episode."""
    if rng.random() >= flipped:
        return episode
    return dataclasses.replace(
        episode, outcome=dataclasses.replace(episode.outcome, success=not episode.outcome.success)
    )


def _offer(
    policy: SwitchingPolicy, version: PublishedVersion | None, folders: dict[int, Path], spoiling: Spoiling
) -> None:
    """Hand a version over as the policy node does: one that cannot be used is passed over."""
    if version is None:
        return
    folders[version.version] = version.folder
    sha256 = version.sha256
    if spoiling.nan:
        made = load_checkpoint(version.folder)
        with torch.no_grad():
            next(made.network.parameters()).fill_(torch.nan)
        sha256 = save_checkpoint(version.folder, made.network, made.version, made.parent, made.meta)
    try:
        policy.offer(version.folder, version.version, sha256, dataclasses.asdict(version.score))
    except CheckpointError:
        return
