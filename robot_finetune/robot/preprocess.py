"""From a camera image to what the Q-function sees: one function for training and inference."""

from __future__ import annotations

import cv2
import numpy as np

from robot_finetune.robot.crop import Crop, square_of


def preprocess(image: np.ndarray, size: int = 64, crop: Crop | None = None) -> np.ndarray:
    """Square crop and area resize of an RGB image: uint8 (height, width, 3) to uint8 (size, size, 3).

    crop: of the robot profile; None is the largest centred square. An image that is (size, size) already is returned as
    it is: it has been here before. Raises ValueError for any other kind of array and for a crop outside the image.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise ValueError(
            f"image {image.shape} {image.dtype}: expected uint8 RGB (height, width, 3); check the camera's encoding"
        )
    if image.shape[:2] == (size, size):
        return np.ascontiguousarray(image)
    height, width, _ = image.shape
    left, top, side = square_of(height, width, crop)
    square = np.ascontiguousarray(image[top : top + side, left : left + side])
    return square if side == size else cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA)
