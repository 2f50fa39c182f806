"""The meaning of a normalised action: which pose of the tool centre point it asks for."""

from __future__ import annotations

import numpy as np

from robot_finetune.robot.profile import WorkspaceConfig
from robot_finetune.types import Action


def wrap_angle(angle: float) -> float:
    """The same angle in [-pi, pi) [rad]."""
    return float((angle + np.pi) % (2 * np.pi) - np.pi)


class ActionSpace:
    """Scales actions of a workspace: a translation of 1 is the largest step along that axis of the base frame."""

    def __init__(self, workspace: WorkspaceConfig) -> None:
        self.scale = np.array([workspace.max_step_xy, workspace.max_step_xy, workspace.max_step_z])

    def target(self, pose: np.ndarray, action: Action) -> np.ndarray:
        """The (4,) pose that `action` asks for at `pose` (4,) [m, rad]; `pose` itself if it closes or terminates.

        Nothing is limited here: `Workspace.clip` does that.
        """
        target = np.array(pose, np.float64)
        if not (action.closes or action.terminates):
            target[:3] += self.scale * action.translation
            target[3] += action.yaw_change
        return target

    def from_poses(self, pose: np.ndarray, target: np.ndarray) -> Action:
        """The displacement that leads from `pose` to `target`, both (4,) [m, rad]: the inverse of `target`."""
        translation = (np.asarray(target)[:3] - np.asarray(pose)[:3]) / self.scale
        return Action.move(translation, wrap_angle(target[3] - pose[3]))
