"""An arm behind a joint trajectory controller's action, which says how a trajectory ended."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from action_msgs.msg import GoalStatus
from rclpy.node import Node

from robot_finetune.robot.interfaces import RobotError
from robot_finetune.robot.joint_trajectory import JointTrajectory
from robot_finetune.ros.arms.trajectory_topic import trajectory_message
from robot_finetune.ros.node.action_client import ActionCaller, SentGoal, interface
from robot_finetune.ros.node.joint_states import JointStates
from robot_finetune.ros.node.stamps import duration_message

SLOWEST = 10.0  # durations of a trajectory that its controller may take


class ActionJointDriver:
    """Implements `interfaces.JointDriver` on control_msgs/FollowJointTrajectory."""

    def __init__(self, node: Node, states: JointStates, joints: Sequence[str], action: str, patience: float) -> None:
        """patience: time [s] after a trajectory's end in which the joints have to be at its goal, and ten times its
        duration more, for a controller that is slowed down: whether the arm is blocked is seen here, sooner.

        Raises RobotError if control_msgs is not installed.
        """
        self._type = interface("control_msgs.action", "FollowJointTrajectory", "arm_action")
        cure = "is the arm controller running, and arm_action right? (`ros2 control list_controllers`)"
        self._action = ActionCaller(node, self._type, action, cure)
        self._states = states
        self._joints = list(joints)
        self._patience = patience
        self._newest = SentGoal()

    def positions(self, since: float = 0.0) -> np.ndarray:
        """As `interfaces.JointDriver`."""
        return self._states.positions(self._joints, since)

    def newest(self) -> np.ndarray | None:
        """As `interfaces.JointDriver`."""
        return self._states.newest(self._joints)

    def cancel(self) -> None:
        """Cancel the goal: the controller holds the position that it knows."""
        self._newest.cancel()

    def send(self, trajectory: JointTrajectory) -> None:
        """Start `trajectory` at once; the controller ends any other. Does not wait for its answer."""
        goal = self._type.Goal(trajectory=trajectory_message(self._joints, trajectory))
        goal.goal_time_tolerance = duration_message(self._patience + SLOWEST * float(trajectory.times[-1]))
        self._newest = self._action.start(goal)

    def failure(self) -> str:
        """Why the controller has given up the newest trajectory, a reason of MoveResult; "" if it has not.

        Raises RobotError if it refuses trajectories as they are.
        """
        goal, codes = self._newest, self._type.Result
        if not goal.finished.is_set() or goal.status == GoalStatus.STATUS_SUCCEEDED:
            return ""
        if goal.rejected:
            raise RobotError(
                f"{self._action.name} refuses a trajectory: is the controller active, and are `joints` its joints? Its "
                "log says why"
            )
        code = goal.result.error_code
        if code in (codes.PATH_TOLERANCE_VIOLATED, codes.GOAL_TOLERANCE_VIOLATED):
            return "blocked"
        if code in (codes.INVALID_JOINTS, codes.OLD_HEADER_TIMESTAMP):
            raise RobotError(f"{self._action.name} ended with {code}: {goal.result.error_string or 'no explanation'}")
        return "stopped"  # cancelled, taken over by somebody else's trajectory, or the controller was deactivated
