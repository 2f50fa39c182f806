"""The simulated cell behind the protocols of `robot.interfaces`, in process: waiting lets the cell's time pass."""

from __future__ import annotations

import numpy as np

from robot_finetune.robot.interfaces import Frame, Robot, RobotError
from robot_finetune.robot.joint_arm import JointArm
from robot_finetune.robot.joint_trajectory import JointTrajectory
from robot_finetune.robot.kinematics import Kinematics
from robot_finetune.sim.cell import CHUNK, Cell

AT_REST = 0.005  # of the stroke; fingers that move less than this in a chunk of time stand still
REACTION = 0.04  # s before the fingers can be expected to move


def sim_robot(cell: Cell) -> Robot:
    """The four devices of `cell`; to be used by one thread, as the cell itself."""
    clock = SimClock(cell)
    arm = JointArm(SimDriver(cell), Kinematics(cell.profile), clock, cell.profile)
    return Robot(arm=arm, gripper=SimGripper(cell), camera=SimCamera(cell), clock=clock)


class SimClock:
    """Clock: the cell's time passes where the robot waits."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell

    def now(self) -> float:
        return self._cell.time

    def elapsed(self) -> float:
        return self._cell.time

    def sleep(self, seconds: float) -> None:
        self._cell.advance(seconds)


class SimDriver:
    """JointDriver of the cell's arm."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell

    def positions(self, since: float = 0.0) -> np.ndarray:
        return self._cell.joint_positions

    def newest(self) -> np.ndarray:
        return self._cell.joint_positions

    def send(self, trajectory: JointTrajectory) -> None:
        self._cell.send(trajectory)

    def cancel(self) -> None:
        """There is no such command on its topic."""


class SimGripper:
    """Gripper of the cell."""

    def __init__(self, cell: Cell) -> None:
        self._cell, self._config = cell, cell.profile.gripper

    def command(self, opening: float) -> float:
        """Drive to `opening` and wait until the fingers rest. Raises RobotError if they do not."""
        self._cell.command_gripper(opening)
        end = self._cell.time + self._config.timeout
        self._cell.advance(REACTION)
        still = AT_REST * abs(self._config.open_position - self._config.closed_position)
        while True:
            before = self._cell.finger_position
            self._cell.advance(CHUNK)
            if abs(self._cell.finger_position - before) < still:
                return self.opening()
            if self._cell.time > end:
                limit = f"{self._config.timeout} s"
                raise RobotError(f"gripper: the fingers do not rest within {limit}; raise gripper.timeout")

    def opening(self) -> float:
        """Measured opening, 0 closed to 1 open."""
        return self._config.opening(self._cell.finger_position)


class SimCamera:
    """Camera of the cell."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell

    def frame(self) -> Frame:
        return Frame(self._cell.render(), self._cell.time)
