"""The ROS parameters that MoveIt needs, from a robot profile and the robot's MoveIt configuration package.

Straight lines and point-to-point motions come from the Pilz planner. It multiplies all limits by the scalings, so the
Cartesian ones are given divided by them: `tip_speed` then means the same as in the other backends.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import yaml

from robot_finetune.config import ConfigError, find_file, load_yaml, package_share
from robot_finetune.robot.description import load_urdf, read_description, xacro_arguments
from robot_finetune.robot.kinematics import YAW_LENGTH
from robot_finetune.robot.profile import RobotProfile

PIPELINE = "pilz_industrial_motion_planner"
SERVO_PERIOD = 0.01  # s between two set-points
SERVO_COMMAND_TIMEOUT = 0.1  # s; Servo halts when the newest target is older


def moveit_parameters(profile: RobotProfile, use_sim_time: bool = False) -> dict[str, Any]:
    """Parameters of a MoveItPy node. Raises ConfigError that names the file, the key and what is missing."""
    moveit = profile.moveit
    return {
        "use_sim_time": use_sim_time,
        **_descriptions(profile),
        "robot_description_planning": {**_joint_limits(profile), "cartesian_limits": _cartesian_limits(profile)},
        "planning_pipelines": {"pipeline_names": [PIPELINE]},
        PIPELINE: {
            "planning_plugins": [f"{PIPELINE}/CommandPlanner"],
            "request_adapters": [
                "default_planning_request_adapters/ResolveConstraintFrames",
                "default_planning_request_adapters/ValidateWorkspaceBounds",
                "default_planning_request_adapters/CheckStartStateBounds",
                "default_planning_request_adapters/CheckStartStateCollision",
            ],
            "response_adapters": ["default_planning_response_adapters/ValidateSolution"],
        },
        "planning_scene_monitor_options": {
            "name": "planning_scene_monitor",
            "robot_description": "robot_description",
            "wait_for_initial_state_timeout": moveit.ready_timeout / 2,
        },
        "moveit_controller_manager": "moveit_simple_controller_manager/MoveItSimpleControllerManager",
        "moveit_simple_controller_manager": {
            "controller_names": list(moveit.controllers),
            **{name: _controller(profile) for name in moveit.controllers},
        },
        "trajectory_execution": {
            "allowed_execution_duration_scaling": 1.2,
            "allowed_goal_duration_margin": profile.motion.timeout,
            "allowed_start_tolerance": 0.01,
        },
    }


def servo_parameters(profile: RobotProfile) -> dict[str, Any]:
    """Parameters of MoveIt's servo_node (Jazzy and later) that the backend servo follows poses by. Raises ConfigError.

    Targets are whole poses, so Servo's scales of unitless commands do not count; speed is limited by the re-sent
    targets and by the joints' limits.
    """
    return {
        **_descriptions(profile),
        "robot_description_planning": _joint_limits(profile),
        "moveit_servo": {
            "move_group_name": profile.moveit.group,
            "command_in_type": "speed_units",
            "command_out_type": "trajectory_msgs/JointTrajectory",
            "command_out_topic": _absolute(profile.arm_topic),
            "joint_topic": _absolute(profile.joint_states_topic),
            "publish_period": SERVO_PERIOD,
            "incoming_command_timeout": SERVO_COMMAND_TIMEOUT,
            "check_collisions": True,
            "is_primary_planning_scene_monitor": True,
        },
    }


def write_parameters(parameters: dict[str, Any]) -> Path:
    """A parameter file that fits a node of any name in any namespace; the caller deletes it."""
    with tempfile.NamedTemporaryFile("w", prefix="moveit_", suffix=".yaml", delete=False) as file:
        file.write(parameter_text(parameters))
    return Path(file.name)


def parameter_text(parameters: dict[str, Any]) -> str:
    """The content of a parameter file that fits a node of any name in any namespace."""
    return yaml.safe_dump({"/**": {"ros__parameters": parameters}})


def _descriptions(profile: RobotProfile) -> dict[str, Any]:
    moveit = profile.moveit
    srdf = read_description("moveit.srdf", _file(profile, moveit.srdf), xacro_arguments(moveit.srdf_arguments))
    return {
        "robot_description": load_urdf(profile),
        "robot_description_semantic": srdf,
        "robot_description_kinematics": _kinematics(profile),
    }


def _absolute(topic: str) -> str:
    """As Servo needs it, whose own relative names begin at its node."""
    return f"/{topic.lstrip('/')}"


def _file(profile: RobotProfile, name: str) -> Path:
    if name.startswith("package://") or Path(name).is_absolute():
        return find_file(name)
    return package_share(profile.moveit.config_package) / name


def _kinematics(profile: RobotProfile) -> dict[str, Any]:
    path, group = _file(profile, profile.moveit.kinematics), profile.moveit.group
    solvers = load_yaml(path)
    if group not in solvers:
        there = ", ".join(solvers) or "none"
        raise ConfigError(f"{path}: no solver for moveit.group = {group!r}; there are {there}")
    return solvers


def _joint_limits(profile: RobotProfile) -> dict[str, Any]:
    path = _file(profile, profile.moveit.joint_limits)
    limits = load_yaml(path)
    given = limits.get("joint_limits") or {}
    missing = [name for name in profile.joints if not (given.get(name) or {}).get("max_acceleration")]
    if missing:
        raise ConfigError(
            f"{path}: joint_limits lack max_acceleration of {', '.join(missing)}, which Pilz needs; add it"
        )
    return limits


def _cartesian_limits(profile: RobotProfile) -> dict[str, float]:
    motion = profile.motion
    speed, acceleration = (
        motion.tip_speed / motion.velocity_scaling,
        motion.tip_acceleration / motion.acceleration_scaling,
    )
    return {
        "max_trans_vel": speed,
        "max_trans_acc": acceleration,
        "max_trans_dec": -acceleration,
        "max_rot_vel": speed / YAW_LENGTH,
    }


def _controller(profile: RobotProfile) -> dict[str, Any]:
    return {
        "type": "FollowJointTrajectory",
        "action_ns": "follow_joint_trajectory",
        "default": True,
        "joints": list(profile.joints),
    }
