"""The topic `promotion`: which version acts, which one is on trial, and why."""

from __future__ import annotations

from dataclasses import asdict

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
        evidence = {name: min(value, LARGEST) for name, value in asdict(gate.evidence).items()}
        message = Promotion(
            state=GATE_STATE.number(gate.state),
            incumbent=gate.incumbent.version,
            candidate=gate.candidate.version if gate.candidate else 0,
            waiting=gate.waiting.version if gate.waiting else 0,
            **evidence,
            decision=decided.decision,
            decision_version=decided.version,
            reason=decided.reason,
        )
        message.header.stamp = to_stamp(self._clock.now())
        with until_shutdown():
            self._publisher.publish(message)

    def _tell(self, decision: Decision) -> None:
        self._logger.info(decision.told)
        self.publish()
