"""Undistorted images: what the pinhole camera of the robot profile would see where the real one is."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from robot_finetune.perception.camera_model import CameraModel

PINHOLE = (0, 4, 5, 8, 12, 14)
COEFFICIENTS = {"": PINHOLE, "plumb_bob": PINHOLE, "rational_polynomial": PINHOLE, "equidistant": (4,)}
"""How many coefficients each distortion_model has."""
LARGEST = 1e5
"""No calibrated focal length [px], centre or coefficient is larger."""
MAX_EDGE = 1 << 14
"""No image is wider or higher [px]; OpenCV could not map it."""


class Rectification:
    """Maps images of a calibrated camera with distortion to those of `target`; the maps are built once.

    matrix: (3, 3) intrinsics of the images of `width` x `height` px; distortion: coefficients of `model`, plumb_bob,
    rational_polynomial or equidistant, all as in sensor_msgs/CameraInfo. Raises ValueError for what is no calibration.
    """

    def __init__(
        self, width: int, height: int, matrix: np.ndarray, distortion: Sequence[float], model: str, target: CameraModel
    ) -> None:
        self._shape = (height, width, 3)
        intrinsics = np.asarray(matrix, float)
        coefficients = np.asarray(distortion, float)
        _check(width, height, intrinsics, coefficients, model)
        camera, size, kind = intrinsics.reshape(3, 3), (target.width, target.height), cv2.CV_32FC1
        undistort = cv2.fisheye.initUndistortRectifyMap if model == "equidistant" else cv2.initUndistortRectifyMap
        try:
            columns, rows = (
                np.asarray(m) for m in undistort(camera, coefficients, np.eye(3), target.matrix, size, kind)
            )
            seen = (columns > -1) & (columns < width) & (rows > -1) & (rows < height)  # false for nan
            if not seen.any():
                raise ValueError("camera_info shows nothing of what the profile's camera sees: calibrate it again")
            columns, rows = (np.where(seen, m, -2.0).astype(np.float32) for m in (columns, rows))
            self._maps = cv2.convertMaps(columns, rows, cv2.CV_16SC2)
        except cv2.error as error:
            raise ValueError(f"camera_info holds no calibration ({error.err}): calibrate the camera again") from error

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """uint8 RGB (height, width, 3) of the target. Raises ValueError for an image of a size not calibrated."""
        if image.shape != self._shape:
            raise ValueError(
                f"image of {image.shape[1]}x{image.shape[0]}, but camera_info is for {self._shape[1]}x{self._shape[0]}:"
                " set the camera driver to the resolution that was calibrated"
            )
        return np.asarray(cv2.remap(image, self._maps[0], self._maps[1], cv2.INTER_LINEAR))


def _check(width: int, height: int, matrix: np.ndarray, distortion: np.ndarray, model: str) -> None:
    """Raises ValueError for values that no calibration has."""
    if model not in COEFFICIENTS:
        raise ValueError(
            f"camera_info has distortion_model {model!r}: known are plumb_bob, rational_polynomial and equidistant"
        )
    if distortion.shape not in {(count,) for count in COEFFICIENTS[model]}:
        allowed = ", ".join(map(str, COEFFICIENTS[model]))
        raise ValueError(f"camera_info has {distortion.size} coefficients, {model} has {allowed}: calibrate it again")
    if matrix.size != 9 or not (np.isfinite(matrix).all() and np.isfinite(distortion).all()):
        raise ValueError(
            "camera_info holds values that are no numbers: calibrate the camera and give the driver the file"
        )
    if not (0 < matrix.flat[0] <= LARGEST and 0 < matrix.flat[4] <= LARGEST):
        raise ValueError(
            "camera_info holds no calibration (k is zero): calibrate the camera and give the driver the file"
        )
    largest = max(np.abs(matrix).max(), np.abs(distortion).max(initial=0.0))
    if largest > LARGEST or not 0 < min(width, height) <= max(width, height) <= MAX_EDGE:
        raise ValueError("camera_info holds impossible values: calibrate the camera and give the driver the file")
