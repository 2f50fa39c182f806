"""Base data in the new scene: what the base replay shows, as it would look on the floor and in the light of today.

A few hundred new grasps show the new scene from everywhere, but few good grasps in it; the base replay has thousands.
The middle of all new images is the new scene without what moves in it. It takes the place of the floor in base images,
and how much brighter or darker the surroundings became, everything else becomes. No label is needed. (Ours; the paper
mixes base data as it is.) Where the base data is of another cell, seen by another camera, it stays as it is.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from robot_finetune.data.replay_buffer import Batch, ReplayBuffer
from robot_finetune.perception.camera_model import CameraModel
from robot_finetune.perception.cell_numbers import cell_numbers
from robot_finetune.perception.scene_change import bin_mask
from robot_finetune.robot.preprocess import preprocess
from robot_finetune.robot.profile import RobotProfile

IMAGES = 400  # of which the middle is taken
FLOOR_TOLERANCE = 28  # grey levels that a floor of one colour differs from its middle
SPARSE = 7  # every so many pixels are enough to find the floor's colour
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
        self._old_scene = middle_image(base) if len(base) else np.zeros(0)

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
        here = np.isnan(batch.cell).any(1) | np.isclose(batch.cell, self._cell, atol=SAME_CELL).all(1)
        chosen = np.flatnonzero((rng.random(n) < self.share) & here)
        images = {}
        for name in ("image", "next_image"):
            images[name] = getattr(batch, name).copy()
            images[name][chosen] = self.transferred(images[name][chosen])
        return replace(batch, **images)

    def transferred(self, images: np.ndarray) -> np.ndarray:
        """uint8 (n, size, size, 3) in the new scene; images whose floor has more than one colour stay as they are."""
        images = images.astype(np.int16)
        floor = np.median(images[:, self._bin][:, ::SPARSE], axis=1).astype(np.int16)[:, None, None]
        is_floor = (np.abs(images - floor).max(-1) < FLOOR_TOLERANCE) & self._bin
        plain = is_floor[:, self._bin].mean(1) > PLAIN
        lit = np.minimum(images * self._gain, 255)
        moved = np.where(is_floor[..., None], self._scene, lit)
        return np.where(plain[:, None, None, None], moved, images).astype(np.uint8)

    def _look(self) -> None:
        """The new scene, and how much brighter than the old one its surroundings are."""
        self._scene, self._seen = middle_image(self.new), len(self.new)
        before, after = (scene[~self._bin].astype(float) for scene in (self._old_scene, self._scene))
        self._gain = np.median((after + 1) / (before + 1), axis=0).astype(np.float32)


def middle_image(buffer: ReplayBuffer) -> np.ndarray:
    """The median of images spread over a replay, uint8 (size, size, 3): its scene without what moves."""
    _, images = buffer.read_all()
    return np.median(images[:: -(-len(images) // IMAGES)], axis=0).astype(np.uint8)
