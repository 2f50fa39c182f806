"""How large the bin is in the square that the policy sees, and the square in which it is as it was in pre-training."""

from __future__ import annotations

import numpy as np

from robot_finetune.perception.camera_model import CameraModel
from robot_finetune.robot.crop import Crop, square_of
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.robot.workspace import bin_corners

SHARE, ROW = 0.75, 0.67
"""The bin's width in the simulated cell, and the row of its middle, of the square's side."""
ENOUGH = (0.5, 0.95)
"""Shares at which the square is left as it is."""


def bin_share(profile: RobotProfile) -> float:
    """The bin's width in the image, of the side of the square that the policy sees."""
    camera = profile.camera
    return _bin(profile)[1] / square_of(camera.height, camera.width, camera.crop)[2]


def suggest_crop(profile: RobotProfile) -> Crop:
    """The square, within the image, in which the bin has its usual size and place."""
    camera, ((x, y), width) = profile.camera, _bin(profile)
    side = min(round(width / SHARE), camera.width, camera.height)
    left = int(np.clip(round(x - side / 2), 0, camera.width - side))
    return left, int(np.clip(round(y - ROW * side), 0, camera.height - side)), side


def _bin(profile: RobotProfile) -> tuple[np.ndarray, float]:
    """The middle of the bin's floor, (2,) column and row [px], and its larger extent in the image [px]."""
    pixels = CameraModel.from_config(profile.camera).project(bin_corners(profile))
    return (pixels.min(axis=0) + pixels.max(axis=0)) / 2, float(np.ptp(pixels, axis=0).max())
