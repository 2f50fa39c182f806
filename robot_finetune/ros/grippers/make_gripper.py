"""The gripper that a robot profile asks for."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.node import Node

from robot_finetune.robot.profile import RobotProfile
from robot_finetune.ros.grippers.gripper_actions import FrankaDriver, GripperCommandDriver, ParallelGripperCommandDriver
from robot_finetune.ros.grippers.gripper_client import FingerDriver, GripperClient, PositionTopic
from robot_finetune.ros.node.joint_states import JointStates
from robot_finetune.ros.node.waiting import Check, RosClock, no_check


def make_gripper(
    node: Node, states: JointStates, profile: RobotProfile, clock: RosClock, check: Check = no_check
) -> GripperClient:
    """The gripper that the profile asks for. Raises RobotError if the package of its action is not installed."""
    driver = DRIVERS[profile.gripper.type](node, profile, clock, check)
    return GripperClient(driver, states, profile.gripper, check)


def _position_topic(node: Node, profile: RobotProfile, clock: RosClock, check: Check) -> PositionTopic:
    return PositionTopic(node, profile.gripper, profile.gripper_topic, check)


DRIVERS: dict[str, Callable[[Node, RobotProfile, RosClock, Check], FingerDriver]] = {
    "position_topic": _position_topic,
    "gripper_command": GripperCommandDriver,
    "parallel_gripper_command": ParallelGripperCommandDriver,
    "franka": FrankaDriver,
}
"""What takes the commands of each of `profile_groups.GRIPPERS`."""
