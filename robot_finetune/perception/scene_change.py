"""What has appeared in, or disappeared from, the bin between two images."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from robot_finetune.config import setting
from robot_finetune.perception.camera_model import CameraModel
from robot_finetune.robot.interfaces import RobotError
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.robot.workspace import bin_corners

DARK = 16.0
PALETTE_SIZE = 96


@dataclass(frozen=True)
class SceneChangeConfig:
    """When a pixel counts as changed."""

    object_height: float = setting(0.06, "objects in the bin are at most this high", unit="m", low=0.0, high=0.5)
    min_difference: float = setting(
        10.0, "smallest colour difference of a changed pixel", unit="grey levels", low=1.0, high=255.0
    )
    noise_factor: float = setting(
        5.0, "a changed pixel differs by this many standard deviations of the noise", low=1.0, high=50.0
    )
    min_area: float = setting(1.0, "smaller connected changes are ignored", unit="cm2", low=0.0, high=100.0)
    darkest_shadow: float = setting(0.15, "brightness of a shadow relative to the lit floor", low=0.0, high=1.0)
    floor_share: float = setting(
        0.1, "share of the surround that each colour of the floor has at least", low=0.0, high=1.0
    )
    surround: float = setting(
        2.0, "width of the ring around a change that shows the floor there", unit="cm", low=0.2, high=10.0
    )


@dataclass(frozen=True)
class SceneChange:
    """Areas [cm2 at the distance of the bin's floor] where an object has appeared and where one has disappeared."""

    appeared: float
    disappeared: float

    @property
    def net(self) -> float:
        """Net appearance; an object that has only moved cancels out."""
        return self.appeared - self.disappeared


class SceneComparison:
    """Compares images of the bin taken by the calibrated camera of a robot profile."""

    def __init__(self, profile: RobotProfile, config: SceneChangeConfig = SceneChangeConfig()) -> None:
        self.config = config
        camera = CameraModel.from_config(profile.camera)
        self.shape = (profile.camera.height, profile.camera.width, 3)
        self.bin_mask = bin_mask(camera, profile, config.object_height)
        distance = float(np.linalg.norm(camera.position - [*profile.bin_center, profile.floor_z]))
        self._cm_per_pixel = 100 * distance / profile.camera.focal

    def __call__(self, earlier: np.ndarray, later: np.ndarray) -> SceneChange:
        """Changes from `earlier` to `later`, uint8 RGB (height, width, 3). Raises RobotError if they do not fit the
        profile."""
        for image in (earlier, later):
            self.check(image)
        first, second = (cv2.GaussianBlur(image, (3, 3), 0).astype(np.float32) for image in (earlier, later))
        second = self._match_brightness(first, second)
        changed = self._changed(np.abs(second - first).max(axis=2))
        count, labels, stats, _ = cv2.connectedComponentsWithStats(changed.astype(np.uint8), connectivity=8)
        pixel_area = self._cm_per_pixel**2
        appeared = disappeared = 0.0
        for label in range(1, count):
            if stats[label, cv2.CC_STAT_AREA] * pixel_area >= self.config.min_area:
                inside = labels == label
                surround = self._surround(inside, changed)
                was_object = self._unlike_floor(first[inside], first[surround])
                is_object = self._unlike_floor(second[inside], second[surround])
                appeared += np.count_nonzero(is_object & ~was_object) * pixel_area
                disappeared += np.count_nonzero(was_object & ~is_object) * pixel_area
        return SceneChange(float(appeared), float(disappeared))

    def check(self, image: np.ndarray) -> None:
        """Raises RobotError if an image, uint8 RGB (height, width, 3), is not of the profile's size."""
        if image.shape != self.shape:
            cure = "set camera.width, height and focal in the robot profile to those of the camera"
            raise RobotError(
                f"camera image is {image.shape[1]}x{image.shape[0]}, not {self.shape[1]}x{self.shape[0]}: {cure}"
            )

    def _match_brightness(self, reference: np.ndarray, image: np.ndarray) -> np.ndarray:
        """`image` with the gain of each channel that makes most of the bin look as in `reference`."""
        a, b = reference[self.bin_mask], image[self.bin_mask]
        usable = (a > DARK).all(axis=1) & (b > DARK).all(axis=1)
        return image * np.median(a[usable] / b[usable], axis=0) if usable.any() else image

    def _changed(self, difference: np.ndarray) -> np.ndarray:
        inside = difference[self.bin_mask]
        noise = 1.4826 * np.median(np.abs(inside - np.median(inside)))
        return self.bin_mask & (difference > max(self.config.min_difference, self.config.noise_factor * noise))

    def _surround(self, inside: np.ndarray, changed: np.ndarray) -> np.ndarray:
        """Unchanged pixels around a change: most of them show the floor."""
        width = 2 * max(1, round(self.config.surround / self._cm_per_pixel)) + 1
        near = cv2.dilate(inside.astype(np.uint8), np.ones((width, width), np.uint8)).astype(bool)
        return near & ~changed & self.bin_mask

    def _unlike_floor(self, colors: np.ndarray, floor: np.ndarray) -> np.ndarray:
        """Which colours (n, 3) are too rare in `floor` (m, 3), in light or in shadow, to be the floor's."""
        if not len(floor):
            return np.zeros(len(colors), bool)
        floor = floor[:: -(-len(floor) // PALETTE_SIZE)]
        shade = (colors @ floor.T) / np.maximum((floor**2).sum(axis=1), 1.0)
        shaded = np.clip(shade, self.config.darkest_shadow, 1.0)[..., None] * floor
        distance = np.linalg.norm(colors[:, None] - shaded, axis=2)
        return (distance < self.config.min_difference).mean(axis=1) < self.config.floor_share


def bin_mask(camera: CameraModel, profile: RobotProfile, height: float) -> np.ndarray:
    """bool (height, width): where the bin and what lies in it can appear."""
    floor = bin_corners(profile)
    pixels = camera.project(np.vstack([floor, floor + [0.0, 0.0, height]]))
    if not np.isfinite(pixels).all():
        raise RobotError(
            "the camera does not see the bin: correct camera.position and camera.target in the robot profile"
        )
    mask = np.zeros((camera.height, camera.width), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(pixels).astype(np.int32)), 1)
    return mask.astype(bool)
