"""The way of a scripted grasp: to a place above it, straight down, close."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_finetune.robot.profile import RobotProfile
from robot_finetune.types import Action

ABOVE = 0.09
"""Height [m] above the grasp from where the way leads straight down."""
NEAR_XY, NEAR_Z, NEAR_YAW = 0.008, 0.005, 0.08
"""Errors [m, m, rad] of a place that count as there."""


@dataclass(frozen=True)
class Approach:
    """A grasp at `target` (4,) [m, rad]. loose: how many times the usual errors count as there."""

    profile: RobotProfile
    target: np.ndarray
    loose: float = 1.0

    def way(self, pose: np.ndarray) -> tuple[np.ndarray, float] | None:
        """Displacement (3,) [m] and yaw change [rad] of the way on from `pose` (4,), however long; None where it ends
        and the gripper has to close."""
        away = self.target[:3] - pose[:3]
        turn = self._turn(float(pose[3]))
        above = np.hypot(*away[:2]) < NEAR_XY * self.loose and abs(turn) < NEAR_YAW * self.loose
        if above and abs(away[2]) < NEAR_Z * self.loose:
            return None
        if not above:
            away[2] += ABOVE
        return away, turn

    def step(self, away: np.ndarray, turn: float) -> Action:
        """The next action of a way: as much of it as one step may have."""
        limits = self.profile.workspace
        scale = np.array([limits.max_step_xy, limits.max_step_xy, limits.max_step_z])
        return Action.move(
            np.clip(away / scale, -1, 1), float(np.clip(turn, -limits.max_step_yaw, limits.max_step_yaw))
        )

    def _turn(self, yaw: float) -> float:
        """Yaw change to the target, which is the same half a turn away: the nearer one that the workspace allows."""
        turn = (self.target[3] - yaw + np.pi / 2) % np.pi - np.pi / 2
        start = self.profile.start_pose[3]
        if abs(yaw + turn - start) > self.profile.workspace.max_yaw:
            turn -= np.copysign(np.pi, yaw + turn - start)
        return float(turn)
