"""What the camera sees with what the profile says of it: crop, bin and workspace box drawn in."""

from __future__ import annotations

import cv2
import numpy as np

from robot_finetune.perception.camera_model import CameraModel
from robot_finetune.perception.drawing import draw_edges
from robot_finetune.robot.crop import square_of
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.robot.workspace import bin_corners, box_edges

CROP, BIN, WORKSPACE = (255, 255, 0), (0, 255, 0), (255, 64, 64)  # RGB


def draw_cell(image: np.ndarray, profile: RobotProfile) -> np.ndarray:
    """A copy of a camera image (H, W, 3): yellow the crop, green the bin's floor, red the workspace."""
    drawn = np.ascontiguousarray(image).copy()
    left, top, side = square_of(image.shape[0], image.shape[1], profile.camera.crop)
    cv2.rectangle(drawn, (left, top), (left + side - 1, top + side - 1), CROP, 1)
    camera = CameraModel.from_config(profile.camera)
    rim = bin_corners(profile)
    around = np.stack([rim, np.roll(rim, -1, axis=0)], axis=1)
    box = box_edges(profile.workspace.low, profile.workspace.high)
    draw_edges(drawn, camera, around, BIN)
    draw_edges(drawn, camera, box, WORKSPACE)
    return drawn
