"""Scoring a version without robot time: how well Q at closing foretells the outcome of grasps that were not learned
from.

Closing is the decision whose value is the chance of success itself, with no later step between (QT-Opt's reward comes
at the end), so its log-loss needs no target network. Soft off-policy classification (Irpan et al. 2019) ranks Q-values
over all steps instead; on sparse success the log-loss at closing ranked versions better.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from robot_finetune.learning.networks.interface import QNetwork, state_tensors, to_device
from robot_finetune.types import Episode, Step

AT_ONCE = 64
"""Closings that go through the network together: large images take much memory."""


@dataclass(frozen=True)
class Closing:
    """The last decision of a grasp that the policy itself ended by closing, and what came of it."""

    step: Step
    success: bool

    @staticmethod
    def of(episode: Episode) -> Closing | None:
        """The closing of an episode; None if it ended otherwise."""
        if not episode.steps or not episode.steps[-1].asked.closes:
            return None
        return Closing(episode.steps[-1], episode.outcome.success)


@dataclass(frozen=True)
class OfflineScore:
    """log_loss: of Q at closing against the outcome, mean over `grasps`; first: that of the policy that training began
    with, on the same grasps. worse: the difference in its standard errors."""

    grasps: int = 0
    log_loss: float = 0.0
    first: float = 0.0
    worse: float = 0.0


def is_held_out(episode_id: str, share: float) -> bool:
    """Whether an episode is kept from learning: by its id alone, so that a restart decides the same."""
    return zlib.crc32(episode_id.encode()) % 10_000 < 10_000 * share


@torch.inference_mode()
def log_losses(network: QNetwork, closings: Iterable[Closing]) -> np.ndarray:
    """(n,) log-loss of Q at each closing against its outcome."""
    everything = list(closings)
    parts = [everything[first : first + AT_ONCE] for first in range(0, len(everything), AT_ONCE)]
    return np.concatenate([_log_losses(network, part) for part in parts]) if parts else np.zeros(0, np.float32)


def _log_losses(network: QNetwork, closings: Sequence[Closing]) -> np.ndarray:
    seen = [closing.step.observation for closing in closings]
    state = state_tensors(
        np.stack([observation.image for observation in seen]),
        np.stack([observation.pose for observation in seen]).astype(np.float32),
        np.array([observation.opening for observation in seen]),
        np.array([observation.step for observation in seen]),
    )
    actions = torch.from_numpy(np.stack([closing.step.asked.vector for closing in closings]))[:, None]
    features = network.encode(state.to(network.device))
    logits = network.q(features, to_device(actions, network.device))[:, 0].float().cpu()
    outcomes = torch.tensor([float(closing.success) for closing in closings])
    return F.binary_cross_entropy_with_logits(logits, outcomes, reduction="none").numpy()


def score(network: QNetwork, first: QNetwork, closings: Sequence[Closing]) -> OfflineScore:
    """How `network` does beside the one that training began with, on the same held-out grasps."""
    if not closings:
        return OfflineScore()
    new, old = log_losses(network, closings), log_losses(first, closings)
    difference = new - old
    error = float(difference.std(ddof=1)) / math.sqrt(len(closings)) if len(closings) > 1 else math.inf
    worse = float(difference.mean()) / error if error > 0 else 0.0
    return OfflineScore(len(closings), float(new.mean()), float(old.mean()), worse if math.isfinite(worse) else 0.0)
