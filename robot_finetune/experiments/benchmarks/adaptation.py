"""The paper's experiment: each variation, N exploring grasps of the frozen base policy, several seeds; resumable.

Every cell of the table is one file in --work: a run that was stopped goes on where it was. The results are written to
--out as JSON, a Markdown table beside the paper's numbers, and a plot. --quick: 20 minutes on two cores. --unseen: the
variations in the folder unseen, on which nothing was tuned. Each kind has a folder and a result of its own.
"""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import click
import torch

from robot_finetune.config import SHARE, load_json, policy_folder, to_mapping
from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.data.replay_file import copy_oldest
from robot_finetune.experiments.adaptation import AdaptConfig, explore, fine_tune, from_scratch, save_tuned
from robot_finetune.experiments.benchmarks import _options
from robot_finetune.experiments.benchmarks._adaptation_report import write_report
from robot_finetune.experiments.benchmarks._jobs import claim, one_at_a_time, resumable, work_off, write_text
from robot_finetune.experiments.evaluate import evaluate
from robot_finetune.experiments.lineage import ORDER, lineage
from robot_finetune.experiments.pool import open_workers
from robot_finetune.experiments.workers import Workers
from robot_finetune.files import to_json
from robot_finetune.learning.checkpoint import load_checkpoint
from robot_finetune.learning.finetuner import FineTuner
from robot_finetune.robot.profile import load_robot

VARIATIONS = (
    "checkerboard_backing", "harsh_lighting", "extend_gripper_1cm", "offset_gripper_10cm", "offset_gripper_3cm",
    "transparent_bottles",
)  # fmt: skip
SEED = 7000  # of the first exploration; nothing was tuned on explorations and evaluations of these seeds
EVALUATION_SEED = 60


@dataclass(frozen=True)
class Job:
    """What is done in one go, for all numbers of grasps. kind: base, adapt, scratch, imagenet or lineage."""

    kind: str
    variation: str
    seed: int

    @property
    def name(self) -> str:
        """The variation without the folder and suffix of its file."""
        return Path(self.variation).stem


@dataclass(frozen=True)
class Plan:
    """The whole benchmark. baselines: seeds that have a lineage, scratch and ImageNet."""

    policy: str
    work: Path
    grasps: tuple[int, ...]
    seeds: int
    episodes: int
    variations: tuple[str, ...]
    baselines: int
    config: AdaptConfig = AdaptConfig()
    seed: int = SEED
    evaluation_seed: int = EVALUATION_SEED
    explored: Path | None = None
    zero_shot: bool = True

    def jobs(self) -> Iterator[Job]:
        """Seed by seed, so that a stopped run has whole seeds."""
        for variation in dict.fromkeys(("base", *self.variations)) if self.zero_shot else ():
            yield Job("base", variation, 0)
        for seed in range(self.seeds):
            for variation in self.variations:
                yield Job("adapt", variation, seed)
            if seed < self.baselines:
                yield Job("lineage", "all", seed)
                for variation in self.variations:
                    yield Job("scratch", variation, seed)
                    yield Job("imagenet", variation, seed)

    def path(self, job: Job, grasps: int) -> Path:
        """File of one result."""
        return self.work / "cells" / f"{job.kind}-{job.name}-{grasps}-{job.seed}.json"

    def results(self, job: Job) -> list[Path]:
        """What a job leaves in the table."""
        grasps = {"base": (0,), "adapt": self.grasps}.get(job.kind, (max(self.grasps),))
        return [self.path(job, count) for count in grasps]


def run(plan: Plan, workers: Workers) -> dict[str, Any]:
    """Do all that is missing in the plan's folder; returns what there is then.

    Raises ConfigError if the folder holds results of another policy or other settings.
    """
    mine = {"policy": load_checkpoint(plan.policy).sha256, "config": to_mapping(plan.config), "episodes": plan.episodes}
    claim(plan.work, mine | {"seeds": [plan.seed, plan.evaluation_seed]})
    work_off(work, plan, list(plan.jobs()), workers)
    return collect(plan)


def work(plan: Plan, job: Job) -> Job:
    """Do what is missing of a job, in this process alone."""
    torch.set_num_threads(1)
    {"base": _base, "adapt": _adapt, "scratch": _fresh, "imagenet": _fresh, "lineage": _lineage}[job.kind](plan, job)
    return job


def _base(plan: Plan, job: Job) -> None:
    if not plan.path(job, 0).is_file():
        _keep(plan, job, 0, {"after": _evaluate(plan, plan.policy, job.variation)})


def _adapt(plan: Plan, job: Job) -> None:
    missing = [grasps for grasps in plan.grasps if not plan.path(job, grasps).is_file()]
    profile = load_robot()
    for grasps in missing:
        start = time.monotonic()
        tuner = fine_tune(Path(plan.policy), _explored(plan, job, grasps), profile, plan.config, job.seed)
        _keep(plan, job, grasps, _measured(plan, job, grasps, tuner, start) | {"updates": tuner.updates})


def _fresh(plan: Plan, job: Job) -> None:
    """A network that starts from nothing, or from features of ImageNet, on the largest number of grasps."""
    grasps, start = max(plan.grasps), time.monotonic()
    if plan.path(job, grasps).is_file():
        return
    shape = load_checkpoint(plan.policy).network.config
    if job.kind == "imagenet":
        shape = replace(shape, stem="imagenet")
    new = _explored(plan, job, grasps)
    tuner = from_scratch(shape, new, load_robot(), plan.config, job.seed, plan.config.updates(grasps))
    _keep(plan, job, grasps, _measured(plan, job, grasps, tuner, start))


def _lineage(plan: Plan, job: Job) -> None:
    grasps = max(plan.grasps)
    if not plan.path(job, grasps).is_file():
        out = plan.work / f"lineage-{job.seed}"
        result = lineage(plan.policy, ORDER, grasps, out, plan.seed + job.seed, plan.config, plan.episodes)
        _keep(plan, job, grasps, result)


def _explored(plan: Plan, job: Job, grasps: int) -> ReplayBuffer:
    """The first `grasps` exploring grasps of the base policy under the job's variation and seed."""
    folder = (plan.explored or plan.work / "explored") / f"{job.name}-{job.seed}"
    return explored(plan.policy, folder, job.variation, plan.seed + job.seed, grasps, max(plan.grasps))


def explored(policy: str, folder: Path, variation: str, seed: int, grasps: int, most: int) -> ReplayBuffer:
    """The first `grasps` exploring grasps of a policy, which are kept in a folder that has room for `most`."""
    shape = load_checkpoint(policy).network.config
    rows = most * shape.max_steps
    first = ReplayBuffer(None, rows, shape.image_size)
    with one_at_a_time(folder.with_name(f"{folder.name}.lock")):
        everything = ReplayBuffer(folder, rows, shape.image_size)
        if everything.episodes < grasps:
            explore(policy, variation, grasps - everything.episodes, seed, everything)
        copy_oldest(everything, first, grasps)
    return first


def _measured(plan: Plan, job: Job, grasps: int, tuner: FineTuner, start: float) -> dict[str, Any]:
    folder = plan.work / "versions" / f"{job.kind}-{job.name}-{grasps}-{job.seed}"
    save_tuned(tuner, folder, 1, {"variation": job.name, "grasps": grasps, "seed": job.seed})
    seconds = time.monotonic() - start
    after, base = (_evaluate(plan, str(folder), variation) for variation in (job.variation, "base"))
    return {"after": after, "base_after": base, "seconds": seconds}


def _evaluate(plan: Plan, policy: str, variation: str) -> dict[str, Any]:
    return evaluate(policy, variation, plan.episodes, plan.evaluation_seed)


def _keep(plan: Plan, job: Job, grasps: int, result: dict[str, Any]) -> None:
    write_text(plan.path(job, grasps), to_json(asdict(job) | {"variation": job.name, "grasps": grasps} | result))


def collect(plan: Plan) -> dict[str, Any]:
    """All results so far, with what they were made by."""
    cells = [load_json(path) for path in sorted((plan.work / "cells").glob("*.json"))]
    seeds = {"seeds": plan.seeds, "baselines": plan.baselines, "first": plan.seed, "evaluation": plan.evaluation_seed}
    settings = {"episodes": plan.episodes, **seeds, "config": to_mapping(plan.config)}
    return {"made_by": made_by(plan.policy), "settings": settings, "cells": cells}


def made_by(policy: str) -> dict[str, str]:
    """The hash of a policy, the commit and the machine that results are of."""
    return {"sha256": load_checkpoint(policy).sha256, "commit": _commit(), "machine": _machine()}


def _commit() -> str:
    found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=SHARE, capture_output=True, text=True, check=False)
    return found.stdout.strip()


def _machine() -> str:
    """Processor, number of processors and torch."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} processors, torch {torch.__version__}"


@click.command(help=(__doc__ or "").split("\n\n")[0])
@_options.POLICY_WITH_REPLAY
@click.option("--grasps", default="25,50,100,200,400,800", help="Exploring grasps to learn from, with commas.")
@click.option("--variations", default=",".join(VARIATIONS), help=_options.VARIATIONS)
@click.option("--seeds", type=click.IntRange(1), default=3, help=_options.REPETITIONS)
@click.option("--episodes", type=click.IntRange(1), default=300, help="Grasps of each evaluation.")
@click.option("--baselines", type=click.IntRange(0), default=3, help="Seeds that have a lineage, scratch and ImageNet.")
@click.option("--quick", is_flag=True, help="One seed, 50 and 200 grasps, 100 episodes, no baselines.")
@click.option("--unseen", is_flag=True, help="The variations on which nothing was tuned.")
@resumable("adaptation")
def command(
    policy: str, grasps: str, variations: str, seeds: int, episodes: int, baselines: int, quick: bool, unseen: bool,
    processes: int, ray: str, work: Path, out: Path, as_json: bool,
) -> None:  # fmt: skip
    if quick:
        grasps, seeds, episodes, baselines = "50,200", 1, 100, 0
    if unseen:
        variations = ",".join(map(str, sorted((Path(__file__).parent / "unseen").glob("*.yaml"))))
        baselines = 0
    kind = "_unseen" * unseen + "_quick" * quick
    work, out = (path.with_name(path.name + kind) for path in (work, out))
    plan = Plan(
        str(policy_folder(policy)), work, numbers(grasps), seeds, episodes, tuple(variations.split(",")), baselines
    )
    with open_workers(processes, ray, apart=True) as workers:
        result = run(plan, workers)
    write_report(result, out)
    if as_json:
        print(to_json(result))


def numbers(words: str) -> tuple[int, ...]:
    """Positive numbers with commas between them. Raises click.BadParameter."""
    found = words.split(",")
    if not all(word.strip().isdigit() and int(word) for word in found):
        raise click.BadParameter(f"{words!r}: give numbers from 1 on, with commas.", param_hint="--grasps")
    return tuple(map(int, found))
