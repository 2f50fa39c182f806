"""Joint states as they arrive, for everything in a node that needs to know where the arm and the fingers are."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping, Sequence

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import JointState

from robot_finetune.robot.interfaces import RobotError
from robot_finetune.robot.joint_intake import BadJointState, JointIntake
from robot_finetune.robot.joint_limits import JointLimit
from robot_finetune.ros.node.guarded import listen
from robot_finetune.ros.node.qos import NEWEST
from robot_finetune.ros.node.stamps import to_seconds
from robot_finetune.ros.node.waiting import Check, RosClock, no_check, wait_for

STATE_TIMEOUT = 2.0
"""Wall seconds without joint states after which the arm counts as not answering."""
FRESH = 0.2
"""Wall seconds for which a state may be taken for that of now."""
ROUNDING = 1e-6
"""Seconds that a stamp loses on its way."""
NAMES = 64
"""Joints on the topic that are remembered for an error message."""


class JointStates:
    """Newest believed position of every wanted joint on a joint_states topic; several publishers (arm, gripper) may
    share it. What cannot be true is passed over and counted (robot.joint_intake)."""

    def __init__(
        self,
        node: Node,
        topic: str,
        clock: RosClock,
        limits: Mapping[str, JointLimit],
        timeout: float = STATE_TIMEOUT,
    ) -> None:
        """limits: of the wanted joints. timeout: wall seconds without a message after which a joint counts as
        silent."""
        self._condition = threading.Condition()
        self._clock = clock
        self._timeout = timeout
        self._intake = JointIntake(limits)
        self._restarts = 0
        self._newest: dict[str, tuple[float, float, float]] = {}  # position, stamp [s], wall time of arrival
        self._names: set[str] = set()
        self._fault = ""
        self._fault_time = -math.inf
        self._subscription = listen(node, JointState, topic, self._store, NEWEST)
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

    def newest(self, joints: Sequence[str]) -> np.ndarray | None:
        """Positions (len(joints),) of just now, without waiting; None if they are not known."""
        with self._condition:
            if not self._fresh(joints, FRESH):
                return None
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
        stamp, now = to_seconds(message.header.stamp), self._clock.now()
        stamped = stamp != 0.0  # else by a publisher that does not know the time: it is of now
        if not stamped:
            stamp = now
        try:
            positions = self._intake.accept(
                message.name, message.position, stamp, 0.0 if self._clock.simulated else now, stamped
            )
        except BadJointState as error:
            with self._condition:
                self._fault, self._fault_time = str(error), time.monotonic()
            raise
        self._clock.observe(stamp)
        arrival = time.monotonic()
        with self._condition:
            if self._restarts != self._intake.restarts:  # the positions so far are stamped by another clock
                self._restarts = self._intake.restarts
                self._newest.clear()
            if len(self._names) < NAMES:
                self._names.update(message.name)
            for joint, position in positions.items():
                self._newest[joint] = (position, stamp, arrival)
            self._condition.notify_all()

    def _behind(self, joints: Sequence[str], since: float) -> float:
        """How much earlier than `since` the oldest of the positions is [s]; infinite if one is missing."""
        return max((since - self._newest[joint][1] if joint in self._newest else math.inf) for joint in joints)

    def _newer(self, joint: str, stamp: float) -> bool:
        return joint in self._newest and self._newest[joint][1] > stamp

    def _fresh(self, joints: Sequence[str], age: float) -> bool:
        oldest = time.monotonic() - age
        return all(joint in self._newest and self._newest[joint][2] > oldest for joint in joints)

    def _require(self, joints: Sequence[str]) -> None:
        if self._fresh(joints, self._timeout):
            return
        if time.monotonic() - self._fault_time < self._timeout:
            raise RobotError(f"no sound joint_states on {self.topic} for {self._timeout:.1f} s: {self._fault}")
        missing = ", ".join(joint for joint in joints if joint not in self._names)
        if missing and self._names:
            there = ", ".join(sorted(self._names))
            raise RobotError(f"joint_states on {self.topic} lack {missing}, there are {there}: check the robot profile")
        silence = f"no joint_states on {self.topic} for {self._timeout:.1f} s"
        raise RobotError(f"{silence}: is the arm driver (or sim_cell) running?")
