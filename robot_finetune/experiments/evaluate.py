"""Success of a policy in the simulated cell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from robot_finetune.experiments.rollouts import TEACHER, RolloutConfig, rollouts
from robot_finetune.experiments.workers import HERE, Workers
from robot_finetune.learning.checkpoint import load_checkpoint
from robot_finetune.learning.device import AUTO, choose
from robot_finetune.progress import with_progress
from robot_finetune.sim.variations import load_variation
from robot_finetune.stats import wilson_interval
from robot_finetune.types import SCRIPTED, Episode

WITHOUT_CHECKPOINT = (SCRIPTED, TEACHER)
EVALUATION_SEED = 1_000_000  # first scene of evaluations; explorations start elsewhere


def evaluate(
    policy: str,
    variation: str,
    episodes: int,
    seed: int = 0,
    robot: str = "sim",
    workers: Workers = HERE,
    device: str = AUTO,
) -> dict[str, Any]:
    """Success of a checkpoint folder (or "scripted", or "teacher") over `episodes` new scenes with held-out objects.

    device: where the checkpoint decides, see `learning.device.choose`.
    Returns {policy_version, variation, episodes, successes, success_rate, ci95}. Raises CheckpointError, ConfigError.
    """
    version = 0
    if policy not in WITHOUT_CHECKPOINT:
        checkpoint = load_checkpoint(policy)
        version, _ = checkpoint.version, choose(device, acting=checkpoint.network.config)  # before any worker begins
    name = load_variation(variation).name
    config = RolloutConfig(policy, variation, robot, noise=0.0, device=device)
    first = EVALUATION_SEED * (seed + 1)
    seeds = range(first, first + episodes)
    judged = with_progress(rollouts(config, seeds, workers), episodes, f"evaluating in {name}")
    return {"policy_version": version, "variation": name, **success(judged, episodes)}


def success(judged: Iterable[Episode], episodes: int) -> dict[str, Any]:
    """{episodes, successes, success_rate, ci95} of `episodes` grasps: those that are missing are no successes."""
    successes = sum(episode.outcome.success for episode in judged)
    return {
        "episodes": episodes,
        "successes": successes,
        "success_rate": successes / episodes,
        "ci95": wilson_interval(successes, episodes),
    }


def percent(result: Mapping[str, Any]) -> str:
    """A result's success for a terminal: its rate and interval."""
    low, high = result["ci95"]
    return f"{result['success_rate']:.1%} (95 % interval {low:.1%} to {high:.1%})"
