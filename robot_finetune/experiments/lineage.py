"""Continual learning, one variation after the other in a single lineage ("Never Stop
Learning", section 5). Each step starts from the policy that the one before ended with."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from robot_finetune.data.layout import REPLAY
from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.data.replay_file import copy_newest, pack
from robot_finetune.experiments.adaptation import AdaptConfig, base_replay, explore, fine_tune, save_tuned
from robot_finetune.experiments.evaluate import evaluate
from robot_finetune.experiments.workers import HERE, Workers
from robot_finetune.learning.checkpoint import load_checkpoint
from robot_finetune.learning.device import prepare_device
from robot_finetune.robot.profile import load_robot
from robot_finetune.sim.variations import load_variation

ORDER = ("harsh_lighting", "transparent_bottles", "checkerboard_backing", "extend_gripper_1cm", "offset_gripper_10cm")
"""That of the paper."""


def lineage(
    policy: str,
    variations: tuple[str, ...],
    grasps: int,
    out: Path,
    seed: int = 0,
    config: AdaptConfig = AdaptConfig(),
    episodes: int = 300,
    robot: str = "sim",
    workers: Workers = HERE,
    device: str = "cpu",
) -> dict[str, Any]:
    """Fine-tune on each variation in turn; after each step, evaluate on base and on all variations so far.

    Each step rehearses the replay that the first policy has, and what earlier steps learned from, as the trainer does
    with earlier sessions (`FineTuneConfig.earlier_fraction`); all of it lies beside its version. Returns {variations,
    grasps, seed, steps: [{variation, before, after, earlier: {name: result}}]}, where results are those of `evaluate`.
    device: see `learning.device.choose`. Raises CheckpointError, ConfigError, ReplayError.
    """
    learns_on, measured = prepare_device(device), partial(evaluate, device=device)
    profile, current = load_robot(robot), Path(policy)
    base = base_replay(current)
    earlier_grasps = ReplayBuffer(None, 1, base.image_size)
    steps = []
    for number, variation in enumerate(variations):
        checkpoint = load_checkpoint(current)
        network, name = checkpoint.network.config, load_variation(variation).name
        new = ReplayBuffer(None, grasps * network.max_steps + 1, network.image_size)
        explore(str(current), variation, grasps, seed, new, robot, workers, device)
        tuner = fine_tune(current, new, profile, config, seed, learns_on, base, earlier_grasps)
        folder = out / f"{number + 1}-{name}"
        save_tuned(tuner, folder, checkpoint.version, {"variation": name, "grasps": grasps, "seed": seed})
        earlier_grasps = _together(earlier_grasps, new, tuner.mount)
        pack(_together(base, earlier_grasps), folder / REPLAY)
        before, after = (measured(str(which), variation, episodes, seed, robot, workers) for which in (current, folder))
        earlier = {
            load_variation(one).name: measured(str(folder), one, episodes, seed, robot, workers)
            for one in ("base", *variations[:number])
        }
        steps.append({"variation": name, "before": before, "after": after, "earlier": earlier})
        print(f"{name}: {before['success_rate']:.1%} -> {after['success_rate']:.1%}", flush=True)
        current = folder
    return {"variations": list(variations), "grasps": grasps, "seed": seed, "steps": steps}


def _together(old: ReplayBuffer, new: ReplayBuffer, mount: np.ndarray | None = None) -> ReplayBuffer:
    """Both buffers as one; `mount` is where the gripper was in the new one, where it is not known yet."""
    both = ReplayBuffer(None, len(old) + len(new), old.image_size)
    copy_newest(old, both, old.episodes)
    copy_newest(new, both, new.episodes, mount)
    return both
