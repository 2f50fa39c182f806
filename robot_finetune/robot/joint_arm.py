"""An Arm on top of a joint trajectory controller: the same in process and over ROS."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from robot_finetune.robot.interfaces import Clock, JointDriver, JointTrajectory, MoveResult
from robot_finetune.robot.kinematics import Kinematics, Unreachable
from robot_finetune.robot.profile import RobotProfile

WAIT_SLICE = 0.1  # s, longest wait before a stop is noticed
AT_REST = 0.001  # rad; joints that move less than this in a settling time stand still
AT_TARGET = 0.0005  # m and rad/4; nearer than this there is nothing to move


def at_target(here: np.ndarray, pose: np.ndarray) -> bool:
    """Whether the tip at `here` (4,) has nothing left to move to `pose` (4,)."""
    turn = abs((pose[3] - here[3] + np.pi) % (2 * np.pi) - np.pi)
    return bool(np.linalg.norm(here[:3] - pose[:3]) < AT_TARGET and turn < 4 * AT_TARGET)


class JointArm:
    """Moves the tip of an arm by joint trajectories and says how each move ended.

    After a trajectory's end and the settling time, a tip farther from its target than the profile's tolerance was
    blocked if the arm stands still; while it moves, it is waited for up to the profile's time-out. However a move ends
    short of its target, the arm is made to hold the position it is in, so that it presses on nothing.
    """

    def __init__(
        self,
        driver: JointDriver,
        kinematics: Kinematics,
        clock: Clock,
        profile: RobotProfile,
        failure: Callable[[], str] = lambda: "",
    ) -> None:
        """failure: why the controller has given up the newest trajectory, a reason of MoveResult; "" if it has not.

        Raises RobotError where no motion can mend it.
        """
        self._driver, self._kinematics, self._clock, self._motion = driver, kinematics, clock, profile.motion
        self._failure = failure
        self._stopped = threading.Event()

    def pose(self) -> np.ndarray:
        """Measured (4,) tip pose [m, rad]. Raises RobotError."""
        return self._kinematics.forward(self._driver.positions())

    def joint_positions(self) -> np.ndarray:
        """Measured joint positions [rad]. Raises RobotError."""
        return self._driver.positions()

    def move(self, pose: np.ndarray) -> MoveResult:
        """Straight line of the tip to `pose` (4,); returns when the arm stands still. Raises RobotError."""
        q = self._driver.positions()
        here = self._kinematics.forward(q)
        if at_target(here, pose):
            return MoveResult(here)
        try:
            trajectory = self._kinematics.line(q, pose)
        except Unreachable:
            return MoveResult(here, "unreachable")
        return self._follow(trajectory, np.asarray(pose, float))

    def move_joints(self, positions: np.ndarray) -> MoveResult:
        """Joint move to `positions` [rad]; returns when the arm stands still. Raises RobotError."""
        q = self._driver.positions()
        try:
            trajectory = self._kinematics.joint_line(q, positions)
        except Unreachable:
            return MoveResult(self._kinematics.forward(q), "unreachable")
        return self._follow(trajectory, self._kinematics.forward(trajectory.positions[-1]))

    def stop(self) -> None:
        """Hold the present position; a move under way returns with the reason "stopped". Safe from any thread."""
        self._stopped.set()
        self._hold()

    def _follow(self, trajectory: JointTrajectory, target: np.ndarray) -> MoveResult:
        self._stopped.clear()
        self._driver.send(trajectory)
        if reason := self._wait(float(trajectory.times[-1]) + self._motion.settle):
            return self._ended(reason)
        deadline = self._clock.now() + self._motion.timeout
        q = self._measured()
        while np.linalg.norm((pose := self._kinematics.forward(q))[:3] - target[:3]) > self._motion.tolerance:
            if self._clock.now() > deadline:
                return self._ended("timeout")
            before = q
            if reason := self._wait(max(self._motion.settle, 0.02)):
                return self._ended(reason)
            q = self._measured()
            if np.abs(q - before).max() < AT_REST:
                return self._ended("blocked")
        return MoveResult(pose)

    def _wait(self, seconds: float) -> str:
        """Wait in the robot's time; the reason as soon as the arm was stopped or the controller gave up, else ""."""
        end = self._clock.now() + seconds
        while (left := end - self._clock.now()) > 1e-6 and not self._interruption():
            self._clock.sleep(min(left, WAIT_SLICE))
        return self._interruption()

    def _interruption(self) -> str:
        return "stopped" if self._stopped.is_set() else self._failure()

    def _ended(self, reason: str) -> MoveResult:
        self._hold()
        return MoveResult(self._kinematics.forward(self._measured()), reason)

    def _measured(self) -> np.ndarray:
        """Joint positions of now: the newest that have come may be of before the clock's last step."""
        return self._driver.positions(self._clock.now())

    def _hold(self) -> None:
        q = self._driver.positions()
        self._driver.send(JointTrajectory(np.array([0.1]), q[None]))
