"""Grippers behind actions: GripperCommand, ParallelGripperCommand, and Franka's grasp and move.

A gripper that stops on an object has not reached its goal: with the usual settings of ros2_control that goal ends as
aborted. So the status is not asked; `stalled`, `reached_goal` and the measured position are.
"""

from __future__ import annotations

from typing import Any

from rclpy.node import Node

from robot_finetune.robot.interfaces import RobotError
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.ros.node.action_client import ActionCaller, interface
from robot_finetune.ros.node.waiting import Check, RosClock, no_check


class _ActionDriver:
    """Sends a goal and waits for its end, whatever it is."""

    def __init__(self, node: Node, profile: RobotProfile, clock: RosClock, check: Check) -> None:
        self._node, self._config, self._clock, self._check = node, profile.gripper, clock, check
        self._key = f"gripper.type {self._config.type}"

    def _caller(self, kind: Any, action: str) -> ActionCaller:
        return ActionCaller(self._node, kind, action, "is the gripper's driver running, and gripper.action right?")

    def _run(self, caller: ActionCaller, goal: Any) -> Any:
        """The result of `goal`, of any status. Raises RobotError if it is refused or does not end in time."""
        sent = caller.start(goal, self._check)
        if not self._clock.wait(sent.finished, self._config.timeout):
            limit = f"{self._config.timeout:.1f} s"
            raise RobotError(f"{caller.name} has not ended within {limit}: check the gripper, or raise gripper.timeout")
        if sent.rejected:
            raise RobotError(f"{caller.name} refuses its goal: is the gripper's controller active? Its log says why")
        return sent.result


class GripperCommandDriver(_ActionDriver):
    """control_msgs/GripperCommand."""

    def __init__(self, node: Node, profile: RobotProfile, clock: RosClock, check: Check = no_check) -> None:
        super().__init__(node, profile, clock, check)
        self._type = interface("control_msgs.action", "GripperCommand", self._key)
        self._action = self._caller(self._type, self._config.action)

    def drive(self, opening: float, closing: bool) -> bool:
        goal = self._type.Goal()
        goal.command.position = self._config.command(opening)
        goal.command.max_effort = self._config.max_effort
        result = self._run(self._action, goal)
        return bool(result.reached_goal or result.stalled)


class ParallelGripperCommandDriver(_ActionDriver):
    """control_msgs/ParallelGripperCommand, of ROS 2 Jazzy and later."""

    def __init__(self, node: Node, profile: RobotProfile, clock: RosClock, check: Check = no_check) -> None:
        super().__init__(node, profile, clock, check)
        self._type = interface("control_msgs.action", "ParallelGripperCommand", self._key)
        self._action = self._caller(self._type, self._config.action)

    def drive(self, opening: float, closing: bool) -> bool:
        goal = self._type.Goal()
        goal.command.name = [self._config.joint]
        goal.command.position = [self._config.command(opening)]
        if self._config.max_effort:  # left out, the controller's own limit holds
            goal.command.effort = [self._config.max_effort]
        result = self._run(self._action, goal)
        return bool(result.reached_goal or result.stalled)


class FrankaDriver(_ActionDriver):
    """franka_msgs: `grasp` closes with a force, `move` opens. A grasp counts at any width at which the fingers stop."""

    def __init__(self, node: Node, profile: RobotProfile, clock: RosClock, check: Check = no_check) -> None:
        super().__init__(node, profile, clock, check)
        self._grasp_type = interface("franka_msgs.action", "Grasp", self._key)
        self._move_type = interface("franka_msgs.action", "Move", self._key)
        self._grasp = self._caller(self._grasp_type, f"{self._config.action}/grasp")
        self._move = self._caller(self._move_type, f"{self._config.action}/move")

    def drive(self, opening: float, closing: bool) -> bool:
        config = self._config
        action, goal = (self._grasp, self._grasp_type.Goal()) if closing else (self._move, self._move_type.Goal())
        goal.width, goal.speed = config.command(opening), config.speed
        if closing:
            stroke = abs(config.command(1.0) - config.command(0.0))
            goal.force, goal.epsilon.inner, goal.epsilon.outer = config.max_effort, stroke, stroke
        result = self._run(action, goal)
        if result.error:
            raise RobotError(f"{action.name}: {result.error}; check the hand in Desk, home it, and start again")
        return bool(result.success)
