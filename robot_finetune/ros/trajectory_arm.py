"""An arm behind a joint trajectory controller: the `joint_trajectory` topic out, `joint_states` in.

This is the topic interface that joint_trajectory_controller, lbr_fri_ros2_stack, franka_ros2, the UR driver and the
simulated cell have in common. The Cartesian part is `robot.joint_arm.JointArm`, which is the same in process.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Duration
from rclpy.node import Node
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory as JointTrajectoryMsg
from trajectory_msgs.msg import JointTrajectoryPoint

from robot_finetune.robot.interfaces import JointTrajectory, RobotError
from robot_finetune.ros.qos import COMMAND, NEWEST
from robot_finetune.ros.waiting import Check, RosClock, no_check, require_listener, wait_for

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
        stamp = message.header.stamp.sec + message.header.stamp.nanosec * 1e-9
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


class TopicJointDriver:
    """Implements `interfaces.JointDriver` on the topics of a joint trajectory controller."""

    def __init__(self, node: Node, states: JointStates, joints: Sequence[str], topic: str) -> None:
        self._states = states
        self._joints = list(joints)
        self._publisher = node.create_publisher(JointTrajectoryMsg, topic, COMMAND)

    def positions(self, since: float = 0.0) -> np.ndarray:
        """As `interfaces.JointDriver`."""
        return self._states.positions(self._joints, since)

    def send(self, trajectory: JointTrajectory) -> None:
        """Start `trajectory` at once; the controller blends in from the present state and drops any other."""
        require_listener(self._publisher, STATE_TIMEOUT, "is the arm controller (or sim_cell) running?")
        self._publisher.publish(trajectory_message(self._joints, trajectory))


def trajectory_message(joints: Sequence[str], trajectory: JointTrajectory) -> JointTrajectoryMsg:
    """`trajectory` of `joints` as a message without a stamp: to begin at once."""
    message = JointTrajectoryMsg(joint_names=list(joints))
    for seconds, positions in zip(trajectory.times, trajectory.positions, strict=True):
        point = JointTrajectoryPoint(positions=positions.tolist(), time_from_start=duration_message(float(seconds)))
        message.points.append(point)
    return message


def duration_message(seconds: float) -> Duration:
    """A span of time [s] as a message."""
    nanoseconds = round(seconds * 1e9)
    return Duration(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)
