"""Lines and marks of the base frame drawn into an image of a calibrated camera."""

from __future__ import annotations

import cv2
import numpy as np

from robot_finetune.perception.camera_model import CameraModel

Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""
JAW = 0.04
"""From the tip to a finger of the open gripper [m]."""


def pixel(point: np.ndarray) -> tuple[int, int]:
    """The whole pixel (column, row) of a finite point (2,), as OpenCV takes it; far outside stays outside."""
    column, row = np.clip(np.round(point), -10_000, 10_000).astype(int)
    return int(column), int(row)


def jaw(pose: np.ndarray) -> np.ndarray:
    """Where the fingers of the open gripper are: a line (2, 3) [m, base frame] for a tool's pose (4,)."""
    along = JAW * np.array([np.sin(pose[3]), -np.cos(pose[3]), 0.0])  # the tool's y axis
    return np.stack([pose[:3] - along, pose[:3] + along])


def draw_edges(image: np.ndarray, camera: CameraModel, edges: np.ndarray, colour: Colour, width: int = 1) -> None:
    """Draw lines between pairs of points (n, 2, 3) [m, base frame] into an RGB image, less those behind the camera."""
    kind = cv2.LINE_AA if width > 1 else cv2.LINE_8
    for start, end in camera.project(edges.reshape(-1, 3)).reshape(-1, 2, 2):
        if np.isfinite([start, end]).all():
            cv2.line(image, pixel(start), pixel(end), colour, width, kind)


def draw_points(image: np.ndarray, camera: CameraModel, points: np.ndarray, colours: np.ndarray, radius: int) -> None:
    """Draw discs at points (n, 3) [m, base frame], each in its colour of uint8 (n, 3), into an RGB image."""
    for point, colour in zip(camera.project(points), colours.tolist(), strict=True):
        if np.isfinite(point).all():
            cv2.circle(image, pixel(point), radius, colour, cv2.FILLED)
