"""Node `sim_cell`: the simulated cell of a profile with the topics of a camera driver, ros2_control and a clock.

All of the cell (physics, rendering) lives in one worker thread; callbacks only hand commands over to it. Like the
person beside a real cell, the node follows the policy's status: before an episode it fills the bin again, in the
variation that the episode asks for.
"""

from __future__ import annotations

import math
import queue
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import rclpy
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Float64
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from robot_finetune.config import ConfigError, setting
from robot_finetune.msg import EpisodePhase
from robot_finetune.perception.camera_model import CameraModel
from robot_finetune.robot.profile import RobotProfile, load_robot
from robot_finetune.ros.constants import MODE, PHASE
from robot_finetune.ros.conversions import message_to_trajectory
from robot_finetune.ros.images import CAMERA_FRAME, camera_info, numpy_to_image
from robot_finetune.ros.node.guarded import listen
from robot_finetune.ros.node.parameters import declare_parameters
from robot_finetune.ros.node.qos import CLOCK, COMMAND, EPISODE, SENSOR
from robot_finetune.ros.node.spin import fail, run_node
from robot_finetune.ros.node.stamps import to_stamp
from robot_finetune.sim.cell import Cell
from robot_finetune.sim.pacing import Pace, Schedule
from robot_finetune.sim.robot_model import robot_model
from robot_finetune.sim.variations import load_variation
from robot_finetune.types import MODES

TICK = 0.01
"""Time of the cell [s] between two joint states: 100 Hz."""
STATES_A_SECOND = 250.0
"""Most joint states a wall second while the cell hurries; Python subscribers keep up with that."""
FAMILY = "held_out"
"""Objects in the bin: new to the base policy."""


@dataclass(frozen=True)
class SimCellParameters:
    """Parameters of the node."""

    robot: str = setting("sim", "robot: a name in config/robots or a YAML file")
    variation: str = setting("base", "state of the cell at the start: a name in config/variations or a YAML file")
    seed: int = setting(0, "seed of the scenes", low=0, high=2**31 - 1)
    scene_every: int = setting(1, "episodes between two fresh scenes; 0: the first scene stays", low=0, high=10_000)
    real_time_factor: float = setting(
        1.0, "cell seconds a second; 0: as fast as it can while anything moves", low=0.0, high=100.0
    )


class SimCellNode(Node):
    """Publishes what the cell's devices publish, and obeys the same commands."""

    def __init__(self) -> None:
        super().__init__("sim_cell")
        self._config = declare_parameters(self, SimCellParameters)
        self._profile = load_robot(self._config.robot)
        require_topics(self._profile)
        for note in robot_model(self._profile).urdf.notes:
            self.get_logger().warning(note)
        self._variation = load_variation(self._config.variation)
        self._commands: queue.SimpleQueue[Callable[[Cell], None]] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._episode_id = ""
        self._episodes = 0
        self._camera_info = camera_info(CameraModel.from_config(self._profile.camera), CAMERA_FRAME)
        self._images = self.create_publisher(Image, self._profile.image_topic, SENSOR)
        self._camera_infos = self.create_publisher(CameraInfo, self._profile.camera_info_topic, SENSOR)
        self._joint_states = self.create_publisher(JointState, self._profile.joint_states_topic, COMMAND)
        self._clocks = self.create_publisher(Clock, "/clock", CLOCK)
        listen(self, JointTrajectory, self._profile.arm_topic, self._on_trajectory, COMMAND)
        listen(self, Float64, self._profile.gripper_topic, self._on_gripper, COMMAND)
        listen(self, EpisodePhase, "episode_phase", self._on_phase, EPISODE)
        if self._profile.scene.reset_service:
            self.create_service(Trigger, self._profile.scene.reset_service, self._on_reset)
        self._thread = threading.Thread(target=self._guarded, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the worker thread."""
        self._closing.set()
        self._commands.put(lambda cell: None)
        self._thread.join(timeout=5.0)

    # Callbacks

    def _on_trajectory(self, message: JointTrajectory) -> None:
        try:
            trajectory = message_to_trajectory(message, self._profile.joints)
        except ValueError as error:
            self.get_logger().error(f"refused: {error}")
            return
        self._commands.put(lambda cell: cell.send(trajectory))

    def _on_gripper(self, message: Float64) -> None:
        gripper = self._profile.gripper
        if not math.isfinite(message.data):
            raise ValueError(f"the gripper cannot be driven to {message.data}")
        closed = gripper.command(0.0)
        opening = (message.data - closed) / (gripper.command(1.0) - closed)
        self._commands.put(lambda cell: cell.command_gripper(opening))

    def _on_phase(self, message: EpisodePhase) -> None:
        if message.phase != PHASE.number("reset") or message.episode_id == self._episode_id:
            return
        self._episode_id = message.episode_id
        self._episodes += 1
        try:
            variation = load_variation(message.variation)
        except ConfigError as error:
            self.get_logger().error(f"the cell stays as it is: {error}")
        else:
            self._commands.put(lambda cell: cell.set_variation(variation))
        every, number = self._config.scene_every, MODES.index(MODE.name(message.mode))  # each mode has its own scenes
        if every and (self._episodes - 1) % every == 0:
            seed = int(np.random.default_rng([self._config.seed, number, message.episode]).integers(2**31))
            self._commands.put(lambda cell: cell.reset(seed, FAMILY))

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """The bin is filled by the phase of the episode already."""
        response.success = True
        return response

    # Worker thread

    def _guarded(self) -> None:
        try:
            cell = Cell(self._profile, self._variation, self._config.seed)
            try:
                self._run(cell)
            finally:
                cell.close()
        except Exception as error:
            if rclpy.ok():
                self.get_logger().error(traceback.format_exc())
                fail(self, f"sim_cell: {type(error).__name__}: {error}")

    def _run(self, cell: Cell) -> None:
        pace = Pace(self._config.real_time_factor)
        states = Schedule(TICK, 1 / STATES_A_SECOND)
        images = Schedule(1 / self._profile.camera.rate, 1 / self._profile.camera.rate)
        while not self._closing.is_set():
            self._obey(cell, pace.wait(cell.time, cell.busy))
            cell.advance(TICK)
            if states.due(cell.time, pace.hurries):
                self._publish_state(cell)
            if images.due(cell.time, pace.hurries):
                self._publish_image(cell)

    def _obey(self, cell: Cell, wait: float) -> None:
        """Carry out what was commanded. Waits at most `wait` [s, wall time] for a first command."""
        while True:
            try:
                self._commands.get(timeout=wait)(cell)
            except queue.Empty:
                return
            except ValueError as error:  # a variation that MuJoCo cannot build
                self.get_logger().error(f"the cell stays as it is: {error}")
            wait = 0.0

    def _publish_state(self, cell: Cell) -> None:
        stamp = to_stamp(cell.time)
        self._clocks.publish(Clock(clock=stamp))
        message = JointState(name=[*self._profile.joints, self._profile.gripper.joint])
        message.header.stamp = stamp
        message.position = [*cell.joint_positions.tolist(), cell.finger_position]
        message.velocity = [*cell.joint_velocities.tolist(), 0.0]
        self._joint_states.publish(message)

    def _publish_image(self, cell: Cell) -> None:
        stamp = to_stamp(cell.time)
        image = numpy_to_image(cell.render(), "rgb8", stamp, CAMERA_FRAME)
        self._camera_info.header.stamp = stamp
        self._images.publish(image)
        self._camera_infos.publish(self._camera_info)


def require_topics(profile: RobotProfile) -> None:
    """Raises ConfigError for a profile that asks for other interfaces than this node has."""
    offered = {
        "use_sim_time: true": profile.simulated_clock,
        "arm_action: ''": not profile.arm_action,
        "motion.backend: trajectory": profile.motion.backend == "trajectory",
        "gripper.type: position_topic": profile.gripper.type == "position_topic",
        "camera.transport: raw": profile.camera.transport == "raw",
        "camera.source: ''": not profile.camera.source,
        "camera.rectify: false": not profile.camera.rectify,
    }
    missing = [setting for setting, given in offered.items() if not given]
    if missing:
        raise ConfigError(
            f"{profile.name}: sim_cell has a clock, trajectories, a position command and plain images; "
            f"set in a copy of the profile {', '.join(missing)}"
        )


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until it is stopped. Returns the exit code."""
    return run_node(SimCellNode, args)
