"""Continual fine-tuning while a robot works: episodes in from a directory, versions of the Q-network out.

All state is on disk: the episodes, the replay that is rebuilt from them, the optimiser's state and the checkpoints. A
process killed at any moment goes on where it was; version numbers only go up.
"""

from __future__ import annotations

import math
import re
import shutil
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from robot_finetune.config import ConfigError, from_mapping, setting, share_path
from robot_finetune.data.episode_log import CorruptEpisode
from robot_finetune.data.episode_store import EpisodeStore
from robot_finetune.data.label_log import DISCARD, SUCCESS, may_be_learned_from
from robot_finetune.data.layout import CHECKPOINTS, EARLIER, EPISODES, REPLAY, TENSORBOARD, TRAINER_STATE
from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.data.replay_cache import unpacked
from robot_finetune.data.replay_storage import ReplayError
from robot_finetune.data.scalar_log import ScalarLog
from robot_finetune.data.version_card import FineTuned
from robot_finetune.files import digest
from robot_finetune.learning.bellman import Metrics
from robot_finetune.learning.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from robot_finetune.learning.finetuner import FineTuneConfig, FineTuner
from robot_finetune.learning.networks.interface import CPU
from robot_finetune.learning.offline_score import Closing, OfflineScore, is_held_out, score
from robot_finetune.learning.rehearsal import earlier_replay, earlier_sessions
from robot_finetune.robot.profile import RobotProfile

HELD_OUT = 400
"""The newest grasps that versions are scored on, at most."""
CURVES_EVERY = 10
"""Gradient steps between two points of a curve."""
SMOOTHING = 0.98
"""Weight of the past in the reported loss and mean Q."""


@dataclass(frozen=True)
class TrainerConfig:
    """When to learn, how much, and when to publish."""

    min_grasps: int = setting(20, "new grasps before the first gradient step", low=1, high=100_000)
    updates_per_grasp: float = setting(3.0, "gradient steps at most, a new grasp", low=0.01, high=1000.0)
    publish_every: int = setting(100, "gradient steps between two published versions", low=1, high=1_000_000)
    save_every: int = setting(50, "gradient steps between two savings of the optimiser's state", low=1, high=1_000_000)
    replay_capacity: int = setting(
        12_000, "steps of new grasps that are kept of each robot; the oldest grasps go first", low=100, high=10_000_000
    )
    hold_out: float = setting(
        0.1, "part of the grasps that is not learned from but scores versions before they act", low=0.0, high=0.9
    )
    learn_from_contradictions: bool = setting(
        True, "also learn from grasps whose judgement by gripper and by images disagree"
    )
    tensorboard: bool = setting(True, "write curves for TensorBoard into the folder `tensorboard/trainer`")
    fine_tune: FineTuneConfig = setting(FineTuneConfig)


@dataclass(frozen=True)
class PublishedVersion:
    """A checkpoint that the trainer has written."""

    version: int
    parent: int
    folder: Path
    sha256: str
    variation: str
    grasps: int
    updates: int
    score: OfflineScore = OfflineScore()


@dataclass(frozen=True)
class _Source:
    """Where the grasps of one robot come from, and where they are kept to be learned from."""

    store: EpisodeStore
    replay: ReplayBuffer


class Trainer:
    """Fine-tunes the policy in `policy` on the episodes that may be learned from in `out`/episodes, on `device`; one
    thread uses it.

    The base replay is the policy's own, or the shipped one. Raises CheckpointError if the policy cannot be used.
    """

    def __init__(
        self,
        policy: Path,
        out: Path,
        profile: RobotProfile,
        config: TrainerConfig = TrainerConfig(),
        seed: int = 0,
        device: torch.device = CPU,
        earlier: Sequence[Path] = (),
        sources: Sequence[Path] = (),
    ) -> None:
        """earlier: folders of sessions that are rehearsed, besides that which the policy is from. Raises ConfigError
        for one without episodes. sources: folders of episodes of other robots, which have an equal share each."""
        self.config = config
        self.loss = self.mean_q = math.nan
        self.rejected: list[str] = []  # one line for each file that cannot be used and was passed over
        self._variation = ""
        self._out = out
        self._state = out / TRAINER_STATE / "state.pt"
        self._state.parent.mkdir(parents=True, exist_ok=True)
        base = load_checkpoint(policy, device=device)
        size = base.network.config.image_size
        state = self._state.parent
        self._sources = [self._source(out / EPISODES, state / "replay", size)]
        self._sources += [self._source(folder, state / f"replay-{digest(str(folder))}", size) for folder in sources]
        self.replay, *others = (source.replay for source in self._sources)
        self._grasps = 0
        self._held_out: deque[Closing] = deque(maxlen=HELD_OUT)
        packed = next(
            (path for path in (policy / REPLAY, share_path("models", "base", REPLAY)) if path.is_file()), None
        )
        base_replay = unpacked(packed, self.rejected.append) if packed else ReplayBuffer(None, 1, size)
        if base_replay.image_size != size:
            raise CheckpointError(
                f"{packed}: its images have {base_replay.image_size} px, those of the network in {policy} {size}; put "
                f"the {REPLAY} of that network's pre-training beside it"
            )
        sessions = earlier_sessions(policy, earlier, out)
        place = state / EARLIER
        rehearsed = earlier_replay(sessions, place, base.network, self.rejected.append) if sessions else None
        data = base_replay, self.replay, profile, config.fine_tune, seed, rehearsed, others
        self._tuner = FineTuner(base, *data)
        if self._state.exists():
            try:
                self._tuner.load_state(self._state)
            except CheckpointError as error:
                self.rejected.append(f"{error}; training starts from the base policy again")
                base = load_checkpoint(policy, device=device)  # the other one may hold half of the state
                self._tuner = FineTuner(base, *data)
        curves = out / TENSORBOARD / "trainer" if config.tensorboard else None
        self._curves = ScalarLog(curves, self.rejected.append, first=self.updates + 1 if self.updates else None)
        self.newest = self._newest_sound()
        self._version = self.newest.version if self.newest else base.version
        self._next = max([self._version, *self._folders()]) + 1
        self._published_updates = self.newest.updates if self.newest else 0

    @property
    def grasps(self) -> int:
        """Grasps to learn from so far."""
        return self._grasps

    @property
    def updates(self) -> int:
        """Gradient steps since the base policy."""
        return self._tuner.updates

    @property
    def version(self) -> int:
        """Newest version written, or that of the policy that training started from."""
        return self._version

    @property
    def waiting(self) -> str:
        """Why no gradient step is due now, in one line; empty if one is due."""
        if self.grasps < self.config.min_grasps:
            return f"{self.grasps} of the first {self.config.min_grasps} grasps are there"
        if self.updates >= self.config.updates_per_grasp * self.grasps:
            return f"{self.updates} updates on {self.grasps} grasps: waiting for new ones"
        return ""

    def collect(self) -> int:
        """Take the episodes that are new in each source into its replay; returns how many there were to learn from."""
        found = sum(map(self._collect, self._sources))
        self._grasps += found
        return found

    def _collect(self, source: _Source) -> int:
        found = 0
        for label in source.store.relabelled():
            if label.verdict != DISCARD:
                source.replay.relabel(label.episode_id, label.verdict == SUCCESS)
        for path in source.store.poll():
            try:
                episode = source.store.read(path)
                doubtful = episode.outcome.contradiction and not self.config.learn_from_contradictions
                if not may_be_learned_from(episode) or doubtful:
                    continue
                if is_held_out(episode.episode_id, self.config.hold_out):
                    self._held_out.extend(filter(None, [Closing.of(episode)]))
                else:
                    source.replay.add(episode)
            except (CorruptEpisode, ReplayError) as error:
                self.rejected.append(str(error))
                continue
            self._variation = episode.variation
            found += 1
        return found

    def update(self) -> PublishedVersion | None:
        """One gradient step; returns a version if one became due and was written."""
        metrics = self._tuner.update()
        self.loss = _smooth(self.loss, metrics.loss)
        self.mean_q = _smooth(self.mean_q, metrics.mean_q)
        if self.updates % CURVES_EVERY == 0:
            self._draw(metrics)
        if self.updates - self._published_updates >= self.config.publish_every:
            return self.publish()
        if self.updates % self.config.save_every == 0:
            self.save()
        return None

    def publish(self) -> PublishedVersion | None:
        """Write the present weights as a new version; None if they are those of the newest version already."""
        if self.updates == self._published_updates:
            return None
        self.save()
        version, parent = self._next, self._version
        folder = self.folder(version)
        meta: dict[str, Any] = {"variation": self._variation, "grasps": self.grasps, "updates": self.updates}
        network = self._tuner.network()
        sha256 = save_checkpoint(folder, network, version, parent, meta)
        self._version, self._next, self._published_updates = version, version + 1, self.updates
        scored = score(network, self._tuner.start, self._held_out)
        self.newest = PublishedVersion(version, parent, folder, sha256, **meta, score=scored)
        held_out = {f"held_out/{name}": value for name, value in asdict(scored).items()} if scored.grasps else {}
        self._curves.add(self.updates, {"version": version, **held_out})
        return self.newest

    def save(self) -> None:
        """Write the optimiser's state, atomically."""
        self._tuner.save_state(self._state)
        self._curves.flush()

    def _draw(self, metrics: Metrics) -> None:
        """A point of each curve. Losses are those of this gradient step alone."""
        learner, replays = self._tuner.learner, [source.replay for source in self._sources]
        sizes = {"grasps": self.grasps, "episodes": sum(replay.episodes for replay in replays)}
        sizes |= {"successes": sum(replay.successes for replay in replays), "transitions": sum(map(len, replays))}
        sizes |= {"held_out": len(self._held_out)}
        scalars = {f"train/{name}": value for name, value in metrics._asdict().items()}
        scalars |= {f"replay/{name}": size for name, size in sizes.items()}
        self._curves.add(self.updates, {**scalars, "train/learning_rate": learner.learning_rate})

    def folder(self, version: int) -> Path:
        """Where a version is, or would be."""
        return self._out / CHECKPOINTS / f"v{version:04d}"

    def _folders(self) -> dict[int, Path]:
        """The checkpoint folders of this output folder by their number; numbers are never used twice."""
        folders = (self._out / CHECKPOINTS).glob("v[0-9]*")
        return {int(folder.name[1:]): folder for folder in folders if re.fullmatch("v[0-9]{1,9}", folder.name)}

    def _newest_sound(self) -> PublishedVersion | None:
        """The newest checkpoint of this trainer; what a crash has torn or comes from elsewhere is passed over."""
        for number, folder in sorted(self._folders().items(), reverse=True):
            try:
                found = load_checkpoint(folder)
                made = from_mapping(FineTuned, found.meta, f"{folder}: meta", others=True)
                if found.version != number:
                    raise ConfigError(f"{folder}: holds version {found.version}; it is passed over")
            except (CheckpointError, ConfigError) as error:
                self.rejected.append(str(error))
                continue
            learned = (made.variation, made.grasps, made.updates)
            return PublishedVersion(found.version, found.parent, folder, found.sha256, *learned)
        return None

    def _source(self, episodes: Path, folder: Path, image_size: int) -> _Source:
        """With the replay of an earlier run, or a new one, which the episodes fill, if that is damaged, of another
        size, or holds a grasp that was discarded since."""
        store = EpisodeStore(episodes)
        try:
            replay = ReplayBuffer(folder, self.config.replay_capacity, image_size)
            if not any(episode_id in replay for episode_id in store.discarded):
                return _Source(store, replay)
        except ReplayError as error:
            self.rejected.append(f"{error} (done)")
        shutil.rmtree(folder)
        return _Source(store, ReplayBuffer(folder, self.config.replay_capacity, image_size))


def _smooth(past: float, value: float) -> float:
    return value if math.isnan(past) else SMOOTHING * past + (1 - SMOOTHING) * value
