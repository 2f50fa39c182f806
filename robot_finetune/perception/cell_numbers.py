"""How a cell is built, as the numbers that a Q-function needs of it."""

from __future__ import annotations

import numpy as np

from robot_finetune.perception.camera_model import CameraModel
from robot_finetune.robot.profile import RobotProfile


def cell_numbers(profile: RobotProfile) -> np.ndarray:
    """float32 (19,): 12 of the calibrated camera's 3 x 4 projection, 4 of the action scale [m, rad] and 3 of the
    place [m] of the middle of the bin's floor."""
    work, camera = profile.workspace, CameraModel.from_config(profile.camera)
    scale = [work.max_step_xy, work.max_step_xy, work.max_step_z, work.max_step_yaw]
    center = [*profile.bin_center, profile.floor_z]
    return np.concatenate([camera.normalised_matrix().ravel(), scale, center]).astype(np.float32)
