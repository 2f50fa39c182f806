"""How the gripper is mounted in the new data, as far as its images say.

Nobody measured it. The policy that fine-tuning starts from says in each image where it sees the gripper. If it says the
same everywhere, and not where the calibration says, the gripper is mounted there. If it says now this and now that, or
can hardly ever make it out, the gripper is where the calibration says.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import torch

from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.data.transitions import Batch
from robot_finetune.learning.networks.interface import QNetwork, in_parts, state_tensors
from robot_finetune.learning.networks.seeing import VAGUE
from robot_finetune.learning.scene_transfer import GROWTH, some

CLEAR = 3.0  # times the scatter, that a displacement must be to be believed
SMALLEST = 0.005  # [m] displacement that counts


class Mounting:
    """The new replay, with the column `mount` filled in."""

    def __init__(self, new: ReplayBuffer, start: QNetwork) -> None:
        self.new, self._start = new, copy.deepcopy(start).eval()
        self._seen, self._place = 0, np.zeros(2, np.float32)

    def __len__(self) -> int:
        return len(self.new)

    def sample(
        self,
        rng: np.random.Generator,
        n: int,
        n_step: int = 1,
        discount: float = 1.0,
        terminal_fraction: float = 0.0,
        by_hand: bool = False,
    ) -> Batch:
        """As `ReplayBuffer.sample`."""
        batch = self.new.sample(rng, n, n_step, discount, terminal_fraction, by_hand)
        return replace(batch, mount=np.tile(self.place(), (n, 1)))

    def place(self) -> np.ndarray:
        """Where the gripper is, float32 (2,) [m], in x and y of the frame of the pose: zero unless clearly elsewhere.

        It is looked for again when the replay has grown."""
        if len(self.new) and len(self.new) >= GROWTH * self._seen:
            self._place, self._seen = self._look(), len(self.new)
        return self._place

    @torch.inference_mode()
    def _look(self) -> np.ndarray:
        rows, images = self.new.read_all()
        chosen = np.arange(len(rows))[some(len(rows))]
        seen = []
        for few in (chosen[part] for part in in_parts(len(chosen))):
            state = state_tensors(images[few], *(rows[name][few] for name in ("pose", "opening", "step", "cell")))
            views = self._start.encode(state.to(self._start.device))
            seen.append(views.seen[views.spread < VAGUE].float().cpu().numpy())
        shift = np.concatenate(seen)
        if 2 * len(shift) < len(chosen):
            return np.zeros(2, np.float32)
        place, scatter = np.median(shift, axis=0), float(np.linalg.norm(shift.std(0)))
        clear = float(np.linalg.norm(place)) > max(SMALLEST, CLEAR * scatter)
        return place if clear else np.zeros_like(place)


class ByHand:
    """Of the new replay, the transitions in which a person acted."""

    def __init__(self, new: Mounting) -> None:
        self._new = new

    def __len__(self) -> int:
        return self._new.new.interventions

    def sample(
        self, rng: np.random.Generator, n: int, n_step: int = 1, discount: float = 1.0, terminal_fraction: float = 0.0
    ) -> Batch:
        """As `ReplayBuffer.sample`."""
        return self._new.sample(rng, n, n_step, discount, terminal_fraction, by_hand=True)
