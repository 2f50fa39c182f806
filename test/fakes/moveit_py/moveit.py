"""A stand-in for the parts of moveit_py that robot_finetune uses; it plans with robot_finetune's own kinematics.

Signatures were checked line by line against moveit_py 2.15.0 (moveit/moveit2, commit 8fcb5d2), in moveit_py/src/moveit:
moveit_ros/moveit_cpp/{moveit_cpp,planning_component}.cpp, moveit_ros/planning_scene_monitor/planning_scene_monitor.cpp,
moveit_ros/trajectory_execution_manager/trajectory_execution_manager.cpp, moveit_core/robot_state/robot_state.cpp,
moveit_core/planning_interface/planning_response.cpp, moveit_core/controller_manager/controller_manager.cpp; behaviour
against moveit_ros/planning, in the same commit: moveit_cpp/src/{moveit_cpp,planning_component}.cpp,
planning_scene_monitor/src/{planning_scene_monitor,current_state_monitor}.cpp and
trajectory_execution_manager/src/trajectory_execution_manager.cpp.

As there: `execute` has two mandatory arguments and blocks; arguments without a name in the binding are positional only;
a goal is of exactly one kind; a pose goal names its link; planning begins from the scene's state, which is as old as
the last wait for it, and execution refuses a path that begins elsewhere; planning holds Python's lock; a stop on
trajectory_execution_event ends execution as PREEMPTED; remappings need a parameter file; the constructor raises
RuntimeError where parameters or joint states are missing; destruction crashes. Paths, collisions and time laws are not
MoveIt's. What a test wants to fail or to slow down it writes as JSON into the file $FAKE_MOVEIT; what was called is
added to $FAKE_MOVEIT.log.
"""

import ctypes
import json
import os
import sys
import threading
import time
import types
from pathlib import Path

import numpy as np
import rclpy
import yaml
from fakes.interfaces import provide
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from robot_finetune.robot.kinematics import Kinematics, Unreachable
from robot_finetune.robot.profile import load_robot
from robot_finetune.ros.arms.trajectory_topic import trajectory_message

provide("control_msgs")
from control_msgs.action import FollowJointTrajectory  # noqa: E402

START_TOLERANCE = 0.01  # rad, trajectory_execution.allowed_start_tolerance


def script(key, default=None):
    path = Path(os.environ["FAKE_MOVEIT"])
    return json.loads(path.read_text()).get(key, default) if path.exists() else default


def log(**called):
    with open(os.environ["FAKE_MOVEIT"] + ".log", "a") as file:
        file.write(json.dumps(called) + "\n")


class MoveItPy:
    def __init__(
        self,
        node_name="moveit_py",
        name_space="",
        launch_params_filepaths=(),
        config_dict=None,
        provide_planning_service=True,
        remappings=None,
    ):
        if script("crash_at_start"):
            os.kill(os.getpid(), 11)
        if remappings and not launch_params_filepaths:
            raise RuntimeError("Couldn't parse remap rule without --ros-args")
        self._parameters = {}
        for path in launch_params_filepaths:
            for key, value in yaml.safe_load(Path(path).read_text()).items():
                if key in ("/**", f"{name_space}/{node_name}"):
                    self._parameters.update(value["ros__parameters"])
        log(call="MoveItPy", name_space=name_space, remappings=remappings, parameters=self._parameters)
        remaps = [word for pair in (remappings or {}).items() for word in ("-r", ":=".join(pair))]
        rclpy.init()
        self._node = rclpy.create_node(node_name, namespace=name_space, cli_args=["--ros-args", *remaps])
        self._newest, self._stop = threading.Condition(), threading.Event()
        self._stamp, self._measured, self.scene = 0, {}, {}
        self._node.create_subscription(JointState, "joint_states", self._on_joint_states, 10)
        self._node.create_subscription(String, "trajectory_execution_event", self._on_event, 10)
        self.profile = load_robot("sim")
        self.kinematics = Kinematics(self.profile)
        self._clients = {
            name: ActionClient(self._node, FollowJointTrajectory, f"{name}/{controller['action_ns']}")
            for name, controller in self._controllers()
        }
        executor = SingleThreadedExecutor()
        executor.add_node(self._node)
        threading.Thread(target=executor.spin, daemon=True).start()
        if not self._parameters.get("robot_description") or not self._parameters.get("robot_description_semantic"):
            raise RuntimeError("Unable to construct robot model. Please make sure all needed information is there.")
        if not isinstance(self._parameters.get("planning_pipelines"), dict):
            raise RuntimeError("Failed to load planning pipelines from parameter server")
        wait = self._parameters["planning_scene_monitor_options"]["wait_for_initial_state_timeout"]
        if not self._wait_for_state(0, wait):
            raise RuntimeError("Unable to configure planning scene monitor")

    def get_planning_component(self, planning_component_name):
        if f'name="{planning_component_name}"' not in self._parameters["robot_description_semantic"]:
            raise RuntimeError(f"Could not find joint model group '{planning_component_name}'.")
        return PlanningComponent(self)

    def get_planning_scene_monitor(self):
        return self

    def get_trajectory_execution_manager(self):
        return self

    def get_robot_model(self):
        return self.profile

    # PlanningSceneMonitor

    def wait_for_current_robot_state(self, t, wait_time, /):
        if t.nanoseconds == 0 or not self._wait_for_state(t.nanoseconds, wait_time):
            return False
        self.scene = dict(self._measured)
        return True

    # TrajectoryExecutionManager

    def stop_execution(self, auto_clear=True):
        self._stop.set()

    def execute(self, robot_trajectory, controllers):
        log(call="execute", controllers=list(controllers))
        if script("execute"):
            return ExecutionStatus(script("execute"))
        trajectory, (client, *_) = robot_trajectory, self._clients.values()
        begin = np.array([self._measured[name] for name in self.profile.joints])
        if np.abs(begin - trajectory.begin).max() > START_TOLERANCE or not client.wait_for_server(2.0):
            return ExecutionStatus("ABORTED")
        self._stop.clear()
        done, results = threading.Event(), []

        def ended(future):
            results.append(future.result().result.error_code)
            done.set()

        def answered(future):
            if future.result().accepted:
                future.result().get_result_async().add_done_callback(ended)
            else:
                results.append(FollowJointTrajectory.Result.INVALID_GOAL)
                done.set()

        goal = FollowJointTrajectory.Goal(trajectory=trajectory_message(self.profile.joints, trajectory.path))
        sent = client.send_goal_async(goal)
        sent.add_done_callback(answered)
        deadline = time.monotonic() + 1.1 * trajectory.duration + 2.0
        while not done.wait(0.01):
            late = time.monotonic() > deadline
            if self._stop.is_set() or late:
                sent.result().cancel_goal_async()
                return ExecutionStatus("TIMED_OUT" if late else "PREEMPTED")
        return ExecutionStatus("SUCCEEDED" if results[0] == 0 else "ABORTED")

    def shutdown(self):
        log(call="shutdown")

    def __del__(self):
        os.kill(os.getpid(), 11)

    def _controllers(self):
        manager = self._parameters.get("moveit_simple_controller_manager", {})
        return [(name, manager[name]) for name in manager.get("controller_names", [])]

    def _wait_for_state(self, nanoseconds, seconds):
        with self._newest:
            return self._newest.wait_for(lambda: self._measured and self._stamp >= nanoseconds, seconds)

    def _on_joint_states(self, message):
        with self._newest:
            self._stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
            self._measured.update(zip(message.name, message.position, strict=False))
            self._newest.notify_all()

    def _on_event(self, message):
        if message.data == "stop":
            self._stop.set()


class PlanRequestParameters:
    def __init__(self, moveit_py, ns, /):
        self.planner_id = self.planning_pipeline = ""
        self.planning_attempts, self.planning_time = 5, 1.0
        self.max_velocity_scaling_factor = self.max_acceleration_scaling_factor = 1.0


class RobotState:
    def __init__(self, robot_model, /):
        self._model, self._positions = robot_model, dict.fromkeys(robot_model.joints, float("nan"))

    def set_to_default_values(self):
        self._positions = dict.fromkeys(self._model.joints, 0.0)

    @property
    def joint_positions(self):
        return dict(self._positions)

    @joint_positions.setter
    def joint_positions(self, positions):
        self._positions.update(positions)

    def update(self, force=False, type="all"):
        pass


class PlanningComponent:
    def __init__(self, moveit):
        self._moveit, self._goal = moveit, None

    def set_start_state_to_current_state(self):
        pass

    def set_goal_state(
        self,
        configuration_name=None,
        robot_state=None,
        pose_stamped_msg=None,
        pose_link=None,
        motion_plan_constraints=None,
    ):
        kinds = [configuration_name, robot_state, pose_stamped_msg, motion_plan_constraints]
        if sum(kind is not None for kind in kinds) != 1:
            raise ValueError("Must specify exactly one goal")
        if (pose_stamped_msg is None) != (pose_link is None):
            raise ValueError("Must specify both message and corresponding link")
        self._goal = robot_state or pose_stamped_msg
        frame = pose_stamped_msg.header.frame_id if pose_stamped_msg is not None else ""
        log(call="set_goal_state", frame=frame, link=pose_link)
        return True

    def plan(
        self,
        single_plan_parameters=None,
        multi_plan_parameters=None,
        planning_scene=None,
        solution_selection_function=None,
        stopping_criterion_callback=None,
    ):
        p = single_plan_parameters
        scaling = p.max_velocity_scaling_factor, p.max_acceleration_scaling_factor
        log(call="plan", pipeline=p.planning_pipeline, planner=p.planner_id, scaling=scaling)
        ctypes.PyDLL(None).usleep(int(1e6 * script("plan_seconds", 0.0)))  # holds Python's lock
        if script("crash_in_plan"):
            os.kill(os.getpid(), 11)
        if script("too_fast", 0.0) and scaling[0] > script("too_fast"):
            return MotionPlanResponse(-1)
        if script("error_code"):
            return MotionPlanResponse(script("error_code"))
        begin = np.array([self._moveit.scene.get(name, 0.0) for name in self._moveit.profile.joints])
        try:
            return MotionPlanResponse(1, RobotTrajectory(begin, self._path(begin)))
        except Unreachable:
            return MotionPlanResponse(-31)

    def _path(self, begin):
        kinematics = self._moveit.kinematics
        if isinstance(self._goal, RobotState):
            positions = self._goal.joint_positions
            return kinematics.joint_line(begin, [positions[name] for name in self._moveit.profile.joints])
        p, q = self._goal.pose.position, self._goal.pose.orientation
        yaw = np.arctan2(2 * (q.x * q.y + q.z * q.w), 1 - 2 * (q.y**2 + q.z**2))
        return kinematics.line(begin, np.array([p.x, p.y, p.z, yaw]))


class RobotTrajectory:
    def __init__(self, begin, path):
        self.begin, self.path, self.duration = begin, path, float(path.times[-1])


class MotionPlanResponse:
    def __init__(self, code, trajectory=None):
        self.error_code, self.trajectory = types.SimpleNamespace(val=code), trajectory

    def __bool__(self):
        return self.error_code.val == 1


class ExecutionStatus:
    def __init__(self, status):
        self.status = status

    def __bool__(self):
        return self.status == "SUCCEEDED"


this = sys.modules[__name__]
this.planning = this.core = this.robot_state = this  # the submodules that the real package has
sys.modules.update({f"moveit.{name}": this for name in ("planning", "core", "core.robot_state")})
