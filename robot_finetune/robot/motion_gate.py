"""The last gate before the devices: nothing leaves that could not be meant.

Whatever computed a command, here it is finite, within the limits of joints and workspace, begins where the arm is, is
not faster than the profile allows, and ends in time. A refusal is an error: nothing is sent, and the arm holds.
"""

from __future__ import annotations

import numpy as np

from robot_finetune.robot.interfaces import RobotError
from robot_finetune.robot.joint_trajectory import JointTrajectory
from robot_finetune.robot.profile import RobotProfile

START = 0.05
"""Distance [rad] from the measured joints at which a trajectory may begin: the arm is at rest when it is planned."""
POINTS = 20_000
"""Most points of a trajectory."""
ROUNDING = 1e-6
"""Share by which computing may be off."""


class CommandRefused(RobotError):
    """A command that must not reach the robot: a defect of what computed it, or of the profile."""


class MotionGate:
    """The limits of one arm. low, high [rad], velocity [rad/s], already scaled by the profile: each (joints,)."""

    def __init__(self, profile: RobotProfile, low: np.ndarray, high: np.ndarray, velocity: np.ndarray) -> None:
        self._low, self._high, self._velocity = low, high, velocity
        self._longest = profile.motion.longest
        box, start = profile.workspace, profile.start_pose[:3]
        self._box = np.minimum(box.low, start), np.maximum(box.high, start)

    @staticmethod
    def numbers(target: np.ndarray) -> None:
        """Raises CommandRefused for a target (..., n) that is not finite."""
        if not np.isfinite(target).all():
            raise CommandRefused(f"a target that is not a number: {_text(target)}; check the robot profile")

    def joints(self, positions: np.ndarray, measured: np.ndarray | None = None) -> None:
        """Raises CommandRefused for joint positions (..., joints) [rad] that are not finite or beyond the limits; an
        arm that is measured beyond them may stay there and come back."""
        self.numbers(positions)
        low, high = self._low, self._high
        if measured is not None:
            low, high = np.minimum(low, measured), np.maximum(high, measured)
        if (positions < low - ROUNDING).any() or (positions > high + ROUNDING).any():
            raise CommandRefused(f"joint positions beyond the joint limits: {_text(positions)}")

    def trajectory(self, trajectory: JointTrajectory, measured: np.ndarray | None) -> None:
        """Raises CommandRefused for a trajectory that an arm at `measured` [rad] must not be sent; None if that is not
        known: then only a hold can be meant, and where it begins is not asked."""
        times, positions = trajectory.times, trajectory.positions
        if len(times) > POINTS or len(times) != len(positions) or not len(times):
            raise CommandRefused(f"a trajectory of {len(times)} times and {len(positions)} points")
        if not np.isfinite(times).all() or times[0] <= 0 or (np.diff(times) <= 0).any():
            raise CommandRefused("a trajectory whose times do not rise from 0")
        if times[-1] > self._longest * (1 + ROUNDING):
            raise CommandRefused(
                f"a motion of {times[-1]:.0f} s: motion.longest allows {self._longest:g} s; raise it or the speed"
            )
        self.joints(positions, measured)
        self._speeds(trajectory)
        if measured is not None and (away := np.abs(positions[0] - measured) - self._velocity * times[0]).max() > START:
            raise CommandRefused(
                f"a trajectory that begins {away.max():.2f} rad from where the arm is measured: has it been moved?"
            )

    def _speeds(self, sent: JointTrajectory) -> None:
        """From the first point on: how fast the arm comes there depends on where it is."""
        first, rest = None, None
        if sent.velocities is not None:
            self.numbers(sent.velocities)
            if sent.velocities.shape != sent.positions.shape or sent.velocities[-1].any():
                raise CommandRefused("a trajectory that does not end at rest")
            first, rest = sent.velocities[0], sent.velocities[1:]
        if len(sent.times) == 1:
            return
        onwards = JointTrajectory(sent.times[1:] - sent.times[0], sent.positions[1:], rest)
        fastest = float((onwards.speeds(sent.positions[0], first) / self._velocity).max())
        if fastest > 1 + ROUNDING:
            raise CommandRefused(f"a trajectory of {fastest:.3f} times the joints' scaled velocity limit")

    def pose(self, pose: np.ndarray, here: np.ndarray) -> None:
        """Raises CommandRefused for a target (4,) [m, rad] that is not finite or outside of the workspace; a tip that
        is measured outside, at `here`, may come back."""
        self.numbers(pose)
        low, high = np.minimum(self._box[0], here[:3]), np.maximum(self._box[1], here[:3])
        if (pose[:3] < low - ROUNDING).any() or (pose[:3] > high + ROUNDING).any():
            raise CommandRefused(f"a target pose outside of the workspace: {_text(pose)}")


def check_opening(opening: float) -> None:
    """Raises CommandRefused for an opening of the gripper that is not within 0..1."""
    if not 0.0 <= opening <= 1.0:  # nor is NaN
        raise CommandRefused(f"a gripper opening of {opening}: allowed is 0 (closed) to 1 (open)")


def _text(values: np.ndarray) -> str:
    """The values, or the first that cannot be meant, short enough for one line."""
    flat = np.asarray(values, float).reshape(-1, np.shape(values)[-1])
    worst = flat[int(np.argmax(np.where(np.isfinite(flat), np.abs(flat), np.inf).max(axis=1)))]
    return str(np.round(worst, 3).tolist())
