"""MoveIt Servo's node as a client sees it in POSE mode, in the test's own node; it moves a `TrajectoryController`.

Behaves as moveit_servo 2.15.0 (moveit/moveit2, commit 8fcb5d2), in moveit_ros/moveit_servo/src: servo_node.cpp,
servo.cpp and utils/command.cpp. It starts unpaused; nothing is followed before the command type is POSE; a target whose
stamp is older than incoming_command_timeout is not followed; an unknown frame makes the status INVALID; while a
collision is near it does not move and says HALT_FOR_COLLISION; it moves the end of the kinematics solver's chain, here
`link_7`, not the tool, at most at scale.linear; pausing stops at once. Smoothing and singularities are not there.
"""

from dataclasses import replace

import mujoco
import numpy as np
from geometry_msgs.msg import PoseStamped
from std_srvs.srv import SetBool

from robot_finetune.robot.kinematics import Kinematics, Unreachable
from robot_finetune.ros.node.qos import COMMAND

PERIOD, TIMEOUT, SPEED = 0.01, 0.1, 0.4


class ServoNode:
    """collision_z: height [m] of link_7 below which it halts. frozen: whether the arm does not follow."""

    def __init__(self, ros, controller, profile, name="servo_node"):
        from moveit_msgs.msg import ServoStatus
        from moveit_msgs.srv import ServoCommandType

        self._controller, self._node, self._codes, self._kind = controller, ros.node, ServoStatus, ServoCommandType
        tool = (np.pi, 0.0, np.pi)
        self._kinematics = Kinematics(replace(profile, tip_frame="link_7", tool_orientation=tool))
        self._q = controller.q.copy()
        self.frame, self.type, self.paused, self.history = profile.base_frame, None, False, []
        self.collision_z, self.target, self.stamps, self.frozen = -np.inf, None, [], False
        self.status = ServoStatus.NO_WARNING
        node = ros.node
        node.create_subscription(PoseStamped, f"{name}/pose_target_cmds", self._on_target, COMMAND)
        self._statuses = node.create_publisher(ServoStatus, f"{name}/status", COMMAND)
        node.create_service(ServoCommandType, f"{name}/switch_command_type", self._on_type)
        node.create_service(SetBool, f"{name}/pause_servo", self._on_pause)
        node.create_timer(PERIOD, self._tick)

    def _on_type(self, request, response):
        self.type = request.command_type
        self.history.append("pose" if self.type == self._kind.Request.POSE else "other")
        response.success = self.type in (0, 1, 2)
        return response

    def _on_pause(self, request, response):
        self.paused = request.data
        self.history.append("pause" if request.data else "go")
        self._q = self._controller.q.copy()
        response.success = True
        return response

    def _on_target(self, message):
        self.target = message
        self.stamps.append(self._seconds(message.header.stamp))

    def _tick(self):
        if self.paused:
            return
        self.status = self._codes.NO_WARNING
        now = self._node.get_clock().now().nanoseconds * 1e-9
        followed = self.type == self._kind.Request.POSE and self.target is not None
        if followed and now - self._seconds(self.target.header.stamp) < TIMEOUT:
            self._follow()
        self._statuses.publish(self._codes(code=self.status))

    def _follow(self):
        if self.target.header.frame_id != self.frame:
            self.status = self._codes.INVALID
            return
        here, goal = self._kinematics.forward(self._q), self._goal()
        if goal[2] < self.collision_z:
            self.status = self._codes.HALT_FOR_COLLISION
            return
        step = goal - here
        step[3] = (step[3] + np.pi) % (2 * np.pi) - np.pi
        step /= max(1.0, np.linalg.norm(step[:3]) / (SPEED * PERIOD))
        if not self.frozen:
            try:
                self._q = self._kinematics.inverse(here + step, self._q)
            except Unreachable:
                self.status = self._codes.JOINT_BOUND
        self._controller.q = self._q.copy()

    def _goal(self):
        p, q = self.target.pose.position, self.target.pose.orientation
        matrix = np.empty(9)
        mujoco.mju_quat2Mat(matrix, np.array([q.w, q.x, q.y, q.z]))
        upright = matrix.reshape(3, 3) @ self._kinematics.rotation(0.0).T
        return np.array([p.x, p.y, p.z, np.arctan2(upright[1, 0], upright[0, 0])])

    @staticmethod
    def _seconds(stamp):
        return stamp.sec + stamp.nanosec * 1e-9
