"""What the policy node tells about its episodes, and what it waits for about them."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from typing import Any

from rclpy.node import Node

from robot_finetune.learning.version_switch import SwitchingPolicy
from robot_finetune.msg import EpisodeLost, EpisodePhase, PolicyStatus, PolicyStep
from robot_finetune.msg import GraspOutcome as GraspOutcomeMsg
from robot_finetune.robot.discards import Discards
from robot_finetune.robot.episode_runner import EpisodeDiscarded
from robot_finetune.robot.interfaces import Clock, Frame, GraspEvidence, RobotError
from robot_finetune.ros.checked import plain_text
from robot_finetune.ros.constants import MODE, PHASE, STATE
from robot_finetune.ros.conversions import message_to_outcome, step_to_message
from robot_finetune.ros.node.guarded import listen
from robot_finetune.ros.node.qos import EPISODE, LATCHED, STEP
from robot_finetune.ros.node.stamps import to_stamp
from robot_finetune.ros.node.waiting import Check, no_check, wait_for
from robot_finetune.types import GraspOutcome, Step

SHARED = tuple(set(EpisodePhase.get_fields_and_field_types()) & set(PolicyStatus.get_fields_and_field_types()))
"""Fields that a phase and the status have in common."""


def new_episode_id() -> str:
    """An id that no other episode has, even after a restart; ids sort by time (UTC)."""
    now = time.time()
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime(now))}.{int(now % 1 * 1e6):06d}-{secrets.token_hex(2)}"


class MessagesByEpisode:
    """The messages of a topic about expected episodes, for a thread that waits for one of them."""

    def __init__(
        self, node: Node, kind: Any, topic: str, sender: str, convert: Callable[[Any], Any] = lambda message: message
    ) -> None:
        """sender: the node that publishes them. convert: makes of a message what is waited for; raises ValueError for
        one that is not to be used."""
        self._node, self._sender = node, sender
        self._condition = threading.Condition()
        self._convert = convert
        self._messages: dict[str, Any] = {}  # None until one has come
        self.topic = listen(node, kind, topic, self._store, EPISODE).topic_name
        listen(node, EpisodeLost, "episode_lost", self._store_loss, EPISODE)

    def require_sender(self) -> None:
        """Raises RobotError while nobody publishes the topic: what is told of the first episode must not be missed."""
        if not self._node.count_publishers(self.topic):
            raise RobotError(f"nobody publishes {self.topic}: is {self._sender} running?")

    def expect(self, *episode_ids: str) -> None:
        """Hear what is told about these episodes from now on, and about no others; what was told of them is kept."""
        with self._condition:
            self._messages = {episode_id: self._messages.get(episode_id) for episode_id in episode_ids}

    def wait(self, episode_id: str, timeout: float, check: Check = no_check) -> Any | None:
        """What was told of an episode, or None if nothing is within `timeout` wall seconds. Raises EpisodeDiscarded
        with the reason if a node tells that there will be nothing."""
        with self._condition:
            wait_for(self._condition, lambda: self._messages.get(episode_id) is not None, timeout, check)
            message = self._messages.get(episode_id)
        if isinstance(message, EpisodeDiscarded):
            raise message
        return message

    def _store(self, message: Any) -> None:
        if message.episode_id in self._messages:
            self._keep(message.episode_id, self._convert(message))

    def _store_loss(self, message: EpisodeLost) -> None:
        if message.episode_id in self._messages:
            self._keep(message.episode_id, EpisodeDiscarded(plain_text(message.reason, "reason", 1000)))

    def _keep(self, episode_id: str, message: Any) -> None:
        with self._condition:
            if self._messages.get(episode_id, message) is None:
                self._messages[episode_id] = message
            self._condition.notify_all()


class OutcomeJudge:
    """Implements `interfaces.Judge` by the grasp detector's message about the episode that `episode_id` names."""

    def __init__(
        self, node: Node, timeout: float, check: Check, hold: Callable[[str, Callable[[], bool]], object]
    ) -> None:
        """timeout: wall seconds that the grasp detector may take. hold: called with the reason when it takes longer;
        returns when what it is given becomes true, or when an operator does not want to wait."""
        self._episode_id = ""
        self._timeout = timeout
        self._check = check
        self._hold = hold
        self._outcomes = MessagesByEpisode(node, GraspOutcomeMsg, "grasp_outcome", "grasp_detector", message_to_outcome)
        self.require_detector = self._outcomes.require_sender

    @property
    def episode_id(self) -> str:
        """The episode that is judged next."""
        return self._episode_id

    @episode_id.setter
    def episode_id(self, episode_id: str) -> None:
        self._episode_id = episode_id
        self._outcomes.expect(episode_id)

    def __call__(self, evidence: GraspEvidence) -> GraspOutcome:
        """Raises RobotError with the reason if the grasp detector does not judge, or an operator goes on without."""
        if outcome := self._wait(self._timeout):
            return outcome
        silent = (
            f"no judgement on {self._outcomes.topic} for {self._timeout:.1f} s: is grasp_detector running? If it is, "
            "its diagnostics tell what it lacks"
        )
        self._hold(f"{silent}. Grasping goes on when it answers; ~/start gives this grasp up", self._has_answered)
        if outcome := self._wait(0.0):
            return outcome
        raise RobotError(silent)

    def _has_answered(self) -> bool:
        return self._wait(1.0) is not None

    def _wait(self, timeout: float) -> GraspOutcome | None:
        outcome: GraspOutcome | None = self._outcomes.wait(self.episode_id, timeout, self._check)
        return outcome


class EpisodePublisher:
    """Implements `interfaces.EpisodeObserver`: publishes each step and each phase of an episode of `policy`."""

    def __init__(self, node: Node, frame_id: str, policy: SwitchingPolicy, clock: Clock) -> None:
        """frame_id: the robot's base frame. clock: the robot's."""
        self._clock = clock
        self._frame_id = frame_id
        self._policy = policy
        self._lock = threading.RLock()
        self._status = PolicyStatus()
        self._discards = Discards()
        self._steps = node.create_publisher(PolicyStep, "policy_step", STEP)
        self._phases = node.create_publisher(EpisodePhase, "episode_phase", EPISODE)
        self._statuses = node.create_publisher(PolicyStatus, "policy_status", LATCHED)

    def begin(self, episode_id: str, variation: str, mode: str) -> None:
        """What is published from now on belongs to this episode."""
        with self._lock:
            status = self._status
            status.episode_id, status.variation, status.mode = episode_id, variation, MODE.number(mode)
            status.episode += 1
            status.phase, status.steps, status.end_reason = 0, 0, ""

    def describe(self, state: str, message: str) -> None:
        """What the node is doing, published."""
        with self._lock:
            self._status.state, self._status.message = STATE.number(state), message
            self._publish()

    @property
    def episode(self) -> int:
        """Episodes begun so far."""
        return int(self._status.episode)

    @property
    def discarded(self) -> int:
        """Episodes that were discarded so far."""
        return self._discards.total

    def discard(self, message: str) -> None:
        """Count an episode that was discarded, by the reason in `message`; published with the next status."""
        with self._lock:
            self._discards.add(message)
            counts = self._discards.counts
            self._status.discarded = self._discards.total
            self._status.discard_reasons, self._status.discard_counts = list(counts), list(counts.values())

    def on_phase(self, phase: str, frame: Frame | None, end_reason: str = "") -> None:
        """Publish the phase; frame: the image that shows it. end_reason: why the approach ended, once it has."""
        with self._lock:
            self._status.phase, self._status.end_reason = PHASE.number(phase), end_reason
            self._publish()
            context = {name: getattr(self._status, name) for name in SHARED}
            begun = EpisodePhase(image_stamp=to_stamp(frame.stamp if frame else 0.0), **context)
            self._phases.publish(begun)

    def on_step(self, step: Step) -> None:
        """Publish a decision."""
        with self._lock:
            status = self._status
            status.steps = step.observation.step + 1
            status.decision_ms = 0.0 if step.intervention else self._policy.decision_ms
            names = {"episode_id": status.episode_id, "variation": status.variation, "mode": MODE.name(status.mode)}
            message = step_to_message(step, frame_id=self._frame_id, decision_ms=status.decision_ms, **names)
        self._steps.publish(message)

    def _publish(self) -> None:
        self._status.header.stamp = to_stamp(self._clock.now())
        self._status.policy_version = self._policy.version
        self._status.swap_ms = self._policy.swap_ms
        self._statuses.publish(self._status)
