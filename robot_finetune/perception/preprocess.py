"""From a camera image to what the Q-function sees: one function for training and inference."""

from __future__ import annotations

import cv2
import numpy as np


def centre_square(height: int, width: int) -> tuple[int, int, int]:
    """Top row, left column and side [px] of the largest centred square of an image."""
    side = min(height, width)
    return (height - side) // 2, (width - side) // 2, side


def preprocess(image: np.ndarray, size: int = 64) -> np.ndarray:
    """Centre square crop and area resize of an RGB image: uint8 (height, width, 3) to uint8 (size, size, 3).

    Raises ValueError for any other kind of array.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise ValueError(
            f"image {image.shape} {image.dtype}: expected uint8 RGB (height, width, 3); check the camera's encoding"
        )
    top, left, side = centre_square(*image.shape[:2])
    square = np.ascontiguousarray(image[top : top + side, left : left + side])
    return square if side == size else cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA)
