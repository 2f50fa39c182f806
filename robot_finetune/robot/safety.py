"""The emergency stop: a latch between the episode runner and the devices that move."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np

from robot_finetune.robot.interfaces import Arm, Gripper, MoveResult, Robot, RobotError

STOP_RETRY = 0.02
STOP_RETRIES = 25


class EmergencyStop:
    """Stops the robots it guards and refuses every motion until it is reset. Thread-safe."""

    def __init__(self) -> None:
        self._tripped = threading.Event()
        self._reason = ""
        self._arms: list[_GuardedArm] = []

    @property
    def tripped(self) -> bool:
        return self._tripped.is_set()

    def guard(self, robot: Robot) -> Robot:
        """The same robot, whose arm and gripper raise RobotError instead of moving while the stop is latched."""
        arm = _GuardedArm(robot.arm, self)
        self._arms.append(arm)
        return Robot(arm, _GuardedGripper(robot.gripper, self), robot.camera, robot.clock)

    def trip(self, reason: str = "requested by the operator") -> None:
        """Stop all guarded arms now and refuse motion from now on; the motion under way raises RobotError."""
        self._latch(reason)
        for arm in self._arms:
            arm.halt()

    def end(self) -> None:
        """Refuse motion from now on, and stop those guarded arms that move: the process ends."""
        self._latch("the process ends")
        for arm in self._arms:
            if arm.moving:
                with suppress(RobotError):
                    arm.halt()

    def _latch(self, reason: str) -> None:
        self._reason = reason
        self._tripped.set()

    def reset(self) -> None:
        """Allow motion again."""
        self._tripped.clear()

    def check(self) -> None:
        """Raises RobotError while the stop is latched."""
        if self.tripped:
            raise RobotError(
                f"emergency stop ({self._reason}): the arm refuses to move; call reset_emergency_stop when it is safe"
            )


class _GuardedArm:
    def __init__(self, arm: Arm, stop: EmergencyStop) -> None:
        self._arm, self._stop = arm, stop
        self._still = threading.Event()
        self._still.set()

    def pose(self) -> np.ndarray:
        return self._arm.pose()

    def joint_positions(self) -> np.ndarray:
        return self._arm.joint_positions()

    def move(self, pose: np.ndarray) -> MoveResult:
        with self._motion():
            return self._arm.move(pose)

    def move_joints(self, positions: np.ndarray) -> MoveResult:
        with self._motion():
            return self._arm.move_joints(positions)

    def stop(self) -> None:
        self._arm.stop()

    @property
    def moving(self) -> bool:
        """Whether a motion is under way."""
        return not self._still.is_set()

    def halt(self) -> None:
        """Stop, and repeat it for a motion that passed the check just before the latch closed."""
        for _ in range(STOP_RETRIES):
            self._arm.stop()
            if self._still.wait(STOP_RETRY):
                return

    @contextmanager
    def _motion(self) -> Iterator[None]:
        self._still.clear()
        try:
            self._stop.check()
            yield
            self._stop.check()
        finally:
            self._still.set()


class _GuardedGripper:
    def __init__(self, gripper: Gripper, stop: EmergencyStop) -> None:
        self._gripper, self._stop = gripper, stop

    def command(self, opening: float) -> float:
        self._stop.check()
        measured = self._gripper.command(opening)
        self._stop.check()
        return measured

    def opening(self) -> float:
        return self._gripper.opening()
