"""The PyBullet world with the topics of a camera driver, ros2_control and a clock, as a simulator of your own has.

    python examples/pybullet_panda/simulator.py [--seed 1] [--truth FILE] [--gui] [--ros-args ...]

Everything happens in one thread: time goes on by a tick, what is due is published, what came meanwhile is obeyed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.utilities import remove_ros_args
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Float64
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory
from world import World

from robot_finetune.msg import EpisodePhase
from robot_finetune.perception.camera_model import CameraModel
from robot_finetune.robot.profile import load_robot
from robot_finetune.ros.conversions import message_to_trajectory
from robot_finetune.ros.images import camera_info, numpy_to_image
from robot_finetune.ros.node.qos import EPISODE
from robot_finetune.ros.node.stamps import to_stamp

PROFILE = Path(__file__).with_name("panda.yaml")
TICK = 1 / 60  # s between joint states
COAST = 0.1  # s of the world's time that it hurries on for after a motion: while all rests it passes as on the wall
FRAME = "camera_optical_frame"


class Simulator(Node):
    """Publishes what the devices of a cell publish, and obeys the same commands."""

    def __init__(self, profile_file: Path, seed: int, truth: Path | None, gui: bool) -> None:
        super().__init__("simulator")
        self._profile = profile = load_robot(profile_file)
        self._world, self._truth = World(profile, seed, gui), truth
        self._moved = self._pictured = self._wall_pictured = 0.0
        self._info = camera_info(CameraModel.from_config(profile.camera), FRAME)
        self._clocks = self.create_publisher(Clock, "/clock", qos_profile_sensor_data)
        self._states = self.create_publisher(JointState, profile.joint_states_topic, 10)
        self._images = self.create_publisher(Image, profile.image_topic, qos_profile_sensor_data)
        self._infos = self.create_publisher(CameraInfo, profile.camera_info_topic, qos_profile_sensor_data)
        self.create_subscription(JointTrajectory, profile.arm_topic, self._follow, 10)
        self.create_subscription(Float64, profile.gripper_topic, self._drive, 10)
        self.create_subscription(EpisodePhase, "episode_phase", self._note, EPISODE)
        self.create_service(Trigger, profile.scene.reset_service, self._refill)

    def tick(self) -> float:
        """Let a tick pass; returns the wall seconds that it should have taken."""
        world = self._world
        world.advance(TICK)
        if world.busy:
            self._moved = world.time
        hurries = world.time - self._moved < COAST
        stamp = to_stamp(world.time)
        self._clocks.publish(Clock(clock=stamp))
        positions, speeds = world.joints()
        state = JointState(
            name=[*self._profile.joints, self._profile.gripper.joint], position=positions, velocity=speeds
        )
        state.header.stamp = stamp
        self._states.publish(state)
        period, wall = 1 / self._profile.camera.rate, time.monotonic()
        if world.time - self._pictured >= period and not (hurries and wall - self._wall_pictured < period):
            self._pictured, self._wall_pictured = world.time, wall
            self._info.header.stamp = stamp
            self._images.publish(numpy_to_image(world.image(), "rgb8", stamp, FRAME))
            self._infos.publish(self._info)
        return 0.0 if hurries else TICK

    def close(self) -> None:
        self._world.close()

    def _follow(self, message: JointTrajectory) -> None:
        try:
            self._world.send(message_to_trajectory(message, self._profile.joints))
        except ValueError as error:
            self.get_logger().error(f"refused: {error}")

    def _drive(self, message: Float64) -> None:
        if np.isfinite(message.data):
            self._world.drive_fingers(message.data)

    def _refill(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._world.refill()
        response.success, response.message = True, "other objects lie in the tray"
        return response

    def _note(self, message: EpisodePhase) -> None:
        """What was really held after the lift, a line in the file `truth`."""
        if self._truth and message.phase == EpisodePhase.AFTER_LIFT:
            with self._truth.open("a") as stream:
                stream.write(json.dumps({"episode_id": message.episode_id, "held": self._world.held()}) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--robot", type=Path, default=PROFILE, help="profile, YAML")
    parser.add_argument("--seed", type=int, default=0, help="of the objects and where they fall")
    parser.add_argument("--truth", type=Path, help="file to which every lift adds a line: what was really held")
    parser.add_argument("--gui", action="store_true", help="show it")
    args = parser.parse_args(remove_ros_args(sys.argv)[1:])
    rclpy.init(args=sys.argv)
    node, executor = Simulator(args.robot, args.seed, args.truth, args.gui), SingleThreadedExecutor()
    executor.add_node(node)
    try:
        while rclpy.ok():
            until = time.monotonic() + node.tick()
            executor.spin_once(timeout_sec=0.0)
            while (left := until - time.monotonic()) > 0:
                executor.spin_once(timeout_sec=left)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.close()
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
