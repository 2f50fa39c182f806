"""How the gripper is mounted in the new data, as far as its images say.

Nobody measured it. The base policy says in each image where it sees the gripper. If it says the same everywhere, and
not where the calibration says, the gripper is mounted elsewhere. If it says now this and now that, something else in
the scene confuses it, and the gripper is where the calibration says.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import torch

from robot_finetune.data.replay_buffer import Batch, ReplayBuffer
from robot_finetune.learning.q_network import QNetwork, state_tensors
from robot_finetune.learning.scene_transfer import GROWTH, IMAGES

CLEAR = 3.0  # times the scatter, that a displacement must be to be believed
SMALLEST = 0.005  # [m] displacement that counts


class Mounting:
    """The new replay, with the column `mount` filled in: zero where it is calibrated, NaN where it is elsewhere."""

    def __init__(self, new: ReplayBuffer, base: QNetwork) -> None:
        self.new, self._base = new, copy.deepcopy(base).eval()
        self._seen = 0

    def __len__(self) -> int:
        return len(self.new)

    def sample(
        self, rng: np.random.Generator, n: int, n_step: int = 1, discount: float = 1.0, terminal_fraction: float = 0.0
    ) -> Batch:
        """As `ReplayBuffer.sample`."""
        batch = self.new.sample(rng, n, n_step, discount, terminal_fraction)
        if len(self.new) >= GROWTH * self._seen:
            self._moved, self._seen = self.moved(), len(self.new)
        return replace(batch, mount=np.full((n, 2), np.nan if self._moved else 0.0, np.float32))

    @torch.inference_mode()
    def moved(self) -> bool:
        """Whether the gripper is clearly not where the calibration says."""
        rows, images = self.new.read_all()
        few = slice(None, None, -(-len(rows) // IMAGES))
        state = state_tensors(images[few], *(rows[name][few] for name in ("pose", "opening", "step")))
        shift = self._base.encode(state).shift
        return bool(shift.mean(0).norm() > max(SMALLEST, CLEAR * float(shift.std(0).norm())))
