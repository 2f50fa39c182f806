"""What whole episodes that were not learned from say of a version, beside the policy that training began with.

The gate decides by the log-loss at closing alone (`offline_score`). These are the scores it is compared with.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import torch

from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.data.replay_file import episodes_of
from robot_finetune.data.transitions import Batch
from robot_finetune.learning.batches import TensorBatch, select
from robot_finetune.learning.bellman import BellmanConfig, QLearner
from robot_finetune.learning.networks.interface import QNetwork, in_parts
from robot_finetune.learning.offline_score import (
    is_held_out,
    log_loss_of,
    q_logits,
    sigmoid,
    standard_errors_worse,
)
from robot_finetune.stats import auc, calibration_error, correlation
from robot_finetune.types import CLOSE

BELLMAN = BellmanConfig()
"""Constants of the target that the Bellman error is of: one step, as QT-Opt has it."""


@dataclass(frozen=True)
class HeldOutScores:
    """log_loss, auc, calibration_error: of Q at closing against outcomes. worse: standard errors by which the log-loss
    is above the first policy's. soft_opc: soft off-policy classification for binary reward (Irpan et al. 2019), the
    mean Q over the transitions of successful episodes less that over all. bellman_error: mean |Q - target| over all
    transitions, the target by the version itself. agreement: correlation of its Q with the first policy's over all
    logged actions; 0 where one of them is constant.
    """

    log_loss: float
    worse: float
    auc: float
    calibration_error: float
    soft_opc: float
    bellman_error: float
    agreement: float


def split(replay: ReplayBuffer, share: float) -> tuple[ReplayBuffer, ReplayBuffer]:
    """Copies of what a replay holds: the episodes to learn from, and those that are held out (`is_held_out`)."""
    rows, images = replay.read_all()
    learned, held = (ReplayBuffer(None, max(1, len(rows)), replay.image_size) for _ in range(2))
    for part in episodes_of(rows):
        target = held if is_held_out(rows["key"][part.start].tobytes(), share) else learned
        target.add_rows(rows[part].copy(), images[part])
    return learned, held


class HeldOut:
    """Scores versions on the episodes of `replay`, beside the network `first` that training began with."""

    def __init__(self, replay: ReplayBuffer, first: QNetwork, max_yaw: float) -> None:
        """max_yaw: yaw change [rad] of a normalised 1."""
        self._batch = replay.every(1, BELLMAN.discount)
        self._max_yaw = max_yaw
        self._closes = (self._batch.done > 0) & (self._batch.action[:, CLOSE] > 0)
        self._first = self._logits(first) if self.grasps else np.zeros(0, np.float32)

    @property
    def grasps(self) -> int:
        """Episodes that ended by closing."""
        return int(self._closes.sum())

    def scores(self, network: QNetwork) -> HeldOutScores:
        """Of a version. Raises ValueError where no episode ended by closing."""
        if not self.grasps:
            raise ValueError("no held-out episode ended by closing the gripper: hold out more episodes")
        logits, first = self._logits(network), self._first
        outcomes, closes = self._batch.success, self._closes
        new, old = (log_loss_of(found[closes], outcomes[closes]) for found in (logits, first))
        q = sigmoid(logits)
        agreement = correlation(q, sigmoid(first))
        return HeldOutScores(
            log_loss=float(new.mean()),
            worse=standard_errors_worse(new, old),
            auc=auc(logits[closes], outcomes[closes]),
            calibration_error=calibration_error(q[closes], outcomes[closes]),
            soft_opc=float(q[outcomes > 0].mean() - q.mean()) if outcomes.any() else 0.0,
            bellman_error=float(np.abs(q - self._targets(network)).mean()),
            agreement=agreement if math.isfinite(agreement) else 0.0,
        )

    def _logits(self, network: QNetwork) -> np.ndarray:
        return np.concatenate(
            [q_logits(network, select(part), torch.from_numpy(part.action)) for part in self._parts()]
        )

    def _targets(self, network: QNetwork) -> np.ndarray:
        learner = QLearner(network, BELLMAN, self._max_yaw)
        return np.concatenate([learner.targets(TensorBatch.of(part)).cpu().numpy() for part in self._parts()])

    def _parts(self) -> Iterator[Batch]:
        for part in in_parts(len(self._batch.done)):
            yield Batch(**{field.name: getattr(self._batch, field.name)[part] for field in fields(Batch)})
