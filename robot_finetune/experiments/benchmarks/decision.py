"""From an image to an action: QPolicy.act with the default CEM, for both networks, by the image alone.

Beside it, in the same run: the decision by the image and its mirror image (the default), the bare network (one encoding
and the heads of the same numbers of candidates, nothing else of CEM or the policy), and the whole network evaluated
anew for each candidate, as if the image were not encoded once. Weights are fresh, times do not depend on them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor

from robot_finetune.experiments.benchmarks._timing import (
    CONFIGS,
    DEVICE,
    Timing,
    interleave,
    medians_ms,
    timing_command,
)
from robot_finetune.learning.cem import move_actions
from robot_finetune.learning.checkpoint import Checkpoint
from robot_finetune.learning.device import choose, describe
from robot_finetune.learning.networks.build import build_network
from robot_finetune.learning.networks.interface import QNetwork, State, state_tensors, to_device
from robot_finetune.learning.q_policy import PolicyConfig, QPolicy
from robot_finetune.robot.profile import load_robot
from robot_finetune.types import Observation

ROUNDS = {"compact": 300, "grasping44": 15}
TIMES, WIDTHS = ("act", "mirror", "bare", "whole"), (10, 10, 10, 11, 12, 14, 13)
QUICK_ROUNDS = {"compact": 20, "grasping44": 1}
WHOLE = {"compact": 193, "grasping44": 4}
"""Candidates for which the whole network is timed; the time of all of them is this in proportion."""
TARGET, TARGET_MIRROR = 1.3, 2.0


def compare(name: str, rounds: int, clock: Callable[[], float], device: torch.device) -> dict[str, float]:
    """Medians [ms] of act, mirror, bare and whole, and their ratios, for the network `name` on `device`."""
    network, profile = build_network(CONFIGS[name]).eval().to(device), load_robot("sim")
    one, both = (QPolicy(Checkpoint(network), profile, PolicyConfig(mirror=mirror)) for mirror in (False, True))
    size, rng = network.config.image_size, np.random.default_rng(0)
    image = rng.integers(0, 256, (size, size, 3), dtype=np.uint8)
    observation = Observation(image, np.array(profile.start_pose), 1.0, 0)
    state = state_tensors(image[None], observation.pose[None], np.ones(1), np.zeros(1)).to(device)
    cem = one.config.cem
    counts = [cem.samples + 1, *[cem.samples] * (cem.iterations - 1)]  # closing is one more in the first iteration
    params = (torch.from_numpy(rng.uniform(-1, 1, (1, count, 4)).astype(np.float32)) for count in counts)
    candidates = [move_actions(to_device(some, device), 0.8) for some in params]
    some = torch.cat(candidates, 1)[:, : WHOLE[name]]
    compared: dict[str, Callable[[], Any]] = {
        "act": lambda: one.act(observation),
        "mirror": lambda: both.act(observation),
        "bare": lambda: bare(network, state, candidates),
    }
    times = medians_ms(interleave(compared, rounds, clock))
    # apart from the others: its large maps leave nothing of theirs in the processor's caches
    alone = {"whole": lambda: whole(network, state, some)}
    times |= medians_ms(interleave(alone, -(-rounds // 10), clock, warm_up=1))
    times["whole"] *= sum(counts) / some.shape[1]
    return {
        **{f"{variant}_ms": time for variant, time in times.items()},
        "candidates": sum(counts),
        "whole_measured_on": some.shape[1],
        "act_over_bare": times["act"] / times["bare"],
        "mirror_over_act": times["mirror"] / times["act"],
        "whole_over_act": times["whole"] / times["act"],
        "rounds": rounds,
    }


@torch.inference_mode()
def bare(network: QNetwork, state: State, candidates: list[Tensor]) -> None:
    """Encode the image once, then the heads of each iteration's candidates (1, N, 8)."""
    features = network.encode(state)
    for batch in candidates:
        network.q(features, batch)


@torch.inference_mode()
def whole(network: QNetwork, state: State, candidates: Tensor) -> None:
    """The whole network for each of the candidates (1, N, 8), in one batch."""
    count = candidates.shape[1]
    states = State(*(tensor.expand(count, *tensor.shape[1:]) for tensor in state))
    network.q(network.encode(states), candidates.transpose(0, 1))


def run(timing: Timing, networks: str, device: str) -> dict[str, Any]:
    """Print a row a network."""
    where = choose(device)
    print(f"on {describe(where)}")
    ratios = ("act / bare", "mirror / act", "whole / act")
    columns = "".join(f"{name:>{width}}" for name, width in zip(TIMES + ratios, WIDTHS, strict=True))
    print(f"{'network':12}{columns}   (medians, ms)")
    result = {}
    for name in networks.split(","):
        if name not in CONFIGS:
            raise click.BadParameter(f"{name!r} is not one of {', '.join(CONFIGS)}.", param_hint="--networks")
        row = compare(name, (QUICK_ROUNDS if timing.quick else ROUNDS)[name], timing.on(where), where)
        result[name] = row
        keys = (*(f"{time}_ms" for time in TIMES), *(ratio.replace(" / ", "_over_") for ratio in ratios))
        print(
            f"{name:12}" + "".join(f"{row[key]:>{width}.2f}" for key, width in zip(keys, WIDTHS, strict=True)),
            flush=True,
        )
        if row["whole_measured_on"] < row["candidates"]:
            shown = f"{row['whole_measured_on']} of {row['candidates']}"
            print(f"{'':12}whole: measured on {shown} candidates, the rest in proportion")
    print(f"target: act at most {TARGET} x bare, mirror at most {TARGET_MIRROR} x act for compact")
    return {"target": TARGET, "target_mirror": TARGET_MIRROR, "device": describe(where), **result}


command = timing_command(
    run,
    __doc__,
    click.option("--networks", default=",".join(CONFIGS), help="What to time, with commas."),
    DEVICE,
)
