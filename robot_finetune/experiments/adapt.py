"""The paper's experiment on one variation: explore, fine-tune, evaluate."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.experiments.adaptation import AdaptConfig, explore, fine_tune, from_scratch, save_tuned
from robot_finetune.experiments.evaluate import evaluate
from robot_finetune.experiments.workers import HERE, Workers
from robot_finetune.learning.checkpoint import load_checkpoint
from robot_finetune.learning.device import prepare_device
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
    workers: Workers = HERE,
    scratch: bool = False,
    device: str = "cpu",
) -> dict[str, Any]:
    """Explore with the frozen policy, fine-tune it and evaluate; writes the checkpoint to `out`.

    scratch: also train a fresh network on the same new data. device: see `learning.device.choose`. Returns the JSON
    object of the command. Raises CheckpointError, ConfigError, ReplayError.
    """
    start = time.monotonic()
    learns_on = prepare_device(device)
    base, profile, tuned = load_checkpoint(policy), load_robot(robot), str(out / "checkpoint")
    network = base.network.config
    new = ReplayBuffer(None, capacity=grasps * network.max_steps + 1, image_size=network.image_size)
    explore(policy, variation, grasps, seed, new, robot, workers, device)
    tuner = fine_tune(Path(policy), new, profile, config, seed, learns_on)
    meta = {"variation": load_variation(variation).name, "grasps": grasps, "seed": seed}
    version = save_tuned(tuner, Path(tuned), base.version, meta)
    result: dict[str, Any] = dict(meta)
    for key, which, where in (
        ("before", policy, variation),
        ("after", tuned, variation),
        ("base_before", policy, "base"),
        ("base_after", tuned, "base"),
    ):
        result[key] = evaluate(which, where, episodes, seed, robot, workers, device=device)
    if scratch:
        fresh = from_scratch(network, new, profile, config, seed, tuner.updates, learns_on)
        save_tuned(fresh, out / "scratch", 0, meta)
        which = str(out / "scratch")
        result["scratch"] = evaluate(which, variation, episodes, seed, robot, workers, device=device)
    return result | {"updates": tuner.updates, "promoted_version": version, "seconds": time.monotonic() - start}
