"""A policy for a robot by its own grasps, from nothing: first without a network, then in rounds of the learned policy.

As QT-Opt began on real robots: a weak scripted policy collects until there is something to learn from; then the newest
policy collects, with the trainer beside it, and between the rounds the policy is learned anew from all that was done.
Each round is a session in the output folder, made by the same graph as any other.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from robot_finetune.config import setting
from robot_finetune.data.episode_store import episodes_in
from robot_finetune.data.layout import EPISODES
from robot_finetune.data.promotion_log import IMMEDIATE
from robot_finetune.experiments.offline import BEST, OfflineConfig, OfflineTraining
from robot_finetune.experiments.session_process import go_on_or_begin
from robot_finetune.learning.networks.interface import CPU
from robot_finetune.robot.profile import load_robot
from robot_finetune.types import SCRIPTED


@dataclass(frozen=True)
class OnlineConfig:
    """How many grasps of which kind, and how much is learned between them."""

    grasps: int = setting(2000, "of the robot in all", low=1, high=100_000)
    scripted: int = setting(500, "of them, without a network", low=1, high=100_000)
    round: int = setting(250, "of each later session, by the newest policy", low=1, high=100_000)
    round_updates: int = setting(2000, "gradient steps at most after each of those", low=1, high=10_000_000)
    learn: OfflineConfig = setting(OfflineConfig, "after the grasps without a network")

    def rounds(self) -> Iterator[int]:
        """Grasps of each session."""
        left = self.grasps
        while left:
            count = min(left, self.scripted if left == self.grasps else self.round)
            yield count
            left -= count


class OnlineTraining:
    """One run in the folder `out`, which goes on where it was stopped: `sessions/NN`, `policies/NN`, and in the end
    `best`, a policy with its replay."""

    def __init__(
        self,
        config: OnlineConfig,
        out: Path,
        robot: str = "sim",
        variation: str = "base",
        seed: int = 0,
        device: torch.device = CPU,
    ) -> None:
        self.config, self.out, self.robot, self.variation = config, out, robot, variation
        self.seed, self.device = seed, device

    def run(self) -> Path:
        """The folder of the policy. Raises ConfigError, CheckpointError, KeyboardInterrupt."""
        policy: Path | None = None
        sessions: list[Path] = []
        for number, grasps in enumerate(self.config.rounds()):
            sessions.append(self.out / "sessions" / f"{number:02d}")
            self._collect(sessions[-1], grasps, policy)
            policy = self._learn(sessions, self.out / "policies" / f"{number:02d}", policy)
        assert policy is not None
        shutil.rmtree(self.out / BEST, ignore_errors=True)
        shutil.copytree(policy, self.out / BEST)
        return self.out / BEST

    def _collect(self, folder: Path, grasps: int, policy: Path | None) -> None:
        if (folder / EPISODES).is_dir() and len(episodes_in(folder).paths()) >= grasps:
            return
        beginning = ["--robot", self.robot, "--variation", self.variation, "--seed", str(self.seed)]
        beginning += ["--policy", SCRIPTED if policy is None else str(policy)]
        if policy is not None:
            beginning += ["--before", "0", "--after", "0", "--promotion", IMMEDIATE]
        go_on_or_begin(folder, ["--grasps", str(grasps)], beginning)

    def _learn(self, sessions: list[Path], out: Path, policy: Path | None) -> Path:
        recipe = self.config.learn
        if policy is not None:  # whose weights nothing is to be drawn back to: it knew less
            fine_tune = replace(recipe.fine_tune, base_weight=0.0)
            recipe = replace(recipe, updates=self.config.round_updates, fine_tune=fine_tune)
        OfflineTraining(sessions, out, load_robot(self.robot), recipe, policy, self.seed, self.device).run()
        return out / BEST
