"""A joint trajectory controller with its real action type, as an rclpy action server in the test's own node.

It ends its goals as joint_trajectory_controller of ros2_controllers 6.9.0 (commit 94e74de) does,
src/joint_trajectory_controller.cpp: goal_received_callback (rejects while inactive, or for other joints), update (path
and goal tolerances), preempt_active_goal (a newer goal aborts the older with INVALID_GOAL), goal_cancelled_callback
(holds), on_deactivate. Joints follow the trajectory exactly, except that `wall` keeps joint 1 from going above it.
"""

import time

import numpy as np
from fakes.trajectory_rules import refusal
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.task import Future
from sensor_msgs.msg import JointState

from robot_finetune.ros.conversions import message_to_trajectory
from robot_finetune.ros.node.qos import COMMAND
from robot_finetune.ros.node.stamps import to_seconds

PERIOD = 0.01


class TrajectoryController:
    """Serves `<name>/follow_joint_trajectory` and publishes joint_states at 100 Hz."""

    def __init__(self, ros, joints, positions, name="controller"):
        from control_msgs.action import FollowJointTrajectory

        self.joints, self.q = list(joints), np.array(positions, float)
        self.active, self.wall, self.path_tolerance, self.goals = True, np.inf, 0.2, []
        self._kind, self._node, self._running = FollowJointTrajectory, ros.node, None
        self._states = ros.node.create_publisher(JointState, "joint_states", COMMAND)
        ActionServer(
            ros.node,
            FollowJointTrajectory,
            f"{name}/follow_joint_trajectory",
            self._execute,
            goal_callback=self._accept,
            cancel_callback=self._cancel,
        )
        ros.node.create_timer(PERIOD, self._tick)

    @property
    def moving(self):
        return self._running is not None

    def deactivate(self):
        self.active = False
        self._end("abort", self._kind.Result.INVALID_GOAL, "Current goal cancelled during deactivate transition.")

    def _accept(self, goal):
        taken = self.active and not refusal(goal.trajectory, self.joints)
        return GoalResponse.ACCEPT if taken else GoalResponse.REJECT

    def _cancel(self, handle):
        self._end("canceled", self._kind.Result.SUCCESSFUL, "")
        return CancelResponse.ACCEPT

    async def _execute(self, handle):
        self._end("abort", self._kind.Result.INVALID_GOAL, "Current goal preempted by new incoming action.")
        self.goals.append(handle.request)
        trajectory = message_to_trajectory(handle.request.trajectory, self.joints)
        limit = trajectory.times[-1] + to_seconds(handle.request.goal_time_tolerance)
        self._running = Future(), time.monotonic(), trajectory, self.q.copy(), limit
        how, code, text = await self._running[0]
        getattr(handle, how)()
        return self._kind.Result(error_code=code, error_string=text)

    def _tick(self):
        if self._running:
            self._advance()
        message = JointState(name=self.joints, position=self.q.tolist())
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._states.publish(message)

    def _advance(self):
        _, begin, trajectory, start, limit = self._running
        now = time.monotonic() - begin
        wanted, _ = trajectory.at(now, start)
        self.q = wanted.copy()
        self.q[0] = min(self.q[0], self.wall)
        result = self._kind.Result
        if now < trajectory.times[-1]:
            if np.abs(self.q - wanted).max() > self.path_tolerance:
                self._end("abort", result.PATH_TOLERANCE_VIOLATED, "Aborted due to path tolerance violation")
        elif np.abs(self.q - wanted).max() < 0.01:
            self._end("succeed", result.SUCCESSFUL, "Goal successfully reached!")
        elif now > limit:
            self._end("abort", result.GOAL_TOLERANCE_VIOLATED, "Aborted due to goal_time_tolerance exceeding")

    def _end(self, how, code, text):
        if self._running:
            self._running[0].set_result((how, code, text))
            self._running = None
