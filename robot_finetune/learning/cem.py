"""The cross-entropy method over gripper actions, for a batch of states at once (QT-Opt, section 4.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from robot_finetune.config import setting
from robot_finetune.learning.networks.interface import CPU, to_device

CLOSE_ACTION = (0.0, 0.0, 0.0, 0.0, 1.0, -1.0, 1.0, 1.0)


@dataclass(frozen=True)
class CEMConfig:
    """QT-Opt: 64 samples, 2 to 3 iterations, the best 6 to 10 kept."""

    samples: int = setting(64, "candidates in each iteration", low=4, high=4096)
    elites: int = setting(6, "candidates that the next Gaussian is fitted to", low=2, high=512)
    iterations: int = setting(3, "iterations", low=1, high=10)
    std: float = setting(0.7, "initial standard deviation of the normalised displacement", low=0.05, high=2.0)
    min_std: float = setting(0.03, "smallest standard deviation", low=0.0, high=1.0)


def move_actions(params: Tensor, max_yaw: float) -> Tensor:
    """Action vectors (..., 8) of normalised displacements and yaw changes (..., 4), clipped to [-1, 1]."""
    params = params.clamp(-1, 1)
    yaw = params[..., 3:] * max_yaw
    switches = torch.full_like(params[..., :3], -1)
    return torch.cat([params[..., :3], torch.sin(yaw), torch.cos(yaw), switches], -1)


def maximise(
    q: Callable[[Tensor], Tensor],
    batch: int,
    config: CEMConfig,
    max_yaw: float,
    generator: torch.Generator,
    device: torch.device = CPU,
    watch: Callable[[Tensor, Tensor], None] | None = None,
) -> tuple[Tensor, Tensor]:
    """The actions (B, 8) that maximise `q`, and their values (B,).

    q: maps candidates (B, N, 8) to values (B, N). Displacement and yaw are searched by CEM; closing the gripper, which
    has no displacement, is one more candidate. max_yaw: yaw change [rad] of a normalised 1. generator: of the CPU.
    device: where `q` computes. watch: is given the last iteration's candidates (B, N, 8) and their values (B, N).
    """
    mean, std = torch.zeros(batch, 1, 4, device=device), torch.full((batch, 1, 4), config.std, device=device)
    close = to_device(torch.tensor(CLOSE_ACTION), device).expand(batch, 1, 8)
    best_action, best_value = close[:, 0], torch.full((batch,), -torch.inf, device=device)
    rows = torch.arange(batch, device=device)
    for iteration in range(config.iterations):
        noise = to_device(torch.randn(batch, config.samples, 4, generator=generator), device)
        params = (mean + std * noise).clamp(-1, 1)
        candidates = move_actions(params, max_yaw)
        if iteration == 0:
            values = q(torch.cat([candidates, close], 1))
            best_value, values = values[:, -1], values[:, :-1]
        else:
            values = q(candidates)
        elite_values, elite = values.topk(config.elites, dim=1)
        better = elite_values[:, 0] > best_value
        best_value = torch.where(better, elite_values[:, 0], best_value)
        best_action = torch.where(better[:, None], candidates[rows, elite[:, 0]], best_action)
        chosen = params.gather(1, elite[..., None].expand(-1, -1, 4))
        mean, std = chosen.mean(1, keepdim=True), chosen.std(1, keepdim=True).clamp(min=config.min_std)
    if watch is not None:
        watch(candidates, values)
    return best_action, best_value
