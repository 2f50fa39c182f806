"""An arm behind MoveIt Servo, which follows a pose: for several displacements a second, without a stop for planning.

Servo runs only while the tip is displaced: it is paused before anything else moves the arm, and after each
displacement. A target counts for Servo as long as its stamp is young, so it is sent again and again with a new one: if
this process dies, the arm stops. Servo has to command the controller of `arm_topic`, by which joint moves go.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from std_srvs.srv import SetBool

from robot_finetune.robot.action_space import wrap_angle
from robot_finetune.robot.interfaces import MoveResult, RobotError
from robot_finetune.robot.joint_arm import JointArm, at_target
from robot_finetune.robot.kinematics import YAW_LENGTH, Kinematics, Unreachable, time_law
from robot_finetune.robot.motion_gate import MotionGate
from robot_finetune.robot.patience import Patience
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.ros.arms.poses import pose_stamped, quaternion
from robot_finetune.ros.node.action_client import interface
from robot_finetune.ros.node.guarded import listen
from robot_finetune.ros.node.qos import COMMAND
from robot_finetune.ros.node.service_client import ServiceCaller
from robot_finetune.ros.node.stamps import to_stamp
from robot_finetune.ros.node.waiting import Check, RosClock, no_check


class ServoArm:
    """Implements `interfaces.Arm`: displacements by Servo in POSE mode, joint moves by a joint trajectory controller.

    A displacement is added to the target that was commanded last, not to the measured pose: what the arm sags or lags
    does not add up.
    """

    def __init__(
        self,
        node: Node,
        joint_arm: JointArm,
        kinematics: Kinematics,
        profile: RobotProfile,
        clock: RosClock,
        check: Check = no_check,
    ) -> None:
        """joint_arm: measures, and does the joint moves. Raises RobotError if moveit_msgs is not installed."""
        self._arm, self._kinematics, self._profile = joint_arm, kinematics, profile
        self._gate = MotionGate(profile, kinematics.low, kinematics.high, kinematics.velocity_limits)
        self._clock, self._check = clock, check
        servo, key = profile.servo, "motion.backend servo"
        self._type = interface("moveit_msgs.srv", "ServoCommandType", key)
        self._codes = interface("moveit_msgs.msg", "ServoStatus", key)
        self._offset, self._turn = kinematics.from_tip(servo.tip_frame or profile.tip_frame)
        cure = "is MoveIt Servo running, and servo.node right? (`ros2 node list`)"
        self._switch = ServiceCaller(node, self._type, f"{servo.node}/switch_command_type", cure)
        self._pause = ServiceCaller(node, SetBool, f"{servo.node}/pause_servo", cure)
        self._targets = node.create_publisher(PoseStamped, servo.target_topic, COMMAND)
        listen(node, self._codes, f"{servo.node}/status", self._on_status, COMMAND)
        self._status = self._codes.NO_WARNING
        self._stopped = threading.Event()
        self._commanded: np.ndarray | None = None

    def pose(self) -> np.ndarray:
        """Measured (4,) tip pose [m, rad]. Raises RobotError."""
        return self._arm.pose()

    def joint_positions(self) -> np.ndarray:
        """Measured joint positions [rad]. Raises RobotError."""
        return self._arm.joint_positions()

    def move(self, pose: np.ndarray) -> MoveResult:
        """Straight line of the tip to `pose` (4,); returns when the arm stands still. Raises RobotError."""
        self._stopped.clear()
        q = self._arm.joint_positions()
        here = self._kinematics.forward(q)
        if at_target(here, pose):
            return MoveResult(here)
        self._gate.pose(pose, here)
        begin, target = self._line(here, np.asarray(pose, float))
        try:
            fastest = float(self._kinematics.line(q, target).speeds(q).max())
        except Unreachable:
            return MoveResult(here, "unreachable")
        with self._servoing():
            reason = self._follow(begin, target, fastest)
        self._commanded = None if reason else target
        return MoveResult(self.pose(), reason)

    def move_joints(self, positions: np.ndarray) -> MoveResult:
        """Joint move to `positions` [rad]; returns when the arm stands still. Raises RobotError."""
        self._commanded = None
        self._pause_servo(True, self._check)
        return self._arm.move_joints(positions)

    def stop(self) -> None:
        """Hold the present position; a move under way returns with the reason "stopped". Safe from any thread."""
        self._stopped.set()
        self._pause.send(data=True)
        self._arm.stop()

    def _line(self, here: np.ndarray, pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """From where to where the target goes: `pose` off by what the last target is off, but not out of the box."""
        begin = here if self._commanded is None else self._commanded
        if np.linalg.norm(begin[:3] - here[:3]) > self._profile.motion.tolerance:
            begin = here
        target = begin + pose - here
        target[3] = begin[3] + wrap_angle(pose[3] - here[3])
        box = self._profile.workspace
        target[:3] = np.clip(target[:3], np.minimum(box.low, pose[:3]), np.maximum(box.high, pose[:3]))
        return begin, target

    def _follow(self, begin: np.ndarray, target: np.ndarray, fastest: float) -> str:
        """Lead Servo to `target` and wait until the arm rests there. Returns the reason of a MoveResult."""
        motion, period = self._profile.motion, 1 / self._profile.servo.rate
        step = target - begin
        length = max(float(np.linalg.norm(step[:3])), abs(step[3]) * YAW_LENGTH)
        times, shares = time_law(motion.tip_speed / length, motion.tip_acceleration / length)
        self._status = self._codes.NO_WARNING
        start = since = now = self._clock.elapsed()
        q = watched = self._arm.joint_positions()
        patience = Patience(fastest, max(motion.settle, 2 * period), q, now, motion)
        while True:
            if self._stopped.is_set():
                return "stopped"
            if reason := self._halted():
                return reason
            share = float(np.interp(now - start, [0.0, *times], [0.0, *shares]))
            self._send(begin + share * step)
            self._clock.sleep(period)
            q, now = self._arm.joint_positions(), self._clock.elapsed()
            away = float(np.linalg.norm(self._kinematics.forward(q)[:3] - target[:3]))
            if share == 1.0 and now - since >= patience.watch and patience.resting(watched, q):
                if away < motion.tolerance:
                    return ""
                if not patience.to_begin(now, q):
                    return "blocked"
            if share == 1.0 and patience.late(now, away):
                return "timeout"
            if share < 1.0 or now - since >= patience.watch:
                since, watched = now, q

    def _halted(self) -> str:
        """The reason for which Servo does not go on, or "". Raises RobotError if it cannot follow poses at all."""
        status, codes = self._status, self._codes
        if status == codes.INVALID:
            raise RobotError("MoveIt Servo finds the target invalid: its log says why (frame, kinematics solver)")
        if status == codes.HALT_FOR_COLLISION:
            return "collision"
        return "unreachable" if status in (codes.HALT_FOR_SINGULARITY, codes.JOINT_BOUND) else ""

    def _send(self, pose: np.ndarray) -> None:
        self._gate.numbers(pose)
        rotation = self._kinematics.rotation(float(pose[3]))
        position = pose[:3] + rotation @ self._offset
        message = pose_stamped(self._profile.base_frame, position, quaternion(rotation @ self._turn))
        message.header.stamp = to_stamp(self._clock.now())
        self._targets.publish(message)

    @contextmanager
    def _servoing(self) -> Iterator[None]:
        """Servo follows poses within, and is paused after."""
        if not self._switch.call(self._check, command_type=self._type.Request.POSE).success:
            raise RobotError(f"{self._switch.name} refuses POSE: is this MoveIt Servo of ROS 2 Jazzy or later?")
        self._pause_servo(False, self._check)
        try:
            yield
        finally:
            self._pause_servo(True)  # an interruption of the motion does not keep it from being paused

    def _pause_servo(self, pause: bool, check: Check = no_check) -> None:
        response = self._pause.call(check, data=pause)
        if not response.success:
            raise RobotError(f"{self._pause.name} fails: {response.message or 'no explanation'}; see its log")

    def _on_status(self, message: object) -> None:
        self._status = message.code  # type: ignore[attr-defined]
