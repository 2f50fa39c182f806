"""Joint states as they arrive, for everything in a node that needs to know where the arm and the fingers are."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import JointState

from robot_finetune.robot.interfaces import RobotError
from robot_finetune.ros.node.qos import NEWEST
from robot_finetune.ros.node.stamps import to_seconds
from robot_finetune.ros.node.waiting import Check, RosClock, no_check, wait_for

STATE_TIMEOUT = 2.0
"""Wall seconds without joint states after which the arm counts as not answering."""
ROUNDING = 1e-6
"""Seconds that a stamp loses on its way."""


class JointStates:
    """Newest position of every joint on a joint_states topic; several publishers (arm, gripper) may share it."""

    def __init__(self, node: Node, topic: str, clock: RosClock, timeout: float = STATE_TIMEOUT) -> None:
        """timeout: wall seconds without a message after which a joint counts as silent."""
        self._condition = threading.Condition()
        self._clock = clock
        self._timeout = timeout
        self._newest: dict[str, tuple[float, float, float]] = {}  # position, stamp [s], wall time of arrival
        self._subscription = node.create_subscription(JointState, topic, self._store, NEWEST)
        self.topic = self._subscription.topic_name

    def positions(self, joints: Sequence[str], since: float = 0.0) -> np.ndarray:
        """Newest positions (len(joints),), of stamp `since` [s] or later. Raises RobotError if one is missing, older
        than the time-out, or always behind."""
        with self._condition:
            wait_for(self._condition, lambda: self._behind(joints, since) <= ROUNDING, self._timeout)
            self._require(joints)
            if (behind := self._behind(joints, since)) > ROUNDING:
                raise RobotError(
                    f"joint_states on {self.topic} are stamped {behind:.1f} s behind the clock of this node: "
                    "synchronise the clocks"
                )
            return np.array([self._newest[joint][0] for joint in joints])

    def stamp(self, joint: str) -> float:
        """Time of the newest message with `joint` [s]; 0 if there was none."""
        with self._condition:
            return self._newest.get(joint, (0.0, 0.0, 0.0))[1]

    def wait_newer(self, joint: str, stamp: float, check: Check = no_check) -> tuple[float, float]:
        """Position and stamp of `joint` in a message newer than `stamp`. Raises RobotError if none comes in time."""
        with self._condition:
            wait_for(self._condition, lambda: self._newer(joint, stamp), self._timeout, check)
            if not self._newer(joint, stamp):
                self._require([joint])
                raise RobotError(
                    f"the stamps on {self.topic} stand still: is the joint state broadcaster (or sim_cell) running?"
                )
            position, newest, _ = self._newest[joint]
            return position, newest

    def _store(self, message: JointState) -> None:
        stamp = to_seconds(message.header.stamp)
        if stamp == 0.0:  # an unstamped publisher
            stamp = self._clock.now()
        self._clock.observe(stamp)
        arrival = time.monotonic()
        with self._condition:
            for joint, position in zip(message.name, message.position, strict=False):
                self._newest[joint] = (position, stamp, arrival)
            self._condition.notify_all()

    def _behind(self, joints: Sequence[str], since: float) -> float:
        """How much earlier than `since` the oldest of the positions is [s]; infinite if one is missing."""
        return max((since - self._newest[joint][1] if joint in self._newest else math.inf) for joint in joints)

    def _newer(self, joint: str, stamp: float) -> bool:
        return joint in self._newest and self._newest[joint][1] > stamp

    def _fresh(self, joints: Sequence[str]) -> bool:
        oldest = time.monotonic() - self._timeout
        return all(joint in self._newest and self._newest[joint][2] > oldest for joint in joints)

    def _require(self, joints: Sequence[str]) -> None:
        if self._fresh(joints):
            return
        missing = ", ".join(joint for joint in joints if joint not in self._newest)
        if missing and self._newest:
            there = ", ".join(sorted(self._newest))
            raise RobotError(f"joint_states on {self.topic} lack {missing}, there are {there}: check the robot profile")
        silence = f"no joint_states on {self.topic} for {self._timeout:.1f} s"
        raise RobotError(f"{silence}: is the arm driver (or sim_cell) running?")
