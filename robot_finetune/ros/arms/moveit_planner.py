"""The process that holds MoveIt: plans and executes one requested motion after the other.

Started by `moveit_process`; its only argument is the file descriptor of the pipe. What is done here, and why:

* the parameters come from a file under `/**`, which fits a node in any namespace, and so do the remappings;
* every plan begins from a state that was measured after the request: without the wait it would begin from an older one,
  and execution would refuse it for deviating from the arm;
* both scalings are set for every plan: their default is full speed, whatever joint_limits.yaml says;
* `execute` is given both its arguments;
* a stop that comes while a plan is made is seen before it is executed; one that comes later is heard by MoveIt itself,
  on the topic trajectory_execution_event;
* shutdown is the last call, and the process ends at once after it: destructors may crash.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from rclpy.clock import ClockType
from rclpy.time import Time

from robot_finetune.config import from_mapping
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.ros.arms.moveit_config import PIPELINE, moveit_parameters, write_parameters
from robot_finetune.ros.arms.moveit_process import Answer, Planned, Request, Setup, Stop
from robot_finetune.ros.arms.poses import pose_stamped
from robot_finetune.ros.node.action_client import interface

NODE = "robot_finetune_moveit"
STATE_TIMEOUT = 1.0
"""Seconds in which a joint state that is newer than a request has to come."""
SLOWER = (1.0, 0.5, 0.25)
"""Shares of the scalings that are tried one after the other: Pilz refuses a line on which a joint would be too fast."""

PLANNING_FAILED = -1
REASONS = {
    -31: "unreachable",  # NO_IK_SOLUTION
    -16: "unreachable",  # INVALID_GOAL_CONSTRAINTS: joint positions out of range
    PLANNING_FAILED: "unreachable",
    -2: "collision",  # INVALID_MOTION_PLAN: the path was planned and is not valid
    -10: "collision",  # START_STATE_IN_COLLISION
    -12: "collision",  # GOAL_IN_COLLISION
    -6: "timeout",  # TIMED_OUT
}
"""Reason of a MoveResult for the moveit_msgs/MoveItErrorCodes that are about the motion, not about the set-up."""

STATUSES = {"SUCCEEDED": "", "PREEMPTED": "stopped", "TIMED_OUT": "timeout"}
"""Reason for each ExecutionStatus; any other is `aborted`."""


class MoveItPlanner:
    """MoveIt with one planning group."""

    def __init__(self, setup: Setup) -> None:
        """Raises RobotError if moveit_py is not installed, ConfigError for a wrong profile, and what MoveIt raises."""
        self._profile = profile = from_mapping(RobotProfile, setup.profile, "robot profile")
        key, package = "motion.backend moveit", "moveit_py"
        moveit_py = interface("moveit.planning", "MoveItPy", key, package)
        self._parameters_type = interface("moveit.planning", "PlanRequestParameters", key, package)
        self._state_type = interface("moveit.core.robot_state", "RobotState", key, package)
        own = write_parameters(moveit_parameters(profile, setup.use_sim_time))
        try:
            self._moveit = moveit_py(
                node_name=NODE,
                name_space=setup.namespace,
                launch_params_filepaths=[str(own), *filter(None, [profile.moveit.parameters])],
                provide_planning_service=False,
                remappings={"joint_states": setup.joint_states},
            )
        finally:
            own.unlink()
        self._group = self._moveit.get_planning_component(profile.moveit.group)
        self._scene = self._moveit.get_planning_scene_monitor()

    def run(self, request: Request, planned: Callable[[float], None], stopped: Callable[[], bool]) -> Answer:
        """Plan and execute. planned: called with the duration [s] before it is executed. stopped: whether not to."""
        moment = Time(nanoseconds=request.now, clock_type=ClockType.ROS_TIME)
        if not self._scene.wait_for_current_robot_state(moment, STATE_TIMEOUT):
            late = "MoveIt hears no joint states that are newer than the request"
            return Answer(request.number, error=f"{late}: check their rate, and synchronise the clocks")
        self._group.set_start_state_to_current_state()
        if request.pose:
            target = pose_stamped(self._profile.base_frame, request.pose[:3], request.pose[3:])
            self._group.set_goal_state(pose_stamped_msg=target, pose_link=self._profile.tip_frame)
        else:
            self._group.set_goal_state(robot_state=self._goal_state(request.joints))
        response = self._plan("LIN" if request.pose else "PTP")
        code = response.error_code.val
        if code in REASONS:
            return Answer(request.number, REASONS[code])
        if not response:
            return Answer(request.number, error=f"MoveIt cannot plan: error code {code}; its output says why")
        longest = self._profile.motion.longest
        if response.trajectory.duration > longest:
            error = f"MoveIt plans a motion that is longer than motion.longest, {longest:g} s; raise it or the scalings"
            return Answer(request.number, error=error)
        if stopped():
            return Answer(request.number, "stopped")
        planned(response.trajectory.duration)
        status = self._moveit.execute(response.trajectory, [])
        return Answer(request.number, STATUSES.get(status.status, "aborted"))

    def close(self) -> None:
        """Stop what is executed, and MoveIt; nothing may be called after this."""
        self._moveit.get_trajectory_execution_manager().stop_execution()
        self._moveit.shutdown()

    def _plan(self, planner: str) -> Any:
        motion = self._profile.motion
        parameters = self._parameters_type(self._moveit, "")
        parameters.planning_pipeline, parameters.planner_id = PIPELINE, planner
        parameters.planning_attempts, parameters.planning_time = 1, self._profile.moveit.planning_time
        for share in SLOWER:
            parameters.max_velocity_scaling_factor = share * motion.velocity_scaling
            parameters.max_acceleration_scaling_factor = share * motion.acceleration_scaling
            response = self._group.plan(single_plan_parameters=parameters)
            if response.error_code.val != PLANNING_FAILED:
                break
        return response

    def _goal_state(self, joints: tuple[float, ...]) -> Any:
        state = self._state_type(self._moveit.get_robot_model())
        state.set_to_default_values()
        state.joint_positions = dict(zip(self._profile.joints, joints, strict=True))
        state.update()
        return state


def serve(connection: Connection) -> None:
    """Answer requests until the other side closes the pipe."""
    try:
        planner = MoveItPlanner(connection.recv())
    except Exception as error:  # the binding turns any C++ exception into one of several
        connection.send(Answer(0, error=f"MoveIt cannot be started: {error}"))
        return
    connection.send(Answer(0))
    try:
        while True:
            message = connection.recv()
            if isinstance(message, Request):
                connection.send(_answer(planner, message, connection))
    except (EOFError, OSError):  # the other side is done
        planner.close()


def _answer(planner: MoveItPlanner, request: Request, connection: Connection) -> Answer:
    def planned(duration: float) -> None:
        connection.send(Planned(request.number, duration))

    def stopped() -> bool:
        return any(isinstance(connection.recv(), Stop) for _ in iter(connection.poll, False))

    try:
        return planner.run(request, planned, stopped)
    except (EOFError, OSError):
        raise
    except Exception as error:  # as above
        return Answer(request.number, error=f"MoveIt: {error}")


def main() -> None:
    serve(Connection(int(sys.argv[1])))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # without destructors


if __name__ == "__main__":
    main()
