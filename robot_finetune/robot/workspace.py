"""The limits of the tool centre point; every commanded pose of the approach has passed through here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from robot_finetune.robot.action_space import wrap_angle
from robot_finetune.robot.profile import RobotProfile


class Workspace:
    """A box with a height floor, a yaw range around the start pose, and a largest step along each axis and in yaw."""

    def __init__(self, profile: RobotProfile) -> None:
        config = profile.workspace
        self.low, self.high = np.array(config.low), np.array(config.high)
        self.max_step = np.array([config.max_step_xy, config.max_step_xy, config.max_step_z, config.max_step_yaw])
        self.start_yaw, self.max_yaw = profile.start_pose[3], config.max_yaw

    def inside(self, target: np.ndarray) -> np.ndarray:
        """The pose nearest to `target` (4,) [m, rad] within the box and the yaw range."""
        yaw = np.clip(wrap_angle(target[3] - self.start_yaw), -self.max_yaw, self.max_yaw)
        return np.array([*np.clip(target[:3], self.low, self.high), self.start_yaw + yaw])

    def clip(self, pose: np.ndarray, target: np.ndarray) -> np.ndarray:
        """The pose to command, (4,) [m, rad], when the arm is at `pose` and `target` is asked for.

        It is always inside the box. It is within the step limits of `pose` unless `pose` itself is outside the box.
        Raises ValueError if `target` is not finite.
        """
        if not np.isfinite(target).all():
            raise ValueError(f"target pose {np.asarray(target)} is not finite; the policy's output is broken")
        step = np.asarray(target, np.float64) - pose
        step[3] = wrap_angle(step[3])
        step = np.clip(step, -self.max_step, self.max_step)
        xyz = np.clip(np.asarray(pose)[:3] + step[:3], self.low, self.high)
        yaw = np.clip(wrap_angle(pose[3] - self.start_yaw) + step[3], -self.max_yaw, self.max_yaw)
        return np.array([*xyz, self.start_yaw + yaw])


def box_edges(low: Sequence[float], high: Sequence[float]) -> np.ndarray:
    """The twelve edges (12, 2, 3) of a box [m]."""
    corners = np.array([[(low, high)[i >> axis & 1][axis] for axis in range(3)] for i in range(8)])
    return np.array([(corners[i], corners[i | 1 << axis]) for i in range(8) for axis in range(3) if not i >> axis & 1])


def bin_corners(profile: RobotProfile) -> np.ndarray:
    """The corners (4, 3) of the bin's floor, in turn [m]."""
    (x, y), (a, b) = profile.bin_center, profile.bin_half
    return np.array([(x + i * a, y + j * b, profile.floor_z) for i, j in ((-1, -1), (1, -1), (1, 1), (-1, 1))])
