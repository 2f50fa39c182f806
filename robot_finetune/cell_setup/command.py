"""`robot-finetune setup`: the wizard over ROS. It starts the simulated cell, or the node camera where it is needed."""

from __future__ import annotations

import argparse
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from robot_finetune.bringup import BringupOptions, node_graph
from robot_finetune.cell_setup.console import Console
from robot_finetune.cell_setup.draft import Draft
from robot_finetune.cell_setup.wizard import Cell, Wizard
from robot_finetune.config import ConfigError
from robot_finetune.node_spec import PACKAGE, NodeSpec
from robot_finetune.robot.interfaces import RobotError
from robot_finetune.robot.profile import SIMULATED, RobotProfile
from robot_finetune.ros.environment import graph_environment

SLOW_SPEED, SLOW_ACCELERATION, SLOW_SCALING = 0.1, 0.5, 0.2
GIVEN_FIRST = ("urdf", "base_frame", "tip_frame", "tool_orientation", "joints", "gripper.joint")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--robot", default=SIMULATED, help="profile to begin with: name or YAML file")
    parser.add_argument("--out", type=Path, required=True, help="profile to write, YAML; one that is there goes on")
    parser.add_argument("--name", default="", help="name of the robot in the new profile")


def run(args: argparse.Namespace) -> int:
    if args.out.suffix not in {".yaml", ".yml"}:
        raise ConfigError(f"--out {args.out}: give a file that ends in .yaml")
    draft = Draft(args.robot, args.out.expanduser().absolute(), args.name)
    missing = [key for key in GIVEN_FIRST if key in draft.profile.to_measure]
    if missing:
        raise ConfigError(
            f"{args.robot}: write {', '.join(missing)} into a copy of the profile first and take them off to_measure: "
            "nothing can be moved without them"
        )
    try:
        import rclpy  # noqa: F401
        import visualization_msgs  # noqa: F401
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{error.name} is not installed: run `make build`, or source the workspace's setup file"
        ) from error
    os.environ.update(graph_environment(draft.profile.name == SIMULATED))
    console = Console(sys.stdin, sys.stdout)
    with _nodes(draft), _connected(draft.profile) as cell:
        wizard = Wizard(cell, draft, console)
        wizard.run()
    console.say(f"Written: {draft.path}")
    for line in wizard.unfinished:
        console.say(f"not done: {line}")
    return 1 if wizard.unfinished else 0


def slowed(profile: RobotProfile) -> RobotProfile:
    """The profile for motions of the set-up: slow, and with what is still to be measured left open."""
    motion = profile.motion
    slow = replace(
        motion,
        tip_speed=min(motion.tip_speed, SLOW_SPEED),
        tip_acceleration=min(motion.tip_acceleration, SLOW_ACCELERATION),
        velocity_scaling=min(motion.velocity_scaling, SLOW_SCALING),
        acceleration_scaling=min(motion.acceleration_scaling, SLOW_SCALING),
    )
    return replace(profile, motion=slow, to_measure=())


@contextmanager
def _nodes(draft: Draft) -> Iterator[None]:
    """The simulated cell; on an arm what the profile starts, and the node camera, if it makes the images."""
    from robot_finetune.session.process_runner import ProcessRunner

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
def _connected(profile: RobotProfile) -> Iterator[Cell]:
    """The devices of the profile on a node of their own, which another thread spins."""
    import rclpy
    from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
    from rclpy.parameter import Parameter
    from rclpy.signals import SignalHandlerOptions
    from sensor_msgs.msg import CameraInfo, Image

    from robot_finetune.ros.images import image_to_rgb
    from robot_finetune.ros.newest import Newest
    from robot_finetune.ros.ros_robot import ros_robot
    from robot_finetune.ros.trajectory_arm import JointStates
    from robot_finetune.ros.waiting import RosClock
    from robot_finetune.ros.workspace_marker import workspace_shower

    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)  # Ctrl-C stops the arm before ROS ends
    simulated = Parameter("use_sim_time", value=profile.name == SIMULATED)
    node = rclpy.create_node("setup", parameter_overrides=[simulated])
    robot = ros_robot(node, slowed(profile))
    states = JointStates(node, profile.joint_states_topic, RosClock(node))
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
