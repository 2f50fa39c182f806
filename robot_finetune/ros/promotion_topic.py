"""The topic `promotion`: which version acts, which one is on trial, and why; and what other robots say on theirs."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, fields
from functools import partial

from rclpy.node import Node

from robot_finetune.config import ConfigError
from robot_finetune.data.promotion_log import Decision, VersionId
from robot_finetune.learning.promotion.trial import Evidence
from robot_finetune.learning.version_switch import SwitchingPolicy
from robot_finetune.msg import Promotion
from robot_finetune.robot.interfaces import Clock
from robot_finetune.ros.checked import finite, plain_text, shown
from robot_finetune.ros.constants import GATE_STATE
from robot_finetune.ros.node.guarded import listen
from robot_finetune.ros.node.qos import LATCHED
from robot_finetune.ros.node.spin import until_shutdown
from robot_finetune.ros.node.stamps import to_stamp

NAMESPACE = re.compile(r"(/[A-Za-z_][A-Za-z0-9_]*)+")
LONGEST_TRIAL = 10_000
"""Grasps of a side."""
LARGEST = 1e30
"""E-value that is told; a float32 holds 3e38."""


class PromotionPublisher:
    """Publishes the state of a policy's gate: when it decides, and when `publish` is called."""

    def __init__(self, node: Node, policy: SwitchingPolicy, clock: Clock, variation: Callable[[], str]) -> None:
        """clock: the robot's. variation: in which it works."""
        self._logger, self._policy, self._clock, self._variation = node.get_logger(), policy, clock, variation
        self._publisher = node.create_publisher(Promotion, "promotion", LATCHED)
        policy.on_decision = self._tell
        self.publish()

    def publish(self) -> None:
        """The state as it is now."""
        gate, decided = self._policy.gate, self._policy.decided or Decision()
        evidence = {name: min(value, LARGEST) for name, value in asdict(gate.evidence).items()}
        pooled = gate.pooled
        message = Promotion(
            state=GATE_STATE.number(gate.state),
            incumbent=gate.incumbent.version,
            incumbent_sha256=gate.incumbent.sha256,
            variation=self._variation(),
            trial=gate.trial,
            candidate=gate.candidate.version if gate.candidate else 0,
            waiting=gate.waiting.version if gate.waiting else 0,
            **evidence,
            robots=gate.robots,
            pooled_better=min(pooled.better, LARGEST),
            pooled_worse=min(pooled.worse, LARGEST),
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


def _evidence(message: Promotion) -> dict[str, float]:
    """Of another robot's trial. Raises ValueError for figures that no trial has."""
    told = {field.name: float(getattr(message, field.name)) for field in fields(Evidence)}
    finite(list(told.values()), "evidence", 0.0, LARGEST, len(told))
    for side in ("incumbent", "candidate"):
        finite([told[f"{side}_grasps"]], f"{side}_grasps", 0, LONGEST_TRIAL, 1)
        finite([told[f"{side}_successes"]], f"{side}_successes", 0, told[f"{side}_grasps"], 1)
    return told


def hear_fleet(node: Node, policy: SwitchingPolicy, fleet: str, variation: Callable[[], str]) -> None:
    """Pool the trials of other robots, whose namespaces `fleet` lists, with the policy's own: those against the same
    incumbent in the same variation. Raises ConfigError for what is no namespace."""

    def on_promotion(robot: str, message: Promotion) -> None:
        if message.state != Promotion.TRIAL or plain_text(message.variation, "variation", 500) != variation():
            return
        incumbent = VersionId(message.incumbent, plain_text(message.incumbent_sha256, "incumbent_sha256", 64))
        policy.heard(robot, incumbent, message.trial, _evidence(message))

    for robot in filter(None, (name.strip() for name in fleet.split(","))):
        if not NAMESPACE.fullmatch(robot):
            raise ConfigError(f"fleet = {shown(fleet)}: {shown(robot)} is no namespace; give /a,/b for robots a and b")
        listen(node, Promotion, f"{robot}/promotion", partial(on_promotion, robot), LATCHED)
