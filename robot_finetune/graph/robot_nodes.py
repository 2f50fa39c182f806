"""Nodes of other packages that a profile asks for beside ours: a camera driver, MoveIt Servo, RViz.

MoveIt itself is no node of the graph: the policy node holds it in a process of its own (ros/moveit_process.py).
"""

from __future__ import annotations

from pathlib import Path

from robot_finetune.config import find_file, share_path
from robot_finetune.graph.node_spec import NodeSpec
from robot_finetune.robot.profile import RobotProfile

SERVO_PARAMETERS = "servo_parameters.yaml"


def robot_nodes(profile: RobotProfile, out: Path, rviz: bool) -> list[NodeSpec]:
    """The nodes in starting order. out: folder for parameter files that have to be written. Raises ConfigError."""
    nodes = [_camera_driver(profile)] if profile.camera.driver else []
    if profile.motion.backend == "servo" and profile.servo.start:
        nodes.append(_servo(profile, out))
    return nodes + (_rviz(profile) if rviz else [])


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


def _rviz(profile: RobotProfile) -> list[NodeSpec]:
    from robot_finetune.robot.description import load_urdf  # xacro is needed only here

    publisher = "robot_state_publisher"
    arguments = ("-d", str(share_path("config", "finetune.rviz")), "-f", profile.base_frame)
    return [
        NodeSpec(publisher, publisher, publisher, parameters={"robot_description": load_urdf(profile)}),
        NodeSpec("rviz2", "rviz2", "rviz2", arguments=arguments),
    ]
