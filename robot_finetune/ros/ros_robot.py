"""The devices of one cell over ROS topics: the same `interfaces.Robot` as in process, for the simulated cell and an
arm."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from rclpy.node import Node
from sensor_msgs.msg import Image

from robot_finetune.perception.frame_watch import ImageFault, WatchedCamera
from robot_finetune.robot.interfaces import Frame, Robot, RobotError
from robot_finetune.robot.joint_limits import measured_limits
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.ros.arms.make_arm import make_arm
from robot_finetune.ros.grippers.make_gripper import make_gripper
from robot_finetune.ros.images import image_to_rgb
from robot_finetune.ros.node.guarded import listen
from robot_finetune.ros.node.joint_states import JointStates
from robot_finetune.ros.node.qos import NEWEST
from robot_finetune.ros.node.stamps import to_seconds
from robot_finetune.ros.node.waiting import Check, RosClock, no_check, wait_for

OBSERVATION_TOPIC = "observation"
AHEAD = 5.0
"""Stamps this far [s] ahead of the node's own clock are none, where that clock is not simulated."""


class RosCamera:
    """Implements `interfaces.Camera` on the camera node's network images, which carry the stamps of the raw ones."""

    def __init__(
        self, node: Node, clock: RosClock, timeout: float, check: Check = no_check, image_size: int | None = None
    ) -> None:
        """timeout: wall seconds without a new image after which the camera counts as dead. image_size: edge of the
        images [px]; None takes any."""
        self._condition = threading.Condition()
        self._clock = clock
        self._timeout = timeout
        self._check = check
        self._size = image_size
        self._newest: Frame | None = None
        self._fault = ""
        self._topic = listen(node, Image, OBSERVATION_TOPIC, self._store, NEWEST).topic_name

    def frame(self) -> Frame:
        """An image taken after the call: newer than the clock and than any image seen before it. Raises RobotError."""
        after = self._clock.now()
        with self._condition:
            before, self._fault = self._newest, ""
            after = max(after, self._stamp(before))
            wait_for(self._condition, lambda: self._stamp(self._newest) > after, self._timeout, self._check)
            frame, fault = self._newest, self._fault
        if frame is not None and frame.stamp > after:
            self._check_size(frame)
            return frame
        if frame is not before and frame is not None:
            late = after - frame.stamp
            raise RobotError(
                f"images on {self._topic} are stamped {late:.1f} s behind the clock of this node: synchronise the "
                "clocks"
            )
        if fault:
            raise RobotError(f"no sound image on {self._topic} for {self._timeout:.1f} s; {fault}")
        raise RobotError(
            f"no image on {self._topic} for {self._timeout:.1f} s: are the camera driver (or sim_cell) and the camera "
            "node running?"
        )

    def _check_size(self, frame: Frame) -> None:
        height, width, _ = frame.image.shape
        if self._size and (width, height) != (self._size, self._size):
            raise RobotError(
                f"images on {self._topic} have {width} x {height} px, the policy's network takes {self._size} x "
                f"{self._size}: set the camera node's parameter image_size: {self._size}"
            )

    def _store(self, message: Image) -> None:
        try:
            frame = Frame(image_to_rgb(message), to_seconds(message.header.stamp))
            ahead = frame.stamp - self._clock.now()
            if ahead > AHEAD and not self._clock.simulated:
                raise ValueError(f"images are stamped {ahead:.1f} s ahead of this node's clock: synchronise the clocks")
        except ValueError as error:
            self._fault = str(error)
            raise
        with self._condition:
            self._newest = frame
            self._condition.notify_all()

    @staticmethod
    def _stamp(frame: Frame | None) -> float:
        return -1.0 if frame is None else frame.stamp


def ros_robot(node: Node, profile: RobotProfile, check: Check = no_check, image_size: int | None = None) -> Robot:
    """The robot of `profile` on the topics of `node`, which another thread spins. check: interrupts waits by raising.
    image_size: edge [px] that the camera's images must have.

    Raises ConfigError if the profile has not been measured, RobotError if a package that it needs is not installed.
    """
    profile.require_measured()
    clock = RosClock(node, check=check)
    states = JointStates(node, profile.joint_states_topic, clock, measured_limits(profile))
    arm = make_arm(node, states, profile, clock, check)
    gripper = make_gripper(node, states, profile, clock, check)
    camera = RosCamera(node, clock, profile.camera.timeout, check, image_size)
    return Robot(arm, gripper, WatchedCamera(camera, arm), clock)


def wait_until_ready(
    robot: Robot, timeout: float, check: Check, waiting: Callable[[str], object], *others: Callable[[], object]
) -> None:
    """Wait until every device of `robot` answers. Raises RobotError, naming the topic, after `timeout` wall seconds;
    ImageFault at once.

    waiting: called with what is still missing, once for each cause. others: what else has to be there; each raises
    RobotError while it is not.
    """
    deadline = time.monotonic() + timeout
    told = ""
    while True:
        try:
            robot.clock.sleep(0.01)
            robot.arm.joint_positions()
            robot.gripper.opening()
            robot.camera.frame()
            for other in others:
                other()
            return
        except ImageFault:
            raise
        except RobotError as error:
            check()
            if time.monotonic() > deadline:
                raise
            if str(error) != told:
                told = str(error)
                waiting(told)
