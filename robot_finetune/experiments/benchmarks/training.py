"""Updates a second of FineTuner.update: sampling from two replays, targets, augmentation and step.

Beside it, in the same run: a bare loop that does the same network work on tensors that are in memory already. It
evaluates as many candidates as CEM does for the target, takes the gradient step with the same optimiser and moves the
averaged network; it does not sample, select, augment or search. The rest shows where the difference goes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.data.transitions import Batch
from robot_finetune.experiments.benchmarks._synthetic import fill
from robot_finetune.experiments.benchmarks._timing import (
    CONFIGS,
    DEVICE,
    Timing,
    interleave,
    medians_ms,
    timing_command,
)
from robot_finetune.learning.augmentation import augment
from robot_finetune.learning.batches import TensorBatch
from robot_finetune.learning.bellman import QLearner, mixed_batch
from robot_finetune.learning.cem import move_actions
from robot_finetune.learning.checkpoint import Checkpoint
from robot_finetune.learning.device import choose, describe, has_bfloat16, mixed_precision
from robot_finetune.learning.finetuner import FineTuneConfig, FineTuner
from robot_finetune.learning.networks.build import build_network
from robot_finetune.robot.profile import load_robot

TARGET = 1.25
IMAGE_BYTES = 20_000 * 64 * 64 * 3
"""Of each replay at most: large images are fewer."""
BATCHES = 8
"""Prepared batches that the bare loop takes in turn: they differ in how many of their steps end an episode."""


@dataclass(frozen=True)
class Prepared:
    """A batch on the device. candidates: (n, N, 8) an iteration of CEM, for the n states that targets bootstrap from,
    and (n, 1, 8) for the second target network."""

    batch: TensorBatch
    target: Tensor
    candidates: list[Tensor]

    @staticmethod
    def of(batch: Batch, learner: QLearner) -> Prepared:
        tensors = TensorBatch.of(batch).to(learner.device)
        going, cem = len(tensors.going), learner.config.target_cem
        counts = [cem.samples + 1, *[cem.samples] * (cem.iterations - 1), 1]
        return Prepared(
            tensors,
            learner.targets(tensors),
            [move_actions(torch.randn(going, count, 4).to(learner.device), learner.max_yaw) for count in counts],
        )


def bare_update(learner: QLearner, prepared: Prepared) -> None:
    """The network's part of QLearner.update."""
    config, network, batch = learner.config, learner.network, prepared.batch
    precision = mixed_precision(learner.device)
    with torch.no_grad(), precision:
        features = learner.target.encode(batch.following)
        for candidates in prepared.candidates[:-1]:
            learner.target.q(features, candidates)
        learner.lagged.q(learner.lagged.encode(batch.following), prepared.candidates[-1])
    with precision:
        features = network.encode(batch.state)
        logit = network.q(features, batch.action)[:, 0].float()
    loss = F.binary_cross_entropy_with_logits(logit, prepared.target)
    loss = loss + config.see_gripper * network.unseen(features, batch.mount - batch.error, learner.generator)
    learner.optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), config.gradient_clip)
    learner.optimiser.step()
    learner.updates += 1
    learner._follow()


def run(timing: Timing, transitions: int, network: str, batch_size: int, device: str) -> dict[str, Any]:
    """Print the time of each part, updates a second, and the ratio."""
    where, shape, profile = choose(device), CONFIGS[network], load_robot("sim")
    bfloat16, config = has_bfloat16(where), FineTuneConfig(batch_size=batch_size)
    transitions, rounds = (500, 5) if timing.quick else (transitions, 150)
    transitions = min(transitions, IMAGE_BYTES // (3 * shape.image_size**2))
    with TemporaryDirectory(prefix="benchmark-") as folder:
        base, new = (ReplayBuffer(Path(folder) / name, transitions, shape.image_size) for name in ("base", "new"))
        for buffer in (base, new):
            fill(buffer, transitions)
        start = Checkpoint(build_network(shape).to(where))
        tuner, other = (FineTuner(start, base, new, profile, config) for _ in range(2))
        half = config.batch_size // 2
        counts = [(base, config.batch_size - half), (new, half)]
        rng = np.random.default_rng(0)
        prepared = [Prepared.of(mixed_batch(counts, config.bellman, rng), other.learner) for _ in range(BATCHES)]
        turns = cycle(prepared)
        image = prepared[0].batch.state.image
        variants = {
            "update": tuner.update,
            "bare": lambda: bare_update(other.learner, next(turns)),
            "drawing": lambda: other._draw(rng),
            "augmentation": lambda: augment(image, config.bellman.augmentation, other.learner.generator),
        }
        times = medians_ms(interleave(variants, rounds, timing.on(where)))
    ratio = times["update"] / times["bare"]
    for name, time in times.items():
        print(f"{name:>14}: {time:8.2f} ms, {1000 / time:7.1f} a second")
    print(f"{'update / bare':>14}: {ratio:8.2f} (target: at most {TARGET})")
    bootstrapped = float(np.mean([len(one.batch.going) for one in prepared]))
    print(f"{network} on {describe(where)}; bfloat16: {bfloat16}")
    print(f"batches of {config.batch_size}, {bootstrapped:.0f} of them bootstrapped")
    return {
        **{f"{name}_ms": time for name, time in times.items()},
        "updates_per_second": 1000 / times["update"],
        "update_over_bare": ratio,
        "target": TARGET,
        "network": network,
        "device": describe(where),
        "batch_size": config.batch_size,
        "bootstrapped": bootstrapped,
        "transitions": 2 * transitions,
        "bfloat16": bfloat16,
        "rounds": rounds,
    }


command = timing_command(
    run,
    __doc__,
    click.option("--transitions", type=click.IntRange(100), default=20_000, help="In each of the two replays."),
    click.option("--network", type=click.Choice(list(CONFIGS)), default="compact", help="What is trained."),
    click.option("--batch-size", type=click.IntRange(2, 4096), default=64, help="Transitions a gradient step."),
    DEVICE,
)
