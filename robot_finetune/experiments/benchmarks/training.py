"""Updates a second of FineTuner.update (compact network): sampling from two replays, targets, augmentation and step.

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

from robot_finetune.data.replay_buffer import Batch, ReplayBuffer
from robot_finetune.experiments.benchmarks._synthetic import fill
from robot_finetune.experiments.benchmarks._timing import Timing, interleave, medians_ms, timing_command
from robot_finetune.learning.augmentation import augment
from robot_finetune.learning.bellman import BFLOAT16, QLearner, mixed_batch, select, unseen
from robot_finetune.learning.cem import move_actions
from robot_finetune.learning.checkpoint import Checkpoint
from robot_finetune.learning.finetuner import FineTuner
from robot_finetune.learning.networks.build import build_network
from robot_finetune.learning.networks.interface import NetworkConfig, State
from robot_finetune.robot.profile import load_robot

TARGET = 1.25
BATCHES = 8
"""Prepared batches that the bare loop takes in turn: they differ in how many of their steps end an episode."""


@dataclass(frozen=True)
class Prepared:
    """A batch as tensors. following: the n states that targets bootstrap from. candidates: (n, N, 8) an iteration of
    CEM, and (n, 1, 8) for the second target network."""

    state: State
    action: Tensor
    target: Tensor
    mount: Tensor
    error: Tensor
    following: State
    candidates: list[Tensor]

    @staticmethod
    def of(batch: Batch, learner: QLearner) -> Prepared:
        going = np.flatnonzero(batch.discount > 0)
        cem = learner.config.target_cem
        counts = [cem.samples + 1, *[cem.samples] * (cem.iterations - 1), 1]
        return Prepared(
            select(batch),
            torch.from_numpy(batch.action)[:, None],
            learner.targets(batch),
            torch.from_numpy(batch.mount),
            torch.from_numpy(batch.error),
            State(*(tensor[going] for tensor in select(batch, "next_"))),
            [move_actions(torch.randn(len(going), count, 4), learner.max_yaw) for count in counts],
        )


def bare_update(learner: QLearner, batch: Prepared) -> None:
    """The network's part of QLearner.update."""
    config, network = learner.config, learner.network
    precision = torch.autocast("cpu", torch.bfloat16, enabled=BFLOAT16)
    with torch.no_grad(), precision:
        features = learner.target.encode(batch.following)
        for candidates in batch.candidates[:-1]:
            learner.target.q(features, candidates)
        learner.lagged.q(learner.lagged.encode(batch.following), batch.candidates[-1])
    with precision:
        features = network.encode(batch.state)
        logit = network.q(features, batch.action)[:, 0].float()
    loss = F.binary_cross_entropy_with_logits(logit, batch.target)
    loss = loss + config.see_gripper * unseen(features.shift, batch.mount, batch.error)
    learner.optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), config.gradient_clip)
    learner.optimiser.step()
    learner.updates += 1
    learner._follow()


def run(timing: Timing, transitions: int) -> dict[str, Any]:
    """Print the time of each part, updates a second, and the ratio."""
    transitions, rounds = (500, 5) if timing.quick else (transitions, 150)
    profile = load_robot("sim")
    with TemporaryDirectory(prefix="benchmark-") as folder:
        base, new = (ReplayBuffer(Path(folder) / name, transitions) for name in ("base", "new"))
        for buffer in (base, new):
            fill(buffer, transitions)
        network = build_network(NetworkConfig())
        tuner, other = (FineTuner(Checkpoint(network), base, new, profile) for _ in range(2))
        config = tuner.config
        half = config.batch_size // 2
        counts = [(base, config.batch_size - half), (new, half)]
        rng = np.random.default_rng(0)
        prepared = [Prepared.of(mixed_batch(counts, config.bellman, rng), other.learner) for _ in range(BATCHES)]
        turns = cycle(prepared)
        image = prepared[0].state.image
        variants = {
            "update": tuner.update,
            "bare": lambda: bare_update(other.learner, next(turns)),
            "sampling": lambda: mixed_batch(counts, config.bellman, rng),
            "augmentation": lambda: augment(image, config.bellman.augmentation, other.learner.generator),
        }
        times = medians_ms(interleave(variants, rounds, timing.clock))
    ratio = times["update"] / times["bare"]
    for name, time in times.items():
        print(f"{name:>14}: {time:8.2f} ms, {1000 / time:7.1f} a second")
    print(f"{'update / bare':>14}: {ratio:8.2f} (target: at most {TARGET})")
    bootstrapped = float(np.mean([len(batch.following.step) for batch in prepared]))
    print(f"batches of {config.batch_size}, {bootstrapped:.0f} of them bootstrapped; bfloat16: {BFLOAT16}")
    return {
        **{f"{name}_ms": time for name, time in times.items()},
        "updates_per_second": 1000 / times["update"],
        "update_over_bare": ratio,
        "target": TARGET,
        "batch_size": config.batch_size,
        "bootstrapped": bootstrapped,
        "transitions": 2 * transitions,
        "bfloat16": BFLOAT16,
        "rounds": rounds,
    }


command = timing_command(
    run,
    __doc__,
    click.option("--transitions", type=click.IntRange(100), default=20_000, help="In each of the two replays."),
)
