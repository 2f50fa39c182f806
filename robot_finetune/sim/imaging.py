"""What a camera makes of the scene before it: blur, exposure, white balance, noise and compression."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from robot_finetune.sim.variations import Imaging

PERFECT = Imaging()
DEVIATES = 2**20


def photograph(scene: np.ndarray, imaging: Imaging, rng: np.random.Generator) -> np.ndarray:
    """The uint8 RGB (height, width, 3) image that a camera takes of `scene`, an image as well. rng: of the noise."""
    if imaging == PERFECT:
        return scene
    image = scene.astype(np.float32)
    height = len(image)
    if imaging.defocus:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), imaging.defocus * height), np.float32)
    if imaging.motion:
        streak = _streak(imaging.motion * height, imaging.motion_angle)
        image = np.asarray(cv2.filter2D(image, -1, streak), np.float32)
    image *= np.float32(imaging.exposure) * np.array(imaging.balance, np.float32)
    if imaging.shot or imaging.read:
        variance = imaging.shot**2 / 255 * np.clip(image, 0, 255) + imaging.read**2
        image += np.sqrt(variance) * _noise(rng, image.size).reshape(image.shape)
    taken = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    return _compressed(taken, imaging.jpeg) if imaging.jpeg else taken


def _noise(rng: np.random.Generator, count: int) -> np.ndarray:
    """(count,) normal deviates from anywhere in a fixed row of them; drawing as many takes a quarter of a rendering."""
    return np.take(_deviates(), np.arange(count) + rng.integers(DEVIATES), mode="wrap")


@lru_cache(maxsize=1)
def _deviates() -> np.ndarray:
    return np.random.default_rng(0).standard_normal(DEVIATES, np.float32)


def _streak(length: float, angle: float) -> np.ndarray:
    """The kernel of a motion over `length` [px], at `angle` [degrees] from the image's rows."""
    half = int(np.ceil(length / 2)) + 1
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    along = np.linspace(-length / 2, length / 2, 8 * half + 1)
    columns, rows = half + along * np.cos(np.radians(angle)), half + along * np.sin(np.radians(angle))
    left, top = np.floor(columns).astype(int), np.floor(rows).astype(int)
    for down in (0, 1):
        for right in (0, 1):
            weights = (1 - np.abs(columns - left - right)) * (1 - np.abs(rows - top - down))
            np.add.at(kernel, (top + down, left + right), weights.astype(np.float32))
    return kernel / kernel.sum()


def _compressed(image: np.ndarray, quality: int) -> np.ndarray:
    """What JPEG leaves of an RGB image."""
    _, data = cv2.imencode(".jpg", image[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, quality))
    return np.ascontiguousarray(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))[..., ::-1])
