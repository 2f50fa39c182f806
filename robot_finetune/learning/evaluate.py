"""`robot-finetune evaluate`: success of a policy in the simulated cell, without ROS."""

from __future__ import annotations

import argparse
import json
from typing import Any

from robot_finetune.learning.checkpoint import load_checkpoint
from robot_finetune.learning.rollouts import RolloutConfig, Workers, rollouts
from robot_finetune.sim.variations import load_variation
from robot_finetune.stats import wilson_interval

EVALUATION_SEED = 1_000_000  # first scene of evaluations; explorations start elsewhere


def evaluate(
    policy: str,
    variation: str,
    episodes: int,
    seed: int = 0,
    robot: str = "sim",
    processes: int = 2,
    workers: Workers | None = None,
) -> dict[str, Any]:
    """Success of a checkpoint folder (or "scripted") over `episodes` new scenes with held-out objects.

    workers: do it, instead of new processes. Returns {policy_version, variation, episodes, successes, success_rate,
    ci95}. Raises CheckpointError, ConfigError.
    """
    version = load_checkpoint(policy).version if policy != "scripted" else 0
    name = load_variation(variation).name
    config = RolloutConfig(policy, variation, robot, noise=0.0)
    first = EVALUATION_SEED * (seed + 1)
    seeds = range(first, first + episodes)
    rolled_out = workers.start(config, seeds) if workers else rollouts(config, seeds, processes)
    successes = sum(episode.outcome.success for episode in rolled_out)
    return {
        "policy_version": version,
        "variation": name,
        "episodes": episodes,
        "successes": successes,
        "success_rate": successes / episodes,
        "ci95": wilson_interval(successes, episodes),
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--policy", default="models/base", help="checkpoint folder, or scripted")
    parser.add_argument("--variation", default="base", help="name in config/variations or a YAML file")
    parser.add_argument("--robot", default="sim", help="robot profile: name or YAML file")
    parser.add_argument("--episodes", type=int, default=300, help="grasp attempts, each in a new scene")
    parser.add_argument("--seed", type=int, default=0, help="chooses the scenes")
    parser.add_argument("--processes", type=int, default=2, help="parallel simulations")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")


def run(args: argparse.Namespace) -> int:
    result = evaluate(args.policy, args.variation, args.episodes, args.seed, args.robot, args.processes)
    low, high = result["ci95"]
    print(
        f"{result['variation']}: {result['successes']} of {result['episodes']} grasps succeeded,"
        f" {result['success_rate']:.1%} (95 % interval {low:.1%} to {high:.1%})"
    )
    if args.json:
        print(json.dumps(result))
    return 0
