"""Base data in the new scene: what the base replay shows, as it would look on the floor and in the light of today.

A few hundred new grasps show the new scene from everywhere, but few good grasps in it; the base replay has thousands.
The middle of all new images is the new scene without what moves in it. It takes the place of the floor in base images,
and how much brighter or darker the surroundings became, everything else becomes. No label is needed. (Ours; the paper
mixes base data as it is.) Where the base data was seen by another camera, of this robot or another, the new floor is
turned into that camera's view: one plane maps to the other by a homography.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np

from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.data.transitions import Batch
from robot_finetune.perception.camera_model import CameraModel
from robot_finetune.perception.cell_numbers import cell_numbers
from robot_finetune.perception.scene_change import bin_mask
from robot_finetune.robot.preprocess import preprocess
from robot_finetune.robot.profile import RobotProfile

IMAGES = 400  # of which the middle is taken
FLOOR_TOLERANCE = 27  # grey levels that a floor of one colour differs from its middle, at most
SPARSE = 7  # every so many pixels are enough to find the floor's colour,
ENOUGH = 600  # and so many of them
PLAIN = 0.5  # part of the bin that has the floor's colour, where the floor counts as of one colour
SAME_CELL = 1e-4  # difference of the numbers of two cells that are one
GROWTH = 1.25  # of the new data, after which the new scene is looked at again


class SceneTransfer:
    """The base replay, `share` of whose samples are put into the scene that the new replay shows."""

    def __init__(self, base: ReplayBuffer, new: ReplayBuffer, profile: RobotProfile, share: float) -> None:
        self.base, self.new, self.share = base, new, share
        mask = bin_mask(CameraModel.from_config(profile.camera), profile, 0.0)
        grey = np.repeat(np.uint8(255) * mask[..., None].astype(np.uint8), 3, axis=2)
        self._bin = preprocess(grey, base.image_size)[..., 0] > 127
        self._seen, self._cell = 0, cell_numbers(profile)
        self._old_scene = self._middle_of_own(base)

    def __len__(self) -> int:
        return len(self.base)

    def sample(
        self, rng: np.random.Generator, n: int, n_step: int = 1, discount: float = 1.0, terminal_fraction: float = 0.0
    ) -> Batch:
        """As `ReplayBuffer.sample`, with images changed."""
        batch = self.base.sample(rng, n, n_step, discount, terminal_fraction)
        if not len(self.base) or not len(self.new):
            return batch
        if len(self.new) >= GROWTH * self._seen:
            self._look()
        chosen = rng.random(n) < self.share
        images = {name: getattr(batch, name).copy() for name in ("image", "next_image")}
        for rows, scene, floor in self._views(batch.cell, chosen):
            for changed in images.values():
                changed[rows] = self._transferred(changed[rows], scene, floor)
        return replace(batch, **images)

    def _views(self, cells: np.ndarray, chosen: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Chosen rows of a batch that were seen by one camera, and for it the new scene (size, size, 3) and where the
        bin is (size, size)."""
        own = self._is_own(cells)
        yield np.flatnonzero(chosen & own), self._scene, self._bin
        foreign, size = np.flatnonzero(chosen & ~own), self._bin.shape[::-1]
        others, which = np.unique(cells[foreign], axis=0, return_inverse=True)
        for index, cell in enumerate(others):
            turn = floor_homography(self._cell, cell, self.base.image_size)
            there = cv2.warpPerspective(self._bin.astype(np.uint8), turn, size).astype(bool)
            if there.any():
                scene = cv2.warpPerspective(self._scene, turn, size, borderMode=cv2.BORDER_REPLICATE)
                yield foreign[which.ravel() == index], scene, there

    def _transferred(self, images: np.ndarray, scene: np.ndarray, inside: np.ndarray) -> np.ndarray:
        """uint8 (n, size, size, 3) in the new scene; images whose floor has more than one colour stay as they are."""
        places = np.flatnonzero(inside)
        few = places[:: max(SPARSE, len(places) // ENOUGH)]
        floors = np.median(images.reshape(-1, inside.size, 3)[:, few], axis=1).astype(np.uint8).astype(float)
        lit = np.minimum(np.arange(256, dtype=np.float32)[:, None] * self._gain, 255).astype(np.uint8)[:, None]
        mask, moved = np.uint8(255) * inside.astype(np.uint8), images.copy()
        for image, floor in zip(moved, floors, strict=True):
            is_floor = mask & cv2.inRange(image, floor - FLOOR_TOLERANCE, floor + FLOOR_TOLERANCE)
            if cv2.countNonZero(is_floor) > PLAIN * len(places):
                cv2.LUT(image, lit, image)
                cv2.copyTo(scene, is_floor, image)
        return moved

    def _is_own(self, cells: np.ndarray) -> np.ndarray:
        """Which of the cells (n, 19) are the one that the new replay is of."""
        return np.isnan(cells).any(1) | np.isclose(cells, self._cell, atol=SAME_CELL).all(1)

    def _middle_of_own(self, replay: ReplayBuffer) -> np.ndarray | None:
        """Of the images by this robot's camera, if there are any."""
        rows, images = replay.read_all()
        own = np.flatnonzero(self._is_own(rows["cell"]))
        return middle_image(images[own[some(len(own))]]) if len(own) else None

    def _look(self) -> None:
        """The new scene, and how much brighter than the old one its surroundings are: of another robot's surroundings
        nothing is known."""
        images = self.new.read_all()[1]
        self._scene, self._seen, self._gain = middle_image(images[some(len(images))]), len(self.new), np.ones(3)
        if self._old_scene is not None:
            before, after = (scene[~self._bin].astype(float) for scene in (self._old_scene, self._scene))
            self._gain = np.median((after + 1) / (before + 1), axis=0).astype(np.float32)


def some(count: int) -> slice:
    """Every so many of `count` images, IMAGES at most."""
    return slice(None, None, max(1, -(-count // IMAGES)))


def middle_image(images: np.ndarray) -> np.ndarray:
    """The median of images (n, size, size, 3), uint8 (size, size, 3): their scene without what moves."""
    return np.median(images, axis=0).astype(np.uint8)


def floor_homography(here: np.ndarray, there: np.ndarray, size: int) -> np.ndarray:
    """(3, 3): pixels of the floor around the bin's middle in images of the cell `here` (19,), to those in images of the
    cell `there`, both of `size` pixels."""
    to_pixels = np.array([[size / 2, 0.0, (size - 1) / 2], [0.0, size / 2, (size - 1) / 2], [0.0, 0.0, 1.0]])

    def from_floor(cell: np.ndarray) -> np.ndarray:
        projection, center = cell[:12].astype(float).reshape(3, 4), cell[16:].astype(float)
        plane = np.zeros((4, 3))
        plane[0, 0] = plane[1, 1] = plane[3, 2] = 1.0
        plane[:3, 2] = center
        return to_pixels @ projection @ plane

    return from_floor(there) @ np.linalg.inv(from_floor(here))
