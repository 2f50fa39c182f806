"""The cell that is set up, over ROS: the nodes that have to run for it, and its devices, slowed down."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CameraInfo, Image

from robot_finetune.cell_setup.draft import Draft, slowed
from robot_finetune.cell_setup.wizard import Cell
from robot_finetune.graph.bringup import node_graph
from robot_finetune.graph.node_spec import PACKAGE, NodeSpec
from robot_finetune.graph.options import BringupOptions
from robot_finetune.graph.process_runner import ProcessRunner
from robot_finetune.robot.interfaces import RobotError
from robot_finetune.robot.joint_limits import JointLimit
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.ros.images import image_to_rgb
from robot_finetune.ros.node.fast_dds import own_port
from robot_finetune.ros.node.joint_states import JointStates
from robot_finetune.ros.node.newest import Newest
from robot_finetune.ros.node.waiting import RosClock
from robot_finetune.ros.ros_robot import ros_robot
from robot_finetune.ros.workspace_marker import workspace_shower


@contextmanager
def nodes(draft: Draft) -> Iterator[None]:
    """The simulated cell; on an arm what the profile starts, and the node camera, if it makes the images."""
    options = BringupOptions(robot=str(draft.source), out=str(draft.path.parent), train=False, real_time_factor=0.0)
    wanted = [spec for spec in node_graph(options) if _needed(spec, draft.profile)]
    runner = ProcessRunner(draft.path.with_name(f"{draft.path.stem}_logs"), os.environ, print)
    runner.start(wanted)
    try:
        yield
    finally:
        runner.stop()


def _needed(spec: NodeSpec, profile: RobotProfile) -> bool:
    beside = spec.package != PACKAGE  # a camera driver or Servo
    return beside or spec.name == "sim_cell" or (spec.name == "camera" and bool(profile.camera.published))


@contextmanager
def connected(profile: RobotProfile) -> Iterator[Cell]:
    """The devices of the profile on a node of their own, which another thread spins."""
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)  # Ctrl-C stops the arm before ROS ends
    simulated = Parameter("use_sim_time", value=profile.simulated_clock)
    with own_port():
        node = rclpy.create_node("setup", parameter_overrides=[simulated])
    robot = ros_robot(node, slowed(profile))
    states = JointStates(node, profile.joint_states_topic, RosClock(node), {profile.gripper.joint: JointLimit()})
    images = Newest(node, Image, profile.full_image_topic, profile.camera.timeout + 8.0)
    infos = Newest(node, CameraInfo, profile.camera_info_topic, 2.0)
    executor = SingleThreadedExecutor()
    executor.add_node(node)

    def spin() -> None:
        with suppress(ExternalShutdownException):
            executor.spin()

    def focal() -> float:
        message = infos.newest()
        return float(message.k[0]) if message is not None else 0.0

    def image() -> np.ndarray:
        return image_to_rgb(images.next("is the camera driver (or sim_cell) running?"))

    def finger() -> float:
        return float(states.positions([profile.gripper.joint])[0])

    thread = threading.Thread(target=spin, daemon=True)
    thread.start()
    try:
        image()  # whatever has just been started is there
        yield Cell(robot, finger, image, focal, workspace_shower(node))
    except BaseException:
        with suppress(RobotError):
            robot.arm.stop()
        raise
    finally:
        rclpy.try_shutdown()
        thread.join(timeout=5.0)
