"""Node `episode_logger`: one MCAP file for each judged grasp; tells of it only when it is safely on disk.

Steps and outcomes are kept by their publishers (transient local): a logger that was restarted gets what it missed,
writes what is not on disk yet and repeats the summaries of the rest, by the same episode_id. What an outside source of
truth says of a grasp becomes a label beside it.
"""

from __future__ import annotations

import queue
import shutil
import threading
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from robot_finetune.config import setting
from robot_finetune.data.courier import Courier
from robot_finetune.data.episode_carriers import EpisodeSender
from robot_finetune.data.episode_counter import EpisodeCounter
from robot_finetune.data.episode_log import SUFFIX, EpisodeLogError, episode_path, remove_leftovers, write_episode
from robot_finetune.data.label_log import Label, Labels, add_label
from robot_finetune.data.layout import EPISODES
from robot_finetune.data.open_episodes import OpenEpisode, OpenEpisodes
from robot_finetune.msg import EpisodeLost, EpisodePhase, EpisodeSummary, GraspOutcome, GraspVerdict, PolicyStep
from robot_finetune.perception.cell_numbers import cell_numbers
from robot_finetune.robot.profile import load_robot
from robot_finetune.ros.checked import finite, plain_text
from robot_finetune.ros.constants import MODE, PHASE, VERDICT
from robot_finetune.ros.conversions import check_context, message_to_outcome, message_to_step
from robot_finetune.ros.node.diagnostics import Health, Level
from robot_finetune.ros.node.guarded import listen
from robot_finetune.ros.node.managed_node import ManagedNode, run_managed_node
from robot_finetune.ros.node.parameters import read_parameters
from robot_finetune.ros.node.qos import COMMAND, EPISODE, STEP
from robot_finetune.ros.node.spin import until_shutdown
from robot_finetune.types import Episode, Step
from robot_finetune.types import GraspOutcome as Outcome

WAITING = 64
"""Complete episodes that wait for the disk; more stay open."""


@dataclass(frozen=True)
class EpisodeLoggerParameters:
    """Parameters of the node."""

    robot: str = setting("sim", "robot: a name in config/robots or a YAML file")
    out: str = setting("session", "output folder; the episodes are in its folder `episodes`")
    upload: str = setting(
        "", "URL of a folder elsewhere, for this robot alone, into which episodes are copied; empty: nowhere"
    )
    retry_period: float = setting(
        2.0, "wait between two attempts to write, when the disk is full", unit="s", low=0.01, high=600.0
    )


@dataclass(frozen=True)
class _Heard:
    """A step and what belongs to it in the episode's file."""

    step: Step
    decision_ms: float | None
    frame_id: str
    camera_frame_id: str

    @staticmethod
    def of(message: PolicyStep) -> _Heard:
        """Raises ValueError for a message that cannot be logged."""
        check_context(message)
        (decision_ms,) = finite([message.decision_ms], "decision_ms", 0.0, 1e9, 1)
        frames = (message.header.frame_id, message.observation.header.frame_id)
        time = None if message.intervention else float(decision_ms)
        return _Heard(message_to_step(message), time, *(plain_text(name, "frame_id") for name in frames))


@dataclass(frozen=True)
class _Judged:
    """A judgement and the message that it came in."""

    message: GraspOutcome
    outcome: Outcome


_Open = OpenEpisode[_Heard, _Judged]


class EpisodeLoggerNode(ManagedNode):
    """Collects messages on the executor's thread, writes files in a worker thread.

    Inactive it goes on collecting, and writes that when it is active again or closed.
    """

    NAME, PARAMETERS = "episode_logger", EpisodeLoggerParameters

    def configure(self) -> None:
        self._config = read_parameters(self, EpisodeLoggerParameters)
        robot = load_robot(self._config.robot)
        self._joints, self._cell = list(robot.joints), cell_numbers(robot).tolist()
        self._folder = Path(self._config.out).expanduser().absolute() / EPISODES
        self._folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(self._folder)
        self._total = len(list(self._folder.glob(f"*{SUFFIX}")))
        self._counter = EpisodeCounter(self._folder)
        self._open: OpenEpisodes[_Heard, _Judged] = OpenEpisodes()
        self._ready: queue.Queue[_Open | Label | None] = queue.Queue()
        self._labels = Labels(self._folder)
        self._early: OrderedDict[str, Label] = OrderedDict()  # of grasps that are not on disk yet
        self._lost = 0
        self._closing = threading.Event()
        self._error = ""
        self._summaries = self.create_publisher(EpisodeSummary, "episode_summary", EPISODE)
        self._losses = self.create_publisher(EpisodeLost, "episode_lost", EPISODE)
        listen(self, EpisodePhase, "episode_phase", self._on_phase, EPISODE)
        listen(self, PolicyStep, "policy_step", self._on_step, STEP)
        listen(self, GraspOutcome, "grasp_outcome", self._on_outcome, EPISODE)
        listen(self, GraspVerdict, "grasp_verdict", self._on_verdict, COMMAND)
        self.start_thread(self._write, self._end_writing)
        self._uploads: Courier | None = None
        if self._config.upload:
            self._uploads = Courier(EpisodeSender(self._folder, self._config.upload).carry)
            self.start_thread(self._uploads.run, self._uploads.close)
        self.get_logger().info(f"{self._total} episodes in {self._folder}")

    def activate(self) -> None:
        self._hand_over()

    def _end_writing(self) -> None:
        """Write what is complete, unless the disk refuses it."""
        self._hand_over()
        self._closing.set()
        self._ready.put(None)

    def _on_phase(self, message: EpisodePhase) -> None:
        if not message.episode_id:
            return
        if message.phase == PHASE.number("discarded"):
            self._open.forget(message.episode_id)
        else:
            self._open.announce(message.episode_id)

    def _on_step(self, message: PolicyStep) -> None:
        try:
            heard = _Heard.of(message)
        except ValueError as error:
            self._open.refuse(message.episode_id, f"step {message.step} cannot be used, {error}")
            raise
        self._open.add_step(message.episode_id, message.step, heard, heard.step.observation.image.nbytes)
        self._hand_over_while_active()

    def _on_outcome(self, message: GraspOutcome) -> None:
        check_context(message)
        episode_path(self._folder, message.episode_id)
        judged = _Judged(message, message_to_outcome(message))
        self._open.add_outcome(message.episode_id, judged, message.steps)
        self._hand_over_while_active()

    def _on_verdict(self, message: GraspVerdict) -> None:
        episode_path(self._folder, message.episode_id)
        source, why = plain_text(message.source, "source", 200), plain_text(message.reason, "reason", 1000)
        if not source:
            raise ValueError("a verdict without a source: who says so?")
        if self._ready.qsize() > 2 * WAITING:
            raise ValueError("too much waits for the disk")
        self._ready.put(Label(message.episode_id, VERDICT.name(message.verdict), source, why=why))

    def _hand_over_while_active(self) -> None:
        if self.active:
            self._hand_over()

    def _hand_over(self) -> None:
        """Give the writer what is complete."""
        for episode in self._open.take(WAITING - self._ready.qsize()):
            self._ready.put(episode)
        while self._open.lost:
            lost = self._open.lost.pop(0)
            if not episode_path(self._folder, lost.episode_id).is_file():
                there = f"only {len(lost.steps)} of {lost.wanted} steps arrived"
                self._give_up(lost.episode_id, f"{there}; run the logger from the start")

    def _write(self) -> None:
        while (ready := self._ready.get()) is not None:
            if isinstance(ready, Label):
                self._label(ready)
                continue
            assert ready.outcome is not None
            if not ready.complete:
                self._give_up(ready.episode_id, ready.refused)
                continue
            try:
                path = self._write_until_done(episode := self._episode(ready))
            except (EpisodeLogError, ValueError) as error:
                self._give_up(ready.episode_id, str(error))
                continue
            if path is not None:
                self._publish(ready.outcome.message, path, episode.interventions)
                if label := self._early.pop(ready.episode_id, None):
                    self._label(label)

    def _label(self, label: Label) -> None:
        """Write what an outside source says of a grasp, when that is on disk."""
        if not episode_path(self._folder, label.episode_id).is_file():
            self._early[label.episode_id] = label
            while len(self._early) > WAITING:
                self._early.popitem(last=False)
            return
        try:
            self._labels.poll()
            if not self._labels.say(label):
                add_label(self._folder, label)
        except OSError as error:
            self._error = (
                f"the verdict of {label.who} on episode {label.episode_id} is not written: {error}; say it again"
            )
            self.get_logger().error(self._error)

    def _give_up(self, episode_id: str, why: str) -> None:
        self._lost += 1
        self._error = f"episode {episode_id} is not logged: {why}"
        self.get_logger().error(self._error)
        lost = EpisodeLost(episode_id=episode_id, reason=f"not logged: {why}")
        lost.header.stamp = self.get_clock().now().to_msg()
        with until_shutdown():
            self._losses.publish(lost)

    def _write_until_done(self, episode: Episode) -> Path | None:
        """Write; while the disk is full, keep the episode and try again. None if the process ends before."""
        while True:
            known = episode_path(self._folder, episode.episode_id).is_file()
            try:
                episode.meta["number"] = self._counter.last + 1
                path = write_episode(self._folder, episode)
                if not known:
                    self._total += 1
                    with suppress(OSError):  # it is counted anew at the next start
                        self._counter.count()
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

    def _episode(self, ready: _Open) -> Episode:
        assert ready.outcome is not None
        message, heard = ready.outcome.message, [ready.steps[index] for index in sorted(ready.steps)]
        meta = {
            "decision_ms": [step.decision_ms for step in heard],
            "joint_names": self._joints,
            "frame_id": heard[0].frame_id,
            "camera_frame_id": heard[0].camera_frame_id,
            "cell": self._cell,  # a later calibration, or another robot, sees these images as they were made
        }
        steps = tuple(step.step for step in heard)
        context = (message.variation, MODE.name(message.mode), message.end_reason, steps[0].observation.stamp, meta)
        return Episode(ready.episode_id, steps, ready.outcome.outcome, *context)

    def _publish(self, outcome: GraspOutcome, path: Path, interventions: int) -> None:
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
        summary = EpisodeSummary(**{name: getattr(outcome, name) for name in names}, path=str(path))
        summary.total, summary.number, summary.interventions = self._total, self._counter.last, interventions
        summary.header.stamp = self.get_clock().now().to_msg()
        self._summaries.publish(summary)
        if self._uploads:
            self._uploads.hurry()

    def health(self) -> Health:
        values = {"episodes": self._total, "waiting": self._ready.qsize(), "lost": self._lost, "folder": self._folder}
        values["free_gb"] = f"{shutil.disk_usage(self._folder).free / 1e9:.1f}"
        late = self._uploads.late if self._uploads else ""
        level = Level.ERROR if self._error else Level.WARN if late else Level.OK
        return Health(level, self._error or late or "ok", values)


def main(args: Sequence[str] | None = None) -> int:
    return run_managed_node(EpisodeLoggerNode, args)
