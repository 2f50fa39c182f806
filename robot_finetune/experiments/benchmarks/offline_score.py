"""Which offline score foretells what a version grasps, and whom it would keep from the robot.

Versions are made well and badly on purpose from the same exploring grasps: trained too little, 10 and 50 times too
long, with 30 times the learning rate, with wrong labels. Each is scored on grasps that were not learned from, and
measured. Every version is one file in --work: a run that was stopped goes on where it was. A good version takes the
gradient steps of `AdaptConfig.updates`, or with --quick the fewest; the whole is some 500,000 of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from robot_finetune.config import load_json, policy_folder
from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.data.replay_file import copy_newest, copy_oldest, episodes_of, pack, unpack
from robot_finetune.experiments.adaptation import AdaptConfig, base_replay, explore, save_tuned, train
from robot_finetune.experiments.benchmarks import _options
from robot_finetune.experiments.benchmarks._jobs import (
    KindJob,
    claim,
    publish,
    quick_paths,
    resumable,
    work_off,
    write_text,
)
from robot_finetune.experiments.benchmarks._offline_score_report import BASE, MORE, SHARE, markdown, summarise
from robot_finetune.experiments.benchmarks.ablation import VARIATIONS, recipe
from robot_finetune.experiments.benchmarks.adaptation import made_by
from robot_finetune.experiments.evaluate import evaluate
from robot_finetune.experiments.gated_session import Spoiling
from robot_finetune.experiments.pool import open_workers
from robot_finetune.experiments.workers import Workers
from robot_finetune.files import to_json
from robot_finetune.learning.checkpoint import load_checkpoint
from robot_finetune.learning.finetuner import FINE_TUNE_BELLMAN, FineTuner
from robot_finetune.learning.held_out import HeldOut, split
from robot_finetune.learning.trainer import TrainerConfig
from robot_finetune.robot.profile import load_robot

FIRST, EXPLORED = "first policy", "explored"
"""Kinds of jobs that make no version."""
KINDS: dict[str, tuple[float, Spoiling]] = {
    "good": (1.0, Spoiling()),
    "under-trained": (1 / 8, Spoiling()),
    "over-trained 10 times": (10.0, Spoiling()),
    "over-trained 50 times": (50.0, Spoiling()),
    "learning rate x 30": (1.0, Spoiling(rate=30.0)),
    "30 % of labels flipped": (1.0, Spoiling(flipped=0.3)),
}
"""Times the gradient steps of a good version, and what is wrong with the training."""
MORE_GRASPS = 200
"""Exploring grasps that nothing learns from and that no session would have to spare."""
SEED, EVALUATION_SEED = 600, 85


class Job(KindJob):
    """One version, the first policy's measurement, or the exploring grasps of a variation and seed."""


@dataclass(frozen=True)
class Plan:
    """The whole benchmark. updates: gradient steps of a good version. hold_out: share of the exploring grasps, and of
    the base replay, that is not learned from."""

    policy: str
    work: Path
    variations: tuple[str, ...]
    seeds: int
    grasps: int
    episodes: int
    updates: int
    hold_out: float

    def jobs(self) -> Iterator[Job]:
        """Seed by seed, so that a stopped run has whole seeds."""
        for variation in self.variations:
            yield Job(FIRST, variation)
        for seed in range(self.seeds):
            for variation in self.variations:
                yield from (Job(kind, variation, seed) for kind in KINDS)

    def path(self, job: Job) -> Path:
        """File of its result."""
        return self.work / "cells" / f"{job.name}.json"

    def grasps_of(self, job: Job) -> Path:
        """File of the exploring grasps of its variation and seed."""
        return self.work / EXPLORED / f"{Path(job.variation).stem}-{job.seed}.bin"

    def results(self, job: Job) -> list[Path]:
        """What a job leaves; a version begins with the exploring grasps."""
        made = [] if job.kind == EXPLORED else [self.path(job)]
        return made if job.kind == FIRST else [self.grasps_of(job), *made]


def run(plan: Plan, workers: Workers) -> list[dict[str, Any]]:
    """Do all that is missing in the plan's folder; returns what there is then.

    Raises ConfigError if the folder holds results of another policy or other settings.
    """
    settings = {"grasps": plan.grasps, "episodes": plan.episodes, "updates": plan.updates, "hold_out": plan.hold_out}
    claim(plan.work, {"policy": load_checkpoint(plan.policy).sha256, **settings})
    explorations = [Job(EXPLORED, variation, seed) for seed in range(plan.seeds) for variation in plan.variations]
    work_off(explored, plan, explorations, workers)
    jobs = list(plan.jobs())
    work_off(work, plan, jobs, workers)
    return [load_json(plan.path(job)) for job in jobs]


def explored(plan: Plan, job: Job) -> Job:
    """Make the exploring grasps of a variation and seed if they are missing, in this process alone."""
    torch.set_num_threads(1)
    path = plan.grasps_of(job)
    if not path.is_file():
        shape, wanted = load_checkpoint(plan.policy).network.config, plan.grasps + MORE_GRASPS
        grasps = ReplayBuffer(None, wanted * shape.max_steps, shape.image_size)
        explore(plan.policy, job.variation, wanted, SEED + job.seed, grasps)
        path.parent.mkdir(parents=True, exist_ok=True)
        pack(grasps, path)
    return job


def work(plan: Plan, job: Job) -> Job:
    """Do a job if its result is missing, in this process alone."""
    torch.set_num_threads(1)
    path = plan.path(job)
    if not path.is_file():
        found = {"result": _evaluate(plan, plan.policy, job)} if job.kind == FIRST else _version(plan, job)
        write_text(path, to_json(asdict(job) | found))
    return job


def _version(plan: Plan, job: Job) -> dict[str, Any]:
    """Fine-tune, score and measure a version.

    Held-out grasps are as wrongly labelled as the others: a robot that misjudges its grasps misjudges those, too.
    """
    times, spoiling = KINDS[job.kind]
    everything = flipped(unpack(plan.grasps_of(job)), spoiling.flipped, np.random.default_rng(job.seed))
    new, more = (ReplayBuffer(None, len(everything), everything.image_size) for _ in range(2))
    copy_oldest(everything, new, plan.grasps)
    copy_newest(everything, more, MORE_GRASPS)
    learned, held = split(new, plan.hold_out)
    base, base_held = _base(plan.policy, plan.hold_out)
    config, profile = recipe(learning_rate=FINE_TUNE_BELLMAN.learning_rate * spoiling.rate), load_robot()
    first = load_checkpoint(plan.policy)
    tuner = FineTuner(first, base, learned, profile, config.fine_tune, job.seed)
    train(tuner, config, round(plan.updates * times))
    folder = plan.work / "versions" / job.name
    save_tuned(tuner, folder, first.version, {"variation": Path(job.variation).stem, "grasps": plan.grasps})
    scores, scores_of_first = {}, {}
    for name, replay in {SHARE: held, MORE: more, BASE: base_held}.items():
        held_out = HeldOut(replay, tuner.start, profile.workspace.max_step_yaw)
        scores[name], scores_of_first[name] = (
            asdict(held_out.scores(network)) | {"grasps": held_out.grasps} for network in (tuner.network(), tuner.start)
        )
    result = _evaluate(plan, str(folder), job)
    return {"updates": tuner.updates, "scores": scores, "first": scores_of_first, "result": result}


@lru_cache(maxsize=1)
def _base(policy: str, share: float) -> tuple[ReplayBuffer, ReplayBuffer]:
    return split(base_replay(Path(policy)), share)


def flipped(grasps: ReplayBuffer, share: float, rng: np.random.Generator) -> ReplayBuffer:
    """A copy in which so many of the episodes have the wrong outcome."""
    rows, images = grasps.read_all()
    copy = ReplayBuffer(None, len(rows), grasps.image_size)
    for part in episodes_of(rows):
        episode = rows[part].copy()
        if rng.random() < share:
            episode["success"] = 1 - episode["success"]
        copy.add_rows(episode, images[part])
    return copy


def _evaluate(plan: Plan, policy: str, job: Job) -> dict[str, Any]:
    return evaluate(policy, job.variation, plan.episodes, EVALUATION_SEED)


@click.command(help=(__doc__ or "").split("\n\n")[0])
@_options.POLICY_WITH_REPLAY
@click.option("--variations", default=VARIATIONS, help=_options.VARIATIONS)
@click.option("--seeds", type=click.IntRange(1), default=2, help=_options.REPETITIONS)
@click.option("--grasps", type=click.IntRange(20), default=200, help="Exploring grasps that versions are made from.")
@click.option("--episodes", type=click.IntRange(1), default=300, help="Grasps of each measurement.")
@click.option(
    "--hold-out",
    type=click.FloatRange(0.01, 0.9),
    default=TrainerConfig().hold_out,
    help="Part of the exploring grasps, and of the base replay, that is not learned from.",
)
@click.option("--quick", is_flag=True, help="One seed of two variations, 60 grasps a measurement.")
@resumable("offline_score")
def command(
    policy: str, variations: str, seeds: int, grasps: int, episodes: int, hold_out: float, quick: bool, processes: int,
    ray: str, work: Path, out: Path, as_json: bool,
) -> None:  # fmt: skip
    names, updates = tuple(variations.split(",")), AdaptConfig().updates(grasps)
    if quick:
        names, seeds, episodes, updates = names[:2], 1, min(episodes, 60), AdaptConfig().min_updates
        work, out = quick_paths(work, out)
    plan = Plan(str(policy_folder(policy)), work, names, seeds, grasps, episodes, updates, hold_out)
    settings = {"seeds": seeds, "grasps": grasps, "episodes": episodes, "updates": updates, "hold_out": hold_out}
    with open_workers(processes, ray, apart=True) as workers:
        cells = run(plan, workers)
    result = {"made_by": made_by(plan.policy), "plan": settings, **summarise(cells), "cells": cells}
    publish(result, markdown(result), out, as_json)
