"""A gripper over ROS: a command out, in whatever form its driver takes, its finger joint in `joint_states` back.

A finger that stops on an object never reaches the commanded position, so the end of a motion is what the driver says of
it, if it says anything, or seen in the measurement: the joint rests. What rests short of the goal holds something.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Protocol

from rclpy.node import Node
from std_msgs.msg import Float64

from robot_finetune.robot.interfaces import RobotError
from robot_finetune.robot.motion_gate import check_opening
from robot_finetune.robot.profile_groups import GripperConfig
from robot_finetune.ros.node.joint_states import STATE_TIMEOUT, JointStates
from robot_finetune.ros.node.qos import COMMAND
from robot_finetune.ros.node.waiting import Check, no_check, require_listener

REST_BAND = 0.03
"""Fingers rest while their opening varies by less than this ..."""
REST_TIME = 0.1
"""... for this long [s, robot time]."""
REACTION_TIME = 0.5
"""Fingers that have hardly moved and are not at their goal may still be about to start, for this long [s] ..."""
STARTED = 0.1
"""... unless their opening has changed by more than this."""
AT_GOAL = 0.03
"""An opening this close to the commanded one is there."""


class FingerDriver(Protocol):
    """What takes a gripper's commands."""

    def drive(self, opening: float, closing: bool) -> bool:
        """Start towards `opening` 0..1; closing: it is less than now. Raises RobotError if the driver refuses.

        True if the driver has waited and says that the fingers rest, at their goal or on an object.
        """
        ...


class GripperClient:
    """Implements `interfaces.Gripper` on a driver and joint states."""

    def __init__(
        self, driver: FingerDriver, states: JointStates, config: GripperConfig, check: Check = no_check
    ) -> None:
        self._driver = driver
        self._states = states
        self._config = config
        self._check = check

    def opening(self) -> float:
        """Newest measured opening, 0 closed to 1 open. Raises RobotError if it is missing or stale."""
        return self._config.opening(float(self._states.positions([self._config.joint])[0]))

    def command(self, opening: float) -> float:
        """Drive to `opening` (0..1) and return the opening at which the fingers rest.

        Raises CommandRefused for another opening, RobotError if they still move after the profile's time-out.
        """
        config = self._config
        check_opening(opening)
        initial = self.opening()
        begin = self._states.stamp(config.joint)
        goal = float(opening)
        resting = self._driver.drive(goal, goal < initial)
        stamp = self._states.stamp(config.joint)
        recent: deque[tuple[float, float]] = deque()
        end, deadline = stamp + config.timeout, time.monotonic() + config.timeout
        while stamp <= end or time.monotonic() < deadline:  # a simulation may leap: few states in much of its time
            position, stamp = self._states.wait_newer(config.joint, stamp, self._check)
            recent.append((stamp, config.opening(position)))
            if resting or self._rests(recent, begin, initial, goal):
                return recent[-1][1]
        raise RobotError(
            f"gripper joint {config.joint} still moves {config.timeout:.1f} s after its command: check its controller"
        )

    def _rests(self, recent: deque[tuple[float, float]], begin: float, initial: float, goal: float) -> bool:
        stamp, opening = recent[-1]
        while len(recent) > 2 and recent[1][0] <= stamp - REST_TIME:
            recent.popleft()
        openings = [item[1] for item in recent]
        if stamp - recent[0][0] < REST_TIME or max(openings) - min(openings) > REST_BAND:
            return False
        started = abs(opening - initial) > STARTED or abs(opening - goal) < AT_GOAL
        return started or stamp - begin >= REACTION_TIME


class PositionTopic:
    """A position controller: a Float64 joint position. It never answers."""

    def __init__(self, node: Node, config: GripperConfig, topic: str, check: Check = no_check) -> None:
        self._config = config
        self._check = check
        self._publisher = node.create_publisher(Float64, topic, COMMAND)

    def drive(self, opening: float, closing: bool) -> bool:
        cure = "is the gripper controller (or sim_cell) running?"
        require_listener(self._publisher, STATE_TIMEOUT, cure, self._check)
        self._publisher.publish(Float64(data=self._config.command(opening)))
        return False
