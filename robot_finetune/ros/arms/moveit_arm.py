"""An arm behind MoveIt: straight lines and joint moves that are planned, checked for collisions and executed there."""

from __future__ import annotations

import itertools

import numpy as np
from rclpy.node import Node
from std_msgs.msg import String

from robot_finetune.config import to_mapping
from robot_finetune.robot.interfaces import MoveResult, RobotError
from robot_finetune.robot.joint_arm import at_target
from robot_finetune.robot.kinematics import Kinematics
from robot_finetune.robot.motion_gate import MotionGate
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.ros.arms.moveit_process import MoveItProcess, Request, Setup
from robot_finetune.ros.arms.poses import quaternion
from robot_finetune.ros.node.joint_states import JointStates
from robot_finetune.ros.node.qos import COMMAND
from robot_finetune.ros.node.waiting import Check, RosClock, no_check

PLANNING_MARGIN = 5.0
"""Wall seconds that an answer may take beyond the planning times of all attempts."""


class MoveItArm:
    """Implements `interfaces.Arm` with moveit_py in a process of its own.

    The pose is measured here, by the profile's own kinematics: what MoveIt reports as done is believed only if the tip
    is there.
    """

    def __init__(
        self, node: Node, states: JointStates, profile: RobotProfile, clock: RosClock, check: Check = no_check
    ) -> None:
        self._profile, self._states, self._clock = profile, states, clock
        self._kinematics = kinematics = Kinematics(profile)
        self._gate = MotionGate(profile, kinematics.low, kinematics.high, kinematics.velocity_limits)
        namespace = absolute_name(node, profile.namespace)
        self._events = node.create_publisher(String, f"{namespace}/trajectory_execution_event", COMMAND)
        setup = Setup(to_mapping(profile), namespace, states.topic, clock.simulated)
        self._process = MoveItProcess(setup, profile.moveit.ready_timeout, check)
        self._process.start()
        self._numbers = itertools.count(1)

    def pose(self) -> np.ndarray:
        """Measured (4,) tip pose [m, rad]. Raises RobotError."""
        return self._kinematics.forward(self.joint_positions())

    def joint_positions(self) -> np.ndarray:
        """Measured joint positions [rad]. Raises RobotError."""
        return self._states.positions(self._profile.joints)

    def move(self, pose: np.ndarray) -> MoveResult:
        """Straight line of the tip to `pose` (4,); returns when the arm stands still. Raises RobotError."""
        here = self.pose()
        if at_target(here, pose):
            return MoveResult(here)
        self._gate.pose(pose, here)
        turned = quaternion(self._kinematics.rotation(float(pose[3])))
        return self._run(here, np.asarray(pose, float), pose=(*map(float, pose[:3]), *turned))

    def move_joints(self, positions: np.ndarray) -> MoveResult:
        """Point-to-point move to joint `positions` [rad]; returns when the arm stands still. Raises RobotError."""
        self._gate.joints(positions)
        return self._run(self.pose(), self._kinematics.forward(positions), joints=tuple(map(float, positions)))

    def stop(self) -> None:
        """Stop what MoveIt executes or plans; a move under way returns with the reason "stopped". For any thread."""
        self._process.stop()
        self._events.publish(String(data="stop"))

    def close(self) -> None:
        """End MoveIt."""
        self._process.close()

    def _run(
        self, start: np.ndarray, target: np.ndarray, pose: tuple[float, ...] = (), joints: tuple[float, ...] = ()
    ) -> MoveResult:
        motion, now = self._profile.motion, round(self._clock.now() * 1e9)
        request = Request(next(self._numbers), now, pose, joints)
        planning = 3 * self._profile.moveit.planning_time + PLANNING_MARGIN
        try:
            answer = self._process.run(request, planning, motion.timeout + PLANNING_MARGIN)
        except RobotError:
            self._process.settle(self.stop)
            raise
        self._clock.sleep(motion.settle)
        here = self._kinematics.forward(self._states.positions(self._profile.joints, self._clock.now()))
        reason = answer.reason
        if reason == "aborted":
            if np.linalg.norm(here[:3] - start[:3]) < motion.tolerance:
                raise RobotError("MoveIt did not execute its plan: are the controllers of `moveit.controllers` active?")
            reason = "blocked"
        if not reason and np.linalg.norm(here[:3] - target[:3]) > motion.tolerance:
            reason = "blocked"
        return MoveResult(here, reason)


def absolute_name(node: Node, name: str) -> str:
    """A name relative to the node's namespace, made absolute; "" for the root."""
    return "/".join(["", *filter(None, [*node.get_namespace().split("/"), *name.split("/")])]).rstrip("/")
