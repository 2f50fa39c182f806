"""An arm behind a joint trajectory controller: the `joint_trajectory` topic out, `joint_states` in.

This is the topic interface that joint_trajectory_controller, lbr_fri_ros2_stack, franka_ros2, the UR driver and the
simulated cell have in common. The Cartesian part is `robot.joint_arm.JointArm`, which is the same in process.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rclpy.node import Node
from trajectory_msgs.msg import JointTrajectory as JointTrajectoryMsg
from trajectory_msgs.msg import JointTrajectoryPoint

from robot_finetune.robot.joint_trajectory import JointTrajectory
from robot_finetune.ros.node.joint_states import STATE_TIMEOUT, JointStates
from robot_finetune.ros.node.qos import COMMAND
from robot_finetune.ros.node.stamps import duration_message
from robot_finetune.ros.node.waiting import require_listener


class TopicJointDriver:
    """Implements `interfaces.JointDriver` on the topics of a joint trajectory controller."""

    def __init__(self, node: Node, states: JointStates, joints: Sequence[str], topic: str) -> None:
        self._states = states
        self._joints = list(joints)
        self._publisher = node.create_publisher(JointTrajectoryMsg, topic, COMMAND)

    def positions(self, since: float = 0.0) -> np.ndarray:
        """As `interfaces.JointDriver`."""
        return self._states.positions(self._joints, since)

    def newest(self) -> np.ndarray | None:
        """As `interfaces.JointDriver`."""
        return self._states.newest(self._joints)

    def cancel(self) -> None:
        """Nothing: the topic has no such command (the controller refuses a trajectory without points)."""

    def send(self, trajectory: JointTrajectory) -> None:
        """Start `trajectory` at once; the controller blends in from the present state and drops any other."""
        require_listener(self._publisher, STATE_TIMEOUT, "is the arm controller (or sim_cell) running?")
        self._publisher.publish(trajectory_message(self._joints, trajectory))


def trajectory_message(joints: Sequence[str], trajectory: JointTrajectory) -> JointTrajectoryMsg:
    """`trajectory` of `joints` as a message without a stamp: to begin at once."""
    message = JointTrajectoryMsg(joint_names=list(joints))
    for i, seconds in enumerate(trajectory.times):
        point = JointTrajectoryPoint(positions=trajectory.positions[i].tolist())
        point.time_from_start = duration_message(float(seconds))
        if trajectory.velocities is not None:
            point.velocities = trajectory.velocities[i].tolist()
        message.points.append(point)
    return message
