"""The topic `promotion`: which version acts, which one is on trial, and why."""

from __future__ import annotations

from rclpy.node import Node

from robot_finetune.data.promotion_log import Decision
from robot_finetune.learning.version_switch import SwitchingPolicy
from robot_finetune.msg import Promotion
from robot_finetune.robot.interfaces import Clock
from robot_finetune.ros.constants import GATE_STATE
from robot_finetune.ros.node.qos import LATCHED
from robot_finetune.ros.node.spin import until_shutdown
from robot_finetune.ros.node.stamps import to_stamp

LARGEST = 1e30
"""E-value that is told; a float32 holds 3e38."""
PHRASES = {"trial": "is on trial", "succeeded": "goes on with the trial", "restored": "acts again"}


class PromotionPublisher:
    """Publishes the state of a policy's gate: when it decides, and when `publish` is called."""

    def __init__(self, node: Node, policy: SwitchingPolicy, clock: Clock) -> None:
        """clock: the robot's."""
        self._logger, self._policy, self._clock = node.get_logger(), policy, clock
        self._publisher = node.create_publisher(Promotion, "promotion", LATCHED)
        policy.on_decision = self._tell
        self.publish()

    def publish(self) -> None:
        """The state as it is now."""
        gate, decided = self._policy.gate, self._policy.decided or Decision()
        evidence = gate.evidence
        message = Promotion(
            state=GATE_STATE.number(gate.state),
            incumbent=gate.incumbent.version,
            candidate=gate.candidate.version if gate.candidate else 0,
            waiting=gate.waiting.version if gate.waiting else 0,
            incumbent_grasps=evidence.incumbent_grasps,
            incumbent_successes=evidence.incumbent_successes,
            candidate_grasps=evidence.candidate_grasps,
            candidate_successes=evidence.candidate_successes,
            better=min(evidence.better, LARGEST),
            worse=min(evidence.worse, LARGEST),
            probability=evidence.probability,
            decision=decided.decision,
            decision_version=decided.version,
            reason=decided.reason,
        )
        message.header.stamp = to_stamp(self._clock.now())
        with until_shutdown():
            self._publisher.publish(message)

    def _tell(self, decision: Decision) -> None:
        self._logger.info(told(decision))
        self.publish()


def told(decision: Decision) -> str:
    """A decision in one line."""
    phrase = PHRASES.get(decision.decision, f"is {decision.decision}")
    return f"version {decision.version} {phrase}: {decision.reason}"
