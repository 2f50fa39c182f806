"""An Arm on top of a joint trajectory controller: the same in process and over ROS."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from robot_finetune.robot.interfaces import Clock, JointDriver, MoveResult
from robot_finetune.robot.joint_trajectory import JointTrajectory, smooth
from robot_finetune.robot.kinematics import Kinematics, Unreachable
from robot_finetune.robot.motion_gate import MotionGate
from robot_finetune.robot.patience import Patience
from robot_finetune.robot.profile import RobotProfile

WAIT_SLICE = 0.1  # s, longest wait before a stop is noticed
HOLD = 0.1  # s in which the arm is at the position that it is to hold
AT_TARGET = 0.0005  # m and rad/4; nearer than this there is nothing to move


def at_target(here: np.ndarray, pose: np.ndarray) -> bool:
    """Whether the tip at `here` (4,) has nothing left to move to `pose` (4,)."""
    turn = abs((pose[3] - here[3] + np.pi) % (2 * np.pi) - np.pi)
    return bool(np.linalg.norm(here[:3] - pose[:3]) < AT_TARGET and turn < 4 * AT_TARGET)


class JointArm:
    """Moves the tip of an arm by joint trajectories and says how each move ended.

    After a trajectory's end and the settling time, a tip farther from its target than the profile's tolerance was
    blocked if the arm stands still, where it began only after the controller's reaction time; while it comes nearer, it
    is waited for, and up to the profile's time-out longer.
    However a move ends short of its target, the arm is made to hold the position it is in, so that it presses on
    nothing. Every trajectory passes the motion gate.
    """

    def __init__(
        self,
        driver: JointDriver,
        kinematics: Kinematics,
        clock: Clock,
        profile: RobotProfile,
        failure: Callable[[], str] = lambda: "",
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """failure: why the controller has given up the newest trajectory, a reason of MoveResult; "" if it has not.

        Raises RobotError where no motion can mend it. check: raises RobotError where no motion may begin.
        """
        self._driver, self._kinematics, self._clock, self._motion = driver, kinematics, clock, profile.motion
        self._gate = MotionGate(profile, kinematics.low, kinematics.high, kinematics.velocity_limits)
        self._failure, self._check = failure, check
        self._stopped = threading.Event()
        self._sending = threading.Lock()
        self._sent: tuple[float, np.ndarray, JointTrajectory] | None = None  # when, from where, what

    def pose(self) -> np.ndarray:
        """Measured (4,) tip pose [m, rad]. Raises RobotError."""
        return self._kinematics.forward(self._driver.positions())

    def joint_positions(self) -> np.ndarray:
        """Measured joint positions [rad]. Raises RobotError."""
        return self._driver.positions()

    def move(self, pose: np.ndarray) -> MoveResult:
        """Straight line of the tip to `pose` (4,); returns when the arm stands still. Raises RobotError."""
        self._stopped.clear()
        self._gate.numbers(pose)
        q = self._driver.positions()
        here, pose = self._kinematics.forward(q), np.asarray(pose, float)
        if at_target(here, pose):
            return MoveResult(here)
        try:
            trajectory = self._kinematics.line(q, pose)
        except Unreachable:
            return MoveResult(here, "unreachable")
        return self._follow(q, trajectory, pose)

    def move_joints(self, positions: np.ndarray) -> MoveResult:
        """Joint move to `positions` [rad]; returns when the arm stands still. Raises RobotError."""
        self._stopped.clear()
        self._gate.numbers(positions)
        q = self._driver.positions()
        try:
            trajectory = self._kinematics.joint_line(q, positions)
        except Unreachable:
            return MoveResult(self._kinematics.forward(q), "unreachable")
        return self._follow(q, trajectory, self._kinematics.forward(trajectory.positions[-1]))

    def stop(self) -> None:
        """Hold the present position; a move under way returns with the reason "stopped". Safe from any thread.

        It needs no measurement: where the arm is not known, it holds where what was sent has brought it.
        """
        self._stopped.set()
        with self._sending:
            self._driver.cancel()
            q = self._driver.newest()
            self._hold(self._commanded() if q is None else q, q)

    def _follow(self, q: np.ndarray, trajectory: JointTrajectory, target: np.ndarray) -> MoveResult:
        measured = self._driver.positions()  # which may have to be waited for: a stop must not wait as well
        with self._sending:
            self._check()
            if self._stopped.is_set():
                return MoveResult(self._kinematics.forward(q), "stopped")
            self._gate.trajectory(trajectory, measured)
            self._send(q, trajectory)
        fastest, sent = float(trajectory.speeds(q).max()), self._clock.elapsed()
        patience = Patience(fastest, self._motion.settle, q, sent, self._motion)
        if reason := self._wait(float(trajectory.times[-1]) + self._motion.settle):
            return self._ended(reason)
        q = self._measured()
        while (away := self._away(q, target)) > self._motion.tolerance:
            if patience.late(self._clock.elapsed(), away):
                return self._ended("timeout")
            before = q
            if reason := self._wait(patience.watch):
                return self._ended(reason)
            q = self._measured()
            if patience.resting(before, q) and not patience.to_begin(self._clock.elapsed(), q):
                return self._ended("blocked")
        return MoveResult(self._kinematics.forward(q))

    def _away(self, q: np.ndarray, target: np.ndarray) -> float:
        """Distance [m] of the tip from its target."""
        return float(np.linalg.norm(self._kinematics.forward(q)[:3] - target[:3]))

    def _wait(self, seconds: float) -> str:
        """Wait in the robot's time; the reason as soon as the arm was stopped or the controller gave up, else ""."""
        end = self._clock.elapsed() + seconds
        while (left := end - self._clock.elapsed()) > 1e-6 and not self._interruption():
            self._clock.sleep(min(left, WAIT_SLICE))
        return self._interruption()

    def _interruption(self) -> str:
        return "stopped" if self._stopped.is_set() else self._failure()

    def _ended(self, reason: str) -> MoveResult:
        q = self._driver.positions()
        with self._sending:
            if not self._stopped.is_set():  # else it holds already
                self._hold(q, q)
        return MoveResult(self._kinematics.forward(self._measured()), reason)

    def _measured(self) -> np.ndarray:
        """Joint positions of now: the newest that have come may be of before the clock's last step."""
        return self._driver.positions(self._clock.now())

    def _commanded(self) -> np.ndarray | None:
        """Where the arm should be by what was sent to it; None if nothing was."""
        if self._sent is None:
            return None
        since, start, trajectory = self._sent
        return trajectory.at(self._clock.elapsed() - since, start)[0]

    def _hold(self, q: np.ndarray | None, measured: np.ndarray | None) -> None:
        if q is not None:  # else nothing moves by what was sent from here
            hold = smooth(q, np.array([HOLD]), q[None])
            self._gate.trajectory(hold, measured)
            self._send(q, hold)

    def _send(self, q: np.ndarray, trajectory: JointTrajectory) -> None:
        self._driver.send(trajectory)
        self._sent = self._clock.elapsed(), q, trajectory
