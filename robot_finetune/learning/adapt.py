"""`robot-finetune adapt`: the paper's experiment on one variation, without ROS: explore, fine-tune, evaluate."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch

from robot_finetune.data.layout import REPLAY
from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.data.replay_file import unpack
from robot_finetune.learning.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from robot_finetune.learning.evaluate import evaluate
from robot_finetune.learning.finetuner import FineTuneConfig, FineTuner
from robot_finetune.learning.q_network import build_network
from robot_finetune.learning.rollouts import RolloutConfig, rollouts
from robot_finetune.robot.profile import load_robot
from robot_finetune.sim.variations import load_variation

EXPLORATION_SEED = 5_000_000  # first scene of explorations


def explore(
    policy: str, variation: str, grasps: int, seed: int, buffer: ReplayBuffer, robot: str = "sim", processes: int = 2
) -> None:
    """Add `grasps` exploring episodes of a checkpoint folder under `variation` to `buffer`, in scenes of their own."""
    config = RolloutConfig(policy, variation, robot, mode="explore", family="held_out")
    first = EXPLORATION_SEED + seed * 100_000 + buffer.episodes
    for episode in rollouts(config, range(first, first + grasps), processes):
        buffer.add(episode)


def adapt(
    policy: str,
    variation: str,
    grasps: int,
    out: Path,
    seed: int = 0,
    updates: int = 1200,
    rounds: int = 1,
    episodes: int = 300,
    robot: str = "sim",
    processes: int = 2,
    scratch: bool = False,
) -> dict[str, Any]:
    """Explore, fine-tune and evaluate; writes the checkpoint to `out`.

    rounds: 1 explores with the frozen policy, as published; more split the grasps over successive versions. scratch:
    also train a fresh network on the same new data. Returns the JSON object of the command."""
    start = time.monotonic()
    torch.set_num_threads(1)
    base, profile = load_checkpoint(policy), load_robot(robot)
    new = ReplayBuffer(
        None, capacity=grasps * base.network.config.max_steps + 1, image_size=base.network.config.image_size
    )
    old = unpack(Path(policy) / REPLAY)
    tuner, acting = FineTuner(base, old, new, profile, FineTuneConfig(), seed), policy
    for index in range(rounds):
        explore(
            acting, variation, grasps * (index + 1) // rounds - grasps * index // rounds, seed, new, robot, processes
        )
        for _ in range(updates // rounds):
            tuner.update()
        version, acting = base.version + index + 1, str(out / "checkpoint")
        meta = {"variation": variation, "grasps": new.episodes, "updates": tuner.updates, "seed": seed}
        save_checkpoint(acting, tuner.network(), version, version - 1, meta)
    result: dict[str, Any] = {"variation": load_variation(variation).name, "grasps": grasps, "seed": seed}
    result["before"] = evaluate(policy, variation, episodes, seed, robot, processes)
    result["after"] = evaluate(acting, variation, episodes, seed, robot, processes)
    result["base_after"] = evaluate(acting, "base", episodes, seed, robot, processes)
    if scratch:
        fresh = Checkpoint(build_network(base.network.config, seed))
        nothing = ReplayBuffer(None, capacity=1, image_size=base.network.config.image_size)
        learner = FineTuner(fresh, nothing, new, profile, FineTuneConfig(), seed)
        for _ in range(updates):
            learner.update()
        save_checkpoint(
            out / "scratch", learner.network(), 1, 0, {"variation": variation, "grasps": grasps, "seed": seed}
        )
        result["scratch"] = evaluate(str(out / "scratch"), variation, episodes, seed, robot, processes)
    return result | {"updates": tuner.updates, "promoted_version": version, "seconds": time.monotonic() - start}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--policy", default="models/base", help="checkpoint folder of the base policy, with its replay.bin"
    )
    parser.add_argument("--variation", required=True, help="name in config/variations or a YAML file")
    parser.add_argument("--robot", default="sim", help="robot profile: name or YAML file")
    parser.add_argument("--grasps", type=int, default=400, help="exploring grasps to learn from")
    parser.add_argument("--updates", type=int, default=1200, help="gradient steps")
    parser.add_argument(
        "--rounds", type=int, default=1, help="1: explore with the frozen policy, as published; more: in turns"
    )
    parser.add_argument("--episodes", type=int, default=300, help="grasps of each evaluation")
    parser.add_argument("--scratch", action="store_true", help="also train a fresh network on the same new data")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2, help="parallel simulations")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint and result.json")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")


def run(args: argparse.Namespace) -> int:
    result = adapt(
        args.policy, args.variation, args.grasps, args.out, args.seed, args.updates, args.rounds, args.episodes,
        args.robot, args.processes, args.scratch,
    )  # fmt: skip
    for name, key in (
        ("before", "before"),
        ("after", "after"),
        ("base task after", "base_after"),
        ("from scratch", "scratch"),
    ):
        if key in result:
            low, high = result[key]["ci95"]
            print(f"{name:>16}: {result[key]['success_rate']:.1%} (95 % interval {low:.1%} to {high:.1%})")
    (args.out / "result.json").write_text(json.dumps(result, indent=1))
    if args.json:
        print(json.dumps(result))
    return 0
