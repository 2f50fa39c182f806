"""What a policy would do at home, in scenes that look otherwise: each moment is seen twice, as the robot's camera shows
it and in the cell's usual look, in which a teacher knows what actions are worth. No ROS.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch

from robot_finetune.config import setting
from robot_finetune.experiments.rollouts import SCENES_A_DAY, say_what_is_replaced
from robot_finetune.experiments.workers import HERE, Workers
from robot_finetune.learning.cem import CLOSE_ACTION, move_actions
from robot_finetune.learning.checkpoint import load_checkpoint
from robot_finetune.learning.networks.interface import NetworkConfig
from robot_finetune.learning.q_policy import QPolicy
from robot_finetune.perception.grasp_success import GraspDetector
from robot_finetune.robot.episode_runner import EpisodeDiscarded, EpisodeRunner, RunnerConfig
from robot_finetune.robot.interfaces import Decision
from robot_finetune.robot.preprocess import preprocess
from robot_finetune.robot.profile import load_robot
from robot_finetune.sim.cell import Cell
from robot_finetune.sim.randomisation import Randomisation, randomise_in_view, usual_look
from robot_finetune.sim.robot import sim_robot
from robot_finetune.sim.variations import load_variation
from robot_finetune.types import EXPLORE, Observation

SPREADS = (12 * (0.7,) + 8 * (0.15,) + 4 * (0.05,), 8 * (0.15,))
"""Standard deviations, normalised, of the actions that are asked about: around no motion (the widest) and around the
teacher's choice; and around the choice of who acts."""


@dataclass(frozen=True)
class LookConfig:
    """Whom to ask, who acts, and in which scenes."""

    policy: str = setting("models/base", "checkpoint folder of the teacher")
    student: str = setting(
        "", "checkpoint folder of who acts in a part of the episodes; empty: the teacher always does"
    )
    acting: float = setting(0.5, "that part", low=0.0, high=1.0)
    robot: str = setting("sim", "name or path of the robot profile")
    usual: float = setting(0.15, "part of the days on which scenes look as usual", low=0.0, high=1.0)
    randomise: float = setting(1.0, "strength of the scene randomisation", low=0.0, high=3.0)
    randomisation: Randomisation = setting(Randomisation)
    network: NetworkConfig = setting(NetworkConfig, "of the student")


class Moments(NamedTuple):
    """M moments. image: uint8 (M, S, S, 3), as the camera shows it. pose: (M, 4) [m, rad]. opening, step: (M,). mount:
    (M, 2) [m, tool frame], where the gripper really is. action: (M, N, 8), the first closes. value: (M, N), the
    teacher's Q of them."""

    image: np.ndarray
    pose: np.ndarray
    opening: np.ndarray
    step: np.ndarray
    mount: np.ndarray
    action: np.ndarray
    value: np.ndarray

    @staticmethod
    def joined(parts: Sequence[Moments]) -> Moments:
        """Those of all parts, in their order."""
        return Moments(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def looks(config: LookConfig, seeds: Sequence[int], workers: Workers = HERE) -> Iterator[Moments]:
    """The moments of one exploring episode a seed, in order, less those of discarded ones."""
    say_what_is_replaced(config.robot)
    return filter(None, workers.each(_episode, config, seeds, SCENES_A_DAY))


def _episode(config: LookConfig, seed: int) -> Moments | None:
    both, runner = _bench(config)
    both.begin_scene(seed)
    try:
        runner.run(f"look-{seed:08d}", "base", EXPLORE)
    except EpisodeDiscarded:
        return None
    return Moments(*(np.stack(column) for column in zip(*both.moments, strict=True)))


@lru_cache(maxsize=1)
def _bench(config: LookConfig) -> tuple[_Both, EpisodeRunner]:
    """Who acts, and the runner, of this process."""
    torch.set_num_threads(1)
    both = _Both(config)
    settings = RunnerConfig(config.network.max_steps, config.network.image_size, look=False)
    profile = both.profile
    return both, EpisodeRunner(sim_robot(both.cell), profile, both, GraspDetector(profile), config=settings)


class _Both:
    """Implements `Policy`: the teacher or the student acts, and the teacher is asked about every moment."""

    def __init__(self, config: LookConfig) -> None:
        self.config, self.profile, self._base = config, load_robot(config.robot), load_variation("base")
        self.cell, self._usual = Cell(self.profile, self._base), Cell(self.profile, self._base)
        self._teacher = QPolicy(load_checkpoint(config.policy), self.profile)
        self._student = QPolicy(load_checkpoint(config.student), self.profile) if config.student else None
        self._acting = self._teacher
        self._generator = torch.Generator()
        self.moments: list[tuple[np.ndarray, ...]] = []

    def begin_scene(self, seed: int) -> None:
        """The look of the seed's day, and its objects."""
        config, day = self.config, np.random.default_rng([seed // SCENES_A_DAY, 7])
        wander = config.randomise, True, config.randomisation
        changed = randomise_in_view(self.profile, self._base, day, *wander)
        usual = usual_look(changed, self._base)
        self.cell.set_variation(usual if day.random() < config.usual else changed)
        self._usual.set_variation(usual)
        self.cell.reset(seed, at_start=True)
        self._usual.reset(seed, at_start=True)
        self._generator.manual_seed(seed)
        student = self._student if self._uniform() < config.acting else None
        self._acting = student or self._teacher
        for policy in {self._teacher, self._acting}:
            policy.reseed(seed)

    def begin_episode(self, mode: str) -> None:
        self.moments = []
        for policy in {self._teacher, self._acting}:
            policy.begin_episode(mode)

    @torch.inference_mode()
    def act(self, observation: Observation) -> Decision:
        self._usual.mimic(self.cell)
        size, crop = self.config.network.image_size, self.profile.camera.crop
        at_home = replace(observation, image=preprocess(self._usual.render(), size, crop))
        best = self._teacher.act(at_home)
        chosen = best if self._acting is self._teacher else self._acting.act(observation)
        actions = self._candidates(best, chosen)
        values = self._teacher.q(at_home)(actions[None])[0]
        mount = np.array([0.0, -self.cell.variation.gripper.offset_m], np.float32)
        seen = observation.image, observation.pose.astype(np.float32), np.float32(observation.opening)
        self.moments.append((*seen, np.float32(observation.step), mount, actions.numpy(), values.numpy()))  # type: ignore[arg-type]
        return chosen

    def _candidates(self, best: Decision, chosen: Decision) -> torch.Tensor:
        """(N, 8): closing, and motions around no motion and around those decisions."""
        max_yaw = self.profile.workspace.max_step_yaw
        around = []
        for decision, spreads in zip((best, chosen), SPREADS, strict=True):
            center = torch.tensor([*decision.action.translation, decision.action.yaw_change / max_yaw])
            spread = torch.tensor(spreads)[:, None]
            around.append((spread < 0.5) * center + spread * torch.randn(len(spreads), 4, generator=self._generator))
        return torch.cat([torch.tensor(CLOSE_ACTION)[None], move_actions(torch.cat(around), max_yaw)]).float()

    def _uniform(self) -> float:
        return float(torch.rand((), generator=self._generator))
