"""A policy from logged episodes alone: offline Q-learning on what robots did, without a simulation of their cell.

From nothing, or from a policy whose replay is rehearsed. Some episodes are held out by their ids; how well Q at closing
foretells their outcomes draws the curve, chooses the best version and ends the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from robot_finetune.config import ConfigError, from_mapping, load_json, setting, to_mapping
from robot_finetune.data.atomic_file import atomic_file
from robot_finetune.data.episode_log import CorruptEpisode
from robot_finetune.data.episode_store import EpisodeStore, episodes_in
from robot_finetune.data.label_log import may_be_learned_from
from robot_finetune.data.layout import REPLAY
from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.data.replay_cache import unpacked
from robot_finetune.data.replay_file import copy_newest, pack
from robot_finetune.experiments.training_log import TrainingLog
from robot_finetune.files import to_json
from robot_finetune.learning.bellman import linear_decay
from robot_finetune.learning.checkpoint import Checkpoint, CheckpointError, load_checkpoint, save_checkpoint
from robot_finetune.learning.finetuner import FineTuneConfig, FineTuner
from robot_finetune.learning.networks.build import build_network
from robot_finetune.learning.networks.interface import CPU, NetworkConfig
from robot_finetune.learning.offline_score import Closing, is_held_out, log_losses
from robot_finetune.learning.team import ALONE, Team
from robot_finetune.progress import with_progress
from robot_finetune.robot.profile import RobotProfile

BEST, STATE, PROGRESS = "best", "state.pt", "progress.json"
LOG_EVERY = 50  # gradient steps


@dataclass(frozen=True)
class OfflineConfig:
    """How a policy is learned from logged episodes."""

    updates: int = setting(6000, "gradient steps at most", low=1, high=10_000_000)
    evaluate_every: int = setting(250, "gradient steps between two looks at the held-out episodes", low=1)
    patience: int = setting(12, "looks without a better one after which the run ends; 0: never", low=0)
    hold_out: float = setting(0.1, "part of the episodes that is kept from learning", low=0.0, high=0.9)
    decay_from: float = setting(0.4, "part of the gradient steps after which the rate falls", low=0.0, high=1.0)
    replay: int = setting(4500, "episodes kept beside the policy, at least half of them new ones", low=2)
    network: NetworkConfig = setting(NetworkConfig, "of a policy that starts from nothing")
    fine_tune: FineTuneConfig = setting(FineTuneConfig, "the update")


@dataclass(frozen=True)
class Progress:
    """What a run has to know of itself besides the learner's state. best: lowest log-loss on the held-out episodes.

    looks: since it was found."""

    config: str = setting("", "settings of the run")
    best: float = setting(float("inf"), "lowest log-loss so far")
    looks: int = setting(0, "looks since then", low=0)


class OfflineTraining:
    """One run in the folder `out`; `best` in it ends as the best version, with its replay.bin.

    Goes on where a run of the same settings in `out` stopped; episodes that came since are taken in. Raises
    CheckpointError if `out` holds another run, ConfigError where there is nothing to learn from, ReplayError.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        out: Path,
        profile: RobotProfile,
        config: OfflineConfig = OfflineConfig(),
        policy: Path | None = None,
        seed: int = 0,
        device: torch.device = CPU,
        team: Team = ALONE,
    ) -> None:
        """folders: of sessions, or of episode files. policy: to start from; None: from nothing. device: where it
        learns. team: processes that do the same, each in an `out` of its own."""
        self.config, self.out, self.team = config, out, team
        start = load_checkpoint(policy) if policy else Checkpoint(build_network(config.network, seed))
        start.network.to(device)
        shape = start.network.config
        fine_tune = config.fine_tune
        if policy is None:  # nothing to go back to, and nothing that could say where the gripper is seen
            fine_tune = replace(fine_tune, base_weight=0.0, bellman=replace(fine_tune.bellman, see_gripper=0.0))
        files = [(store, path) for store in map(episodes_in, folders) for path in store.paths()]
        self.new = ReplayBuffer(out / "data", max(1, len(files)) * shape.max_steps, shape.image_size)
        self.closings: list[Closing] = []
        self._read(files)
        packed = policy / REPLAY if policy else None
        self.base = (
            unpacked(packed) if packed and packed.is_file() else ReplayBuffer(None, 1, image_size=shape.image_size)
        )
        self.start = start
        self.tuner = FineTuner(start, self.base, self.new, profile, fine_tune, seed, team=team)
        made_with = to_json(to_mapping(config) | {"policy": start.sha256, "seed": seed})
        self.progress = Progress(config=made_with)
        if (out / PROGRESS).is_file():
            self.progress = from_mapping(Progress, load_json(out / PROGRESS), str(out / PROGRESS))
            if self.progress.config != made_with:
                raise CheckpointError(f"{out}: is a run with other settings; give another folder or the same settings")
            self.tuner.load_state(out / STATE)
        self.log = TrainingLog(out / "tensorboard", config.updates, self.tuner.updates)

    def run(self) -> None:
        config, tuner = self.config, self.tuner
        learned, held_out = self.new.episodes, len(self.closings)
        self.log.say(
            f"{learned} episodes to learn from ({self.new.successes} successful), {held_out} held out; to know nothing "
            f"but their share of successes is a log-loss of {self.ignorance:.3f}"
        )
        rate = config.fine_tune.bellman.learning_rate
        while tuner.updates < config.updates and not (config.patience and self.progress.looks >= config.patience):
            tuner.learner.set_learning_rate(rate * linear_decay(tuner.updates / config.updates, config.decay_from))
            metrics = tuner.update()
            if tuner.updates % LOG_EVERY == 0:
                self.log.progress(tuner.updates, {f"train/{name}": value for name, value in metrics._asdict().items()})
            if tuner.updates % config.evaluate_every == 0 or tuner.updates == config.updates:
                self._look()
        self._pack()

    @property
    def ignorance(self) -> float:
        """Log-loss on the held-out episodes of saying, for each, the share of successes among the others."""
        share = (self.new.successes + 1) / (self.new.episodes + 2)
        return float(-np.mean([np.log(share if closing.success else 1.0 - share) for closing in self.closings]))

    def _read(self, files: Sequence[tuple[EpisodeStore, Path]]) -> None:
        for store, path in with_progress(files, len(files), "reading episodes"):
            try:
                episode = store.read(path)
            except CorruptEpisode as error:
                print(f"passed over: {error}", flush=True)
                continue
            if not may_be_learned_from(episode):
                continue
            if is_held_out(episode.episode_id, self.config.hold_out):
                self.closings.extend(filter(None, [Closing.of(episode)]))
            else:
                self.new.add(episode)
        if not self.new.episodes:
            raise ConfigError(
                "no episode to learn from in the given folders: give sessions with exploring or scripted grasps"
            )
        if not self.closings:
            raise ConfigError(
                f"none of the {self.new.episodes} episodes is held out: give more episodes, or raise hold_out"
            )

    def _look(self) -> None:
        """Score the network as it is on the held-out episodes, and keep it if it is the best."""
        network = self.tuner.network().eval()
        losses = log_losses(network, self.closings)
        loss, looks = self.team.same(float(losses.mean())), self.progress.looks + 1
        self.log.scalar("held_out/log_loss", loss)
        better = loss < self.progress.best
        self.log.say(
            f"update {self.tuner.updates}: log-loss {loss:.3f} held out{', the best so far' if better else ''}"
        )
        if better:
            looks = 0
            meta = {"command": "robot-finetune pretrain --episodes", "updates": self.tuner.updates}
            meta |= {"grasps": self.new.episodes, "held_out": len(self.closings), "log_loss": loss}
            save_checkpoint(self.out / BEST, network, self.start.version + 1, self.start.version, meta)
        self.progress = replace(self.progress, best=min(loss, self.progress.best), looks=looks)
        self.new.flush()
        self.tuner.save_state(self.out / STATE)
        with atomic_file(self.out / PROGRESS) as stream:
            stream.write(to_json(to_mapping(self.progress)).encode())

    def _pack(self) -> None:
        """Keep what was learned from beside the best version, to be rehearsed: at least half of it new episodes."""
        shape = self.start.network.config
        keep = ReplayBuffer(None, self.config.replay * shape.max_steps, shape.image_size)
        old = min(self.base.episodes, self.config.replay // 2)
        if old:
            copy_newest(self.base, keep, old)
        copy_newest(self.new, keep, self.config.replay - keep.episodes)
        pack(keep, self.out / BEST / REPLAY)
        best, ignorance = self.progress.best, self.ignorance
        known = "" if best < ignorance else f", no better than knowing nothing ({ignorance:.3f}): collect more episodes"
        self.log.say(
            f"best version: log-loss {best:.3f} held out{known}; {keep.episodes} episodes in its replay; "
            f"fine-tune it with robot-finetune session --policy {self.out / BEST}"
        )
