"""The calibrated pinhole camera: where points of the base frame appear in its image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_finetune.config import ConfigError
from robot_finetune.robot.crop import Crop, square_of
from robot_finetune.robot.profile import CameraConfig


@dataclass(frozen=True)
class CameraModel:
    """A pinhole camera without distortion.

    width, height: of the image [px]. matrix: (3, 3) intrinsics; pixel centres are at whole numbers, as in OpenCV and
    sensor_msgs/CameraInfo. rotation: (3, 3), its columns are the optical frame's x (right), y (down) and z (forward)
    in the base frame. position: (3,) of the camera centre in the base frame [m]. crop: the square that `preprocess`
    keeps, None for the largest centred one.
    """

    width: int
    height: int
    matrix: np.ndarray
    rotation: np.ndarray
    position: np.ndarray
    crop: Crop | None = None

    @staticmethod
    def from_config(config: CameraConfig) -> CameraModel:
        """The camera at config.position that looks at config.target, with the base frame's z (x, if it looks straight
        up or down) upwards in the image. Raises ConfigError where the two are one point."""
        position = np.array(config.position, np.float64)
        forward = np.array(config.target, np.float64) - position
        distance = np.linalg.norm(forward)
        if not 1e-6 < distance < np.inf:
            raise ConfigError(
                f"camera: position = {config.position}, target = {config.target}: allowed are two points apart"
            )
        forward /= distance
        right = np.cross(forward, (0.0, 0.0, 1.0))
        if np.linalg.norm(right) < 1e-6:
            right = np.cross(forward, (1.0, 0.0, 0.0))
        right /= np.linalg.norm(right)
        rotation = np.stack([right, np.cross(forward, right), forward], axis=1)
        centre = (config.width - 1) / 2, (config.height - 1) / 2
        matrix = np.array([[config.focal, 0.0, centre[0]], [0.0, config.focal, centre[1]], [0.0, 0.0, 1.0]])
        return CameraModel(config.width, config.height, matrix, rotation, position, config.crop)

    def seen_by_policy(self, size: int) -> CameraModel:
        """The camera of what `preprocess` makes of the image: its square, scaled to (size, size)."""
        left, top, side = square_of(self.height, self.width, self.crop)
        scale = size / side
        cut = np.array([[1.0, 0.0, 0.5 - left], [0.0, 1.0, 0.5 - top], [0.0, 0.0, 1.0]])
        scaled = np.array([[scale, 0.0, -0.5], [0.0, scale, -0.5], [0.0, 0.0, 1.0]])
        return CameraModel(size, size, scaled @ cut @ self.matrix, self.rotation, self.position)

    def projection(self) -> np.ndarray:
        """(3, 4) matrix from homogeneous points of the base frame [m] to homogeneous pixels."""
        extrinsics = np.hstack([self.rotation.T, -self.rotation.T @ self.position[:, None]])
        return self.matrix @ extrinsics

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels (n, 2) as (column, row) of points (n, 3) [m, base frame]; nan behind the camera."""
        points = np.asarray(points, np.float64)
        homogeneous = np.hstack([points, np.ones((len(points), 1))]) @ self.projection().T
        depth = homogeneous[:, 2:]
        return homogeneous[:, :2] / np.where(depth > 0, depth, np.nan)

    def normalised_matrix(self) -> np.ndarray:
        """(3, 4) float32, as `projection`, but to coordinates of torch's grid_sample (align_corners=False).

        -1 and 1 are the outer edges of the square that `preprocess` keeps, whatever size it is resized to.
        """
        left, top, side = square_of(self.height, self.width, self.crop)
        to_grid = np.array(
            [[2 / side, 0.0, (1 - 2 * left) / side - 1], [0.0, 2 / side, (1 - 2 * top) / side - 1], [0.0, 0.0, 1.0]]
        )
        return (to_grid @ self.projection()).astype(np.float32)
