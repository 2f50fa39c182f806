"""What the policy node tells about its episodes, and what it waits for about them."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from typing import Any

from rclpy.node import Node

from robot_finetune.learning.version_switch import SwitchingPolicy
from robot_finetune.msg import GraspOutcome as GraspOutcomeMsg
from robot_finetune.msg import PolicyStatus, PolicyStep
from robot_finetune.robot.interfaces import Clock, Frame, GraspEvidence, RobotError
from robot_finetune.ros.conversions import message_to_outcome, step_to_message
from robot_finetune.ros.node.qos import EPISODE, STEP
from robot_finetune.ros.node.stamps import to_stamp
from robot_finetune.ros.node.waiting import Check, no_check, wait_for
from robot_finetune.types import GraspOutcome, Step

REMEMBERED = 64
"""Episodes whose messages are kept for a waiter."""


def new_episode_id() -> str:
    """An id that no other episode has, even after a restart; ids sort by time (UTC)."""
    now = time.time()
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime(now))}.{int(now % 1 * 1e6):06d}-{secrets.token_hex(2)}"


class MessagesByEpisode:
    """The messages of a topic by their episode_id, for a thread that waits for one of them."""

    def __init__(self, node: Node, kind: Any, topic: str) -> None:
        self._condition = threading.Condition()
        self._messages: OrderedDict[str, Any] = OrderedDict()
        self._subscription = node.create_subscription(kind, topic, self._store, EPISODE)
        self.topic = self._subscription.topic_name

    def wait(self, episode_id: str, timeout: float, check: Check = no_check) -> Any | None:
        """The message of an episode, or None if it does not come within `timeout` wall seconds."""
        with self._condition:
            wait_for(self._condition, lambda: episode_id in self._messages, timeout, check)
            return self._messages.get(episode_id)

    def _store(self, message: Any) -> None:
        with self._condition:
            self._messages[message.episode_id] = message
            while len(self._messages) > REMEMBERED:
                self._messages.popitem(last=False)
            self._condition.notify_all()


class OutcomeJudge:
    """Implements `interfaces.Judge` by the grasp detector's message about the episode that `episode_id` names."""

    def __init__(self, node: Node, timeout: float, check: Check = no_check) -> None:
        """timeout: wall seconds that the grasp detector may take."""
        self.episode_id = ""
        self._timeout = timeout
        self._check = check
        self._outcomes = MessagesByEpisode(node, GraspOutcomeMsg, "grasp_outcome")

    def __call__(self, evidence: GraspEvidence) -> GraspOutcome:
        message = self._outcomes.wait(self.episode_id, self._timeout, self._check)
        if message is None:
            raise RobotError(
                f"no judgement on {self._outcomes.topic} for {self._timeout:.1f} s: is grasp_detector running?"
            )
        return message_to_outcome(message)


class EpisodePublisher:
    """Implements `interfaces.EpisodeObserver`: publishes each step and each phase of an episode of `policy`."""

    def __init__(self, node: Node, frame_id: str, policy: SwitchingPolicy, clock: Clock) -> None:
        """frame_id: the robot's base frame. clock: the robot's."""
        self._clock = clock
        self._frame_id = frame_id
        self._policy = policy
        self._lock = threading.RLock()
        self._status = PolicyStatus()
        self._steps = node.create_publisher(PolicyStep, "policy_step", STEP)
        self._statuses = node.create_publisher(PolicyStatus, "policy_status", EPISODE)

    def begin(self, episode_id: str, variation: str, mode: str) -> None:
        """What is published from now on belongs to this episode."""
        with self._lock:
            status = self._status
            status.episode_id, status.variation, status.mode = episode_id, variation, mode
            status.episode += 1
            status.phase, status.steps, status.end_reason = "", 0, ""

    def describe(self, **fields: Any) -> None:
        """Set fields of the status (state, message) and publish it."""
        with self._lock:
            for name, value in fields.items():
                setattr(self._status, name, value)
            self._publish()

    def on_phase(self, phase: str, frame: Frame | None, end_reason: str = "") -> None:
        """Publish the phase; frame: the image that shows it. end_reason: why the approach ended, once it has."""
        with self._lock:
            self._status.phase = phase
            self._status.end_reason = end_reason
            self._status.image_stamp = to_stamp(frame.stamp if frame else 0.0)
            self._publish()

    def on_step(self, step: Step) -> None:
        """Publish a decision."""
        with self._lock:
            status = self._status
            status.steps = step.observation.step + 1
            status.decision_ms = self._policy.decision_ms
            names = {"episode_id": status.episode_id, "variation": status.variation, "mode": status.mode}
            message = step_to_message(step, frame_id=self._frame_id, decision_ms=status.decision_ms, **names)
        self._steps.publish(message)

    def _publish(self) -> None:
        self._status.header.stamp = to_stamp(self._clock.now())
        self._status.policy_version = self._policy.version
        self._status.swap_ms = self._policy.swap_ms
        self._statuses.publish(self._status)
