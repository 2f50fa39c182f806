"""The gripper that a robot profile asks for."""

from __future__ import annotations

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
    config = profile.gripper
    actions: dict[str, type[GripperCommandDriver | ParallelGripperCommandDriver | FrankaDriver]] = {
        "gripper_command": GripperCommandDriver,
        "parallel_gripper_command": ParallelGripperCommandDriver,
        "franka": FrankaDriver,
    }
    driver: FingerDriver
    if config.type == "position_topic":
        driver = PositionTopic(node, config, profile.gripper_topic, check)
    else:
        driver = actions[config.type](node, config, clock, check)
    return GripperClient(driver, states, config, check)
