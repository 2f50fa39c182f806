"""Scoring a version without robot time: how well Q at closing foretells the outcome of grasps that were not learned
from.

Closing is the decision whose value is the chance of success itself, with no later step between (QT-Opt's reward comes
at the end), so its log-loss needs no target network. What else tells versions apart, over whole episodes, is in
`held_out`; experiments/benchmarks/offline_score.py measures which of them foretells success.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from robot_finetune.learning.networks.interface import QNetwork, State, in_parts, state_tensors, to_device
from robot_finetune.stats import auc, calibration_error
from robot_finetune.types import Episode, Step


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
    with, on the same grasps. worse: the difference in its standard errors. auc, calibration_error: of Q at closing
    against the outcome, see `stats`; they are shown, and decide nothing."""

    grasps: int = 0
    log_loss: float = 0.0
    first: float = 0.0
    worse: float = 0.0
    auc: float = 0.5
    calibration_error: float = 0.0


def is_held_out(episode: str | bytes, share: float) -> bool:
    """Whether an episode is kept from learning: by its id, or the digest of it that a replay keeps, alone, so that a
    restart decides the same."""
    name = episode.encode() if isinstance(episode, str) else episode
    return zlib.crc32(name) % 10_000 < 10_000 * share


@torch.inference_mode()
def q_logits(network: QNetwork, state: State, actions: Tensor) -> np.ndarray:
    """float32 (n,): logits of Q of n actions (n, 8), each in its own state."""
    features = network.encode(state.to(network.device))
    found: np.ndarray = network.q(features, to_device(actions[:, None], network.device))[:, 0].float().cpu().numpy()
    return found


def log_loss_of(logits: np.ndarray, outcomes: np.ndarray) -> np.ndarray:
    """(n,) log-loss of each logit (n,) against an outcome (n,) of 0 or 1."""
    return np.logaddexp(0, logits) - outcomes * logits


def log_losses(network: QNetwork, closings: Iterable[Closing]) -> np.ndarray:
    """(n,) log-loss of Q at each closing against its outcome."""
    everything = list(closings)  # of a deque, too, which has no slices
    return log_loss_of(_closing_logits(network, everything), _outcomes(everything))


def _outcomes(closings: Sequence[Closing]) -> np.ndarray:
    return np.array([closing.success for closing in closings], np.float32)


def _closing_logits(network: QNetwork, closings: Sequence[Closing]) -> np.ndarray:
    logits = [_part_logits(network, closings[part]) for part in in_parts(len(closings))]
    return np.concatenate(logits) if logits else np.zeros(0, np.float32)


def _part_logits(network: QNetwork, closings: Sequence[Closing]) -> np.ndarray:
    seen = [closing.step.observation for closing in closings]
    state = state_tensors(
        np.stack([observation.image for observation in seen]),
        np.stack([observation.pose for observation in seen]).astype(np.float32),
        np.array([observation.opening for observation in seen]),
        np.array([observation.step for observation in seen]),
    )
    actions = torch.from_numpy(np.stack([closing.step.asked.vector for closing in closings]))
    return q_logits(network, state, actions)


def score(network: QNetwork, first: QNetwork, held_out: Iterable[Closing]) -> OfflineScore:
    """How `network` does beside the one that training began with, on the same held-out grasps."""
    closings = list(held_out)
    if not closings:
        return OfflineScore()
    logits, outcomes = _closing_logits(network, closings), _outcomes(closings)
    new, old = log_loss_of(logits, outcomes), log_losses(first, closings)
    told = auc(logits, outcomes), calibration_error(sigmoid(logits), outcomes)
    return OfflineScore(len(closings), float(new.mean()), float(old.mean()), standard_errors_worse(new, old), *told)


def standard_errors_worse(new: np.ndarray, old: np.ndarray) -> float:
    """How many standard errors of its mean `new` (n,) is above `old` (n,), of the same grasps; 0 for too few."""
    difference = new - old
    error = float(difference.std(ddof=1)) / math.sqrt(len(difference)) if len(difference) > 1 else 0.0
    worse = float(difference.mean()) / error if error > 0 else 0.0
    return worse if math.isfinite(worse) else 0.0


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Q-values of logits, of the same shape."""
    return np.exp(-np.logaddexp(0, -logits))
