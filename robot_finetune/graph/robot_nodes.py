"""Nodes of other packages that a profile asks for beside ours: a camera driver, MoveIt Servo, frames, RViz.

MoveIt itself is no node of the graph: the policy node holds it in a process of its own (ros/moveit_process.py).
"""

from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np

from robot_finetune.config import ConfigError, find_file, share_path
from robot_finetune.graph.node_spec import NodeSpec
from robot_finetune.perception.camera_model import CameraModel
from robot_finetune.robot.profile import SIMULATED, RobotProfile
from robot_finetune.ros.environment import executable

SERVO_PARAMETERS = "servo_parameters.yaml"
TOOL_FRAME = "tool"
"""Frame at the tip whose z axis goes along the fingers, and whose x axis is the base frame's at yaw 0."""


def robot_nodes(profile: RobotProfile, out: Path, rviz: bool = False, state: str = "auto") -> list[NodeSpec]:
    """The nodes in starting order. out: folder for parameter files that have to be written. Raises ConfigError.

    state: "true" publishes the robot's frames, "false" does not, "auto" does where no driver brings them and the
    packages for it are installed.
    """
    nodes = [_camera_driver(profile)] if profile.camera.driver else []
    if profile.motion.backend == "servo" and profile.servo.start:
        nodes.append(_servo(profile, out))
    return nodes + _frames(profile, state) + ([_rviz(profile)] if rviz else [])


def _camera_driver(profile: RobotProfile) -> NodeSpec:
    package, _, executable = profile.camera.driver.partition("/")
    files = (find_file(profile.camera.driver_parameters),) if profile.camera.driver_parameters else ()
    return NodeSpec("camera_driver", executable, package, parameter_files=files, respawn=True)


def _servo(profile: RobotProfile, out: Path) -> NodeSpec:
    from robot_finetune.ros.arms.moveit_config import parameter_text, servo_parameters  # which needs xacro

    out.mkdir(parents=True, exist_ok=True)
    file = out / SERVO_PARAMETERS
    file.write_text(parameter_text(servo_parameters(profile)))
    namespace, _, name = profile.servo.node.strip("/").rpartition("/")
    return NodeSpec(name, "servo_node", "moveit_servo", parameter_files=(file,), namespace=namespace)


def _frames(profile: RobotProfile, state: str) -> list[NodeSpec]:
    """The links, which an arm's driver mostly brings, and, unless they are among the links, the calibrated camera and
    the tool, whose axes are those of the poses in messages."""
    from robot_finetune.robot.description import load_urdf  # which needs xacro

    if state == "false":
        return []
    links, publisher = load_urdf(profile), "robot_state_publisher"
    wanted = []
    if state == "true" or profile.name == SIMULATED:
        wanted.append(NodeSpec(publisher, publisher, publisher, parameters={"robot_description": links}, respawn=True))
    for frame, made in ((profile.camera.optical_frame, _camera_frame), (TOOL_FRAME, _tool_frame)):
        if f'"{frame}"' not in links:
            wanted.append(made(profile))
    return [spec for spec in wanted if state == "true" or _is_installed(spec)]


def _camera_frame(profile: RobotProfile) -> NodeSpec:
    camera = CameraModel.from_config(profile.camera)
    frames = profile.base_frame, profile.camera.optical_frame
    return _static_frame("camera_frame", *frames, camera.position, camera.rotation)


def _tool_frame(profile: RobotProfile) -> NodeSpec:
    from robot_finetune.robot.kinematics import fixed_axes  # which needs xacro

    turn = fixed_axes(profile.tool_orientation).T @ np.diag([1.0, -1.0, -1.0])  # types.tool_quaternion at yaw 0
    return _static_frame("tool_frame", profile.tip_frame, TOOL_FRAME, np.zeros(3), turn)


def _static_frame(name: str, parent: str, child: str, position: np.ndarray, rotation: np.ndarray) -> NodeSpec:
    quaternion = np.empty(4)
    mujoco.mju_mat2Quat(quaternion, np.ascontiguousarray(rotation).ravel())
    numbers = dict(zip(("x", "y", "z", "qw", "qx", "qy", "qz"), (*position, *quaternion), strict=True))
    frames = {"frame-id": parent, "child-frame-id": child}
    words = [word for key, value in (numbers | frames).items() for word in (f"--{key}", str(value))]
    return NodeSpec(name, "static_transform_publisher", "tf2_ros", arguments=tuple(words), respawn=True)


def _is_installed(spec: NodeSpec) -> bool:
    try:
        executable(spec.executable, spec.package)
    except ConfigError:
        return False
    return True


def _rviz(profile: RobotProfile) -> NodeSpec:
    arguments = ("-d", str(share_path("config", "finetune.rviz")), "-f", profile.base_frame)
    return NodeSpec("rviz2", "rviz2", "rviz2", arguments=arguments)
