"""`robot-finetune adapt`: the paper's experiment on one variation, without ROS: explore, fine-tune, evaluate."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch

from robot_finetune.config import from_yaml
from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.learning.adaptation import AdaptConfig, explore, fine_tune, from_scratch, save_tuned
from robot_finetune.learning.checkpoint import load_checkpoint
from robot_finetune.learning.evaluate import evaluate
from robot_finetune.robot.profile import load_robot
from robot_finetune.sim.variations import load_variation


def adapt(
    policy: str,
    variation: str,
    grasps: int,
    out: Path,
    seed: int = 0,
    config: AdaptConfig = AdaptConfig(),
    episodes: int = 300,
    robot: str = "sim",
    processes: int = 2,
    scratch: bool = False,
) -> dict[str, Any]:
    """Explore with the frozen policy, fine-tune it and evaluate; writes the checkpoint to `out`.

    scratch: also train a fresh network on the same new data. Returns the JSON object of the command. Raises
    CheckpointError, ConfigError, ReplayError.
    """
    start = time.monotonic()
    torch.set_num_threads(1)
    base, profile, tuned = load_checkpoint(policy), load_robot(robot), str(out / "checkpoint")
    network = base.network.config
    new = ReplayBuffer(None, capacity=grasps * network.max_steps + 1, image_size=network.image_size)
    explore(policy, variation, grasps, seed, new, robot, processes)
    tuner = fine_tune(Path(policy), new, profile, config, seed)
    meta = {"variation": load_variation(variation).name, "grasps": grasps, "seed": seed}
    version = save_tuned(tuner, Path(tuned), base.version, meta)
    result: dict[str, Any] = dict(meta)
    for key, which, where in (
        ("before", policy, variation),
        ("after", tuned, variation),
        ("base_before", policy, "base"),
        ("base_after", tuned, "base"),
    ):
        result[key] = evaluate(which, where, episodes, seed, robot, processes)
    if scratch:
        fresh = from_scratch(network, new, profile, config, seed, tuner.updates)
        save_tuned(fresh, out / "scratch", 0, meta)
        result["scratch"] = evaluate(str(out / "scratch"), variation, episodes, seed, robot, processes)
    return result | {"updates": tuner.updates, "promoted_version": version, "seconds": time.monotonic() - start}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--variation", required=True, help="name in config/variations or a YAML file")
    parser.add_argument("--scratch", action="store_true", help="also train a fresh network on the same new data")
    add_shared_arguments(parser)


def add_shared_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of `adapt` and `lineage`."""
    parser.add_argument(
        "--policy", default="models/base", help="checkpoint folder of the base policy, with its replay.bin"
    )
    parser.add_argument("--robot", default="sim", help="robot profile: name or YAML file")
    parser.add_argument("--grasps", type=int, default=400, help="exploring grasps to learn from")
    parser.add_argument("--config", type=Path, help="YAML of AdaptConfig: how long to fine-tune, and how")
    parser.add_argument("--episodes", type=int, default=300, help="grasps of each evaluation")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2, help="parallel simulations")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoints and the result as JSON")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")


def run(args: argparse.Namespace) -> int:
    config = from_yaml(AdaptConfig, args.config) if args.config else AdaptConfig()
    result = adapt(
        args.policy, args.variation, args.grasps, args.out, args.seed, config, args.episodes, args.robot,
        args.processes, args.scratch,
    )  # fmt: skip
    for name, key in (
        ("before", "before"),
        ("after", "after"),
        ("base task before", "base_before"),
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
