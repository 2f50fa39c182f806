"""Undistorted images: what the pinhole camera of the robot profile would see where the real one is."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from robot_finetune.perception.camera_model import CameraModel


class Rectification:
    """Maps images of a calibrated camera with distortion to those of `target`; the maps are built once.

    matrix: (3, 3) intrinsics of the images of `width` x `height` px; distortion: coefficients of `model`, plumb_bob,
    rational_polynomial or equidistant, all as in sensor_msgs/CameraInfo. Raises ValueError for what is no calibration.
    """

    def __init__(
        self, width: int, height: int, matrix: np.ndarray, distortion: Sequence[float], model: str, target: CameraModel
    ) -> None:
        self._shape = (height, width, 3)
        intrinsics, coefficients = np.asarray(matrix, float).reshape(3, 3), np.asarray(distortion, float)
        if intrinsics[0, 0] <= 0 or intrinsics[1, 1] <= 0:
            raise ValueError(
                "camera_info holds no calibration (k is zero): calibrate the camera and give the driver the file"
            )
        size, straight, kind = (target.width, target.height), np.eye(3), cv2.CV_16SC2
        if model == "equidistant":
            self._maps = cv2.fisheye.initUndistortRectifyMap(
                intrinsics, coefficients, straight, target.matrix, size, kind
            )
        elif model in ("plumb_bob", "rational_polynomial", ""):
            self._maps = cv2.initUndistortRectifyMap(intrinsics, coefficients, straight, target.matrix, size, kind)
        else:
            raise ValueError(
                f"camera_info has distortion_model {model!r}: known are plumb_bob, rational_polynomial and equidistant"
            )

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """uint8 RGB (height, width, 3) of the target. Raises ValueError for an image of a size not calibrated."""
        if image.shape != self._shape:
            raise ValueError(
                f"image of {image.shape[1]}x{image.shape[0]}, but camera_info is for {self._shape[1]}x{self._shape[0]}:"
                " set the camera driver to the resolution that was calibrated"
            )
        return np.asarray(cv2.remap(image, *self._maps, cv2.INTER_LINEAR))
