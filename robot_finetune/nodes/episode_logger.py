"""Node `episode_logger`: one MCAP file for each judged grasp; tells of it only when it is safely on disk.

Steps and outcomes are kept by their publishers (transient local): a logger that was restarted gets what it missed,
writes what is not on disk yet and repeats the summaries of the rest, by the same episode_id.
"""

from __future__ import annotations

import queue
import shutil
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from robot_finetune.config import setting
from robot_finetune.data.episode_log import SUFFIX, EpisodeLogError, episode_path, remove_leftovers, write_episode
from robot_finetune.data.layout import EPISODES
from robot_finetune.msg import EpisodeSummary, GraspOutcome, PolicyStep
from robot_finetune.robot.profile import load_robot
from robot_finetune.ros.conversions import message_to_outcome, message_to_step
from robot_finetune.ros.node.diagnostics import Health, Level
from robot_finetune.ros.node.managed_node import ManagedNode, run_managed_node
from robot_finetune.ros.node.parameters import read_parameters
from robot_finetune.ros.node.qos import EPISODE, STEP
from robot_finetune.types import Episode

OPEN_EPISODES = 32
"""Episodes without all of their messages that are kept; discarded ones never get an outcome."""


@dataclass(frozen=True)
class EpisodeLoggerParameters:
    """Parameters of the node."""

    robot: str = setting("sim", "robot: a name in config/robots or a YAML file")
    out: str = setting("session", "output folder; the episodes are in its folder `episodes`")
    retry_period: float = setting(
        2.0, "wait between two attempts to write, when the disk is full", unit="s", low=0.01, high=600.0
    )


@dataclass
class _Collected:
    """What has arrived of one episode."""

    steps: dict[int, PolicyStep] = field(default_factory=dict)
    outcome: GraspOutcome | None = None

    @property
    def complete(self) -> bool:
        return self.outcome is not None and len(self.steps) >= self.outcome.steps


class EpisodeLoggerNode(ManagedNode):
    """Collects messages on the executor's thread, writes files in a worker thread.

    Inactive it goes on collecting, and writes that when it is active again or closed.
    """

    NAME, PARAMETERS = "episode_logger", EpisodeLoggerParameters

    def configure(self) -> None:
        self._config = read_parameters(self, EpisodeLoggerParameters)
        self._joints = list(load_robot(self._config.robot).joints)
        self._folder = Path(self._config.out).expanduser().absolute() / EPISODES
        self._folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(self._folder)
        self._total = len(list(self._folder.glob(f"*{SUFFIX}")))
        self._open: OrderedDict[str, _Collected] = OrderedDict()
        self._complete: queue.Queue[_Collected | None] = queue.Queue()
        self._closing = threading.Event()
        self._error = ""
        self._summaries = self.create_publisher(EpisodeSummary, "episode_summary", EPISODE)
        self.create_subscription(PolicyStep, "policy_step", self._on_step, STEP)
        self.create_subscription(GraspOutcome, "grasp_outcome", self._on_outcome, EPISODE)
        self.start_thread(self._write, self._end_writing)
        self.get_logger().info(f"{self._total} episodes in {self._folder}")

    def activate(self) -> None:
        self._hand_over()

    def _end_writing(self) -> None:
        """Write what is complete, unless the disk refuses it."""
        self._hand_over()
        self._closing.set()
        self._complete.put(None)

    def _on_step(self, message: PolicyStep) -> None:
        self._collected(message.episode_id).steps[message.step] = message
        if self.active:
            self._hand_over()

    def _on_outcome(self, message: GraspOutcome) -> None:
        self._collected(message.episode_id).outcome = message
        if self.active:
            self._hand_over()

    def _collected(self, episode_id: str) -> _Collected:
        collected = self._open.setdefault(episode_id, _Collected())
        while len(self._open) > OPEN_EPISODES:
            lost_id, lost = self._open.popitem(last=False)
            if lost.outcome is not None and not episode_path(self._folder, lost_id).is_file():
                there = f"{len(lost.steps)} of {lost.outcome.steps} steps"
                self.get_logger().error(
                    f"episode {lost_id} is not logged: only {there} arrived; run the logger from the start"
                )
        return collected

    def _hand_over(self) -> None:
        """Give the writer what is complete."""
        for episode_id in [episode_id for episode_id, collected in self._open.items() if collected.complete]:
            self._complete.put(self._open.pop(episode_id))

    def _write(self) -> None:
        while (collected := self._complete.get()) is not None:
            assert collected.outcome is not None
            outcome = collected.outcome
            try:
                path = self._write_until_done(self._episode(collected))
            except (EpisodeLogError, ValueError) as error:
                self._error = f"episode {outcome.episode_id} is not logged: {error}"
                self.get_logger().error(self._error)
                continue
            if path is not None:
                self._publish(outcome, path)

    def _write_until_done(self, episode: Episode) -> Path | None:
        """Write; while the disk is full, keep the episode and try again. None if the process ends before."""
        while True:
            known = episode_path(self._folder, episode.episode_id).is_file()
            try:
                path = write_episode(self._folder, episode)
                self._total += not known
                self._error = ""
                return path
            except EpisodeLogError as error:
                if not isinstance(error.__cause__, OSError):
                    raise
                message = f"{error}; the episode is kept in memory and written when that is possible"
                if not self._error:
                    self.get_logger().error(message)
                self._error = message
                if self._closing.wait(self._config.retry_period):
                    return None

    def _episode(self, collected: _Collected) -> Episode:
        outcome = collected.outcome
        assert outcome is not None
        messages = [collected.steps[index] for index in sorted(collected.steps)]
        meta = {"decision_ms": [message.decision_ms for message in messages]}
        if messages:
            first = messages[0]
            meta |= {"joint_names": self._joints, "frame_id": first.header.frame_id}
            meta |= {"camera_frame_id": first.observation.header.frame_id}
        steps = tuple(message_to_step(message) for message in messages)
        stamp = steps[0].observation.stamp if steps else 0.0
        context = (outcome.variation, outcome.mode, outcome.end_reason)
        return Episode(outcome.episode_id, steps, message_to_outcome(outcome), *context, stamp, meta)

    def _publish(self, outcome: GraspOutcome, path: Path) -> None:
        names = (
            "episode_id",
            "policy_version",
            "variation",
            "mode",
            "steps",
            "end_reason",
            "success",
            "confidence",
            "contradiction",
        )
        summary = EpisodeSummary(**{name: getattr(outcome, name) for name in names}, path=str(path), total=self._total)
        summary.header.stamp = self.get_clock().now().to_msg()
        self._summaries.publish(summary)

    def health(self) -> Health:
        values = {"episodes": self._total, "waiting": self._complete.qsize(), "folder": self._folder}
        values["free_gb"] = f"{shutil.disk_usage(self._folder).free / 1e9:.1f}"
        return Health(Level.ERROR if self._error else Level.OK, self._error or "ok", values)


def main(args: Sequence[str] | None = None) -> int:
    return run_managed_node(EpisodeLoggerNode, args)
