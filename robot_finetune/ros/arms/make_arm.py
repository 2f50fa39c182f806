"""The arm that a robot profile asks for."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.node import Node

from robot_finetune.robot.interfaces import Arm
from robot_finetune.robot.joint_arm import JointArm
from robot_finetune.robot.kinematics import Kinematics
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.ros.arms.moveit_arm import MoveItArm
from robot_finetune.ros.arms.servo_arm import ServoArm
from robot_finetune.ros.arms.trajectory_action import ActionJointDriver
from robot_finetune.ros.arms.trajectory_topic import TopicJointDriver
from robot_finetune.ros.node.joint_states import JointStates
from robot_finetune.ros.node.waiting import Check, RosClock, no_check


def make_arm(node: Node, states: JointStates, profile: RobotProfile, clock: RosClock, check: Check = no_check) -> Arm:
    """The arm behind `motion.backend`. Raises RobotError if a package that it needs is not installed."""
    return ARMS[profile.motion.backend](node, states, profile, clock, check)


def _trajectory(node: Node, states: JointStates, profile: RobotProfile, clock: RosClock, check: Check) -> JointArm:
    return _joint_arm(node, states, profile, clock, Kinematics(profile), check)


def _servo(node: Node, states: JointStates, profile: RobotProfile, clock: RosClock, check: Check) -> ServoArm:
    kinematics = Kinematics(profile)
    joint_arm = _joint_arm(node, states, profile, clock, kinematics, check)
    return ServoArm(node, joint_arm, kinematics, profile, clock, check)


def _joint_arm(
    node: Node, states: JointStates, profile: RobotProfile, clock: RosClock, kinematics: Kinematics, check: Check
) -> JointArm:
    """By the controller's action where the profile names it, otherwise by its topic."""
    if not profile.arm_action:
        driver = TopicJointDriver(node, states, profile.joints, profile.arm_topic)
        return JointArm(driver, kinematics, clock, profile, check=check)
    action = ActionJointDriver(node, states, profile.joints, profile.arm_action, profile.motion.timeout)
    return JointArm(action, kinematics, clock, profile, action.failure, check)


ARMS: dict[str, Callable[[Node, JointStates, RobotProfile, RosClock, Check], Arm]] = {
    "trajectory": _trajectory,
    "moveit": MoveItArm,
    "servo": _servo,
}
"""What makes the arm of each of `profile_groups.BACKENDS`."""
