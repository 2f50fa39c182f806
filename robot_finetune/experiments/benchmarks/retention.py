"""What a lineage keeps of the base task and of every variation it went through, by how it rehearses them.

Each recipe goes through the paper's variations one after the other, beside fine-tuning on each in a single step.
Resumable: a lineage, or a single step, is one file in --work.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import torch

from robot_finetune.config import load_json, policy_folder
from robot_finetune.experiments.adapt import adapt
from robot_finetune.experiments.benchmarks import _options
from robot_finetune.experiments.benchmarks._adaptation_report import origin, pooled, row_table
from robot_finetune.experiments.benchmarks._jobs import (
    KindJob,
    KindPlan,
    claim,
    publish,
    quick_paths,
    resumable,
    work_off,
    write_text,
)
from robot_finetune.experiments.benchmarks.ablation import OURS, recipe
from robot_finetune.experiments.benchmarks.adaptation import made_by
from robot_finetune.experiments.lineage import ORDER, lineage
from robot_finetune.experiments.pool import open_workers
from robot_finetune.experiments.retention import BASE
from robot_finetune.experiments.workers import Workers
from robot_finetune.files import to_json
from robot_finetune.learning.checkpoint import load_checkpoint
from robot_finetune.learning.finetuner import FineTuneConfig

SINGLE, LINEAGE = "single step", "all"
RECIPES = {
    "rehearsal (ours)": OURS,
    "no rehearsal": recipe(FineTuneConfig(earlier_fraction=0.0)),
    "twice the rehearsal": recipe(FineTuneConfig(earlier_fraction=0.5)),
    "anchor half way": recipe(FineTuneConfig(base_weight=0.5)),
}
"""Rehearsal of earlier variations, each with an equal share; its part of a batch; and weights that lie half way, not a
quarter, back to those of the policy that the step began with."""
SEED = 8000


class Job(KindJob):
    """A lineage by a recipe, or (kind SINGLE) fine-tuning of the first policy on one variation."""


@dataclass(frozen=True)
class Plan(KindPlan):
    """The whole benchmark."""

    recipes: tuple[str, ...]
    variations: tuple[str, ...]
    seeds: int
    grasps: int
    episodes: int

    def jobs(self) -> Iterator[Job]:
        """Seed by seed, so that a stopped run has whole seeds."""
        for seed in range(self.seeds):
            yield from (Job(name, LINEAGE, seed) for name in self.recipes)
            yield from (Job(SINGLE, variation, seed) for variation in self.variations)


def run(plan: Plan, workers: Workers) -> list[dict[str, Any]]:
    """Do all that is missing in the plan's folder; returns what there is then.

    Raises ConfigError if the folder holds results of another policy or other settings.
    """
    settings = {"grasps": plan.grasps, "episodes": plan.episodes, "variations": plan.variations}
    claim(plan.work, {"policy": load_checkpoint(plan.policy).sha256, **settings})
    jobs = list(plan.jobs())
    work_off(work, plan, jobs, workers)
    return [load_json(plan.path(job)) for job in jobs]


def work(plan: Plan, job: Job) -> Job:
    """Do a job if its result is missing, in this process alone."""
    torch.set_num_threads(1)
    if not plan.path(job).is_file():
        folder, seed = plan.work / job.name, SEED + job.seed
        found: dict[str, Any]
        if job.kind == SINGLE:
            found = adapt(plan.policy, job.variation, plan.grasps, folder, seed, OURS, plan.episodes)
        else:
            found = lineage(plan.policy, plan.variations, plan.grasps, folder, seed, RECIPES[job.kind], plan.episodes)
        write_text(plan.path(job), to_json(asdict(job) | found))
        shutil.rmtree(folder)
    return job


def summarise(cells: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """A row for each recipe and task: success after its own step, at the end of the lineage, and after fine-tuning the
    first policy in a single step; all seeds pooled."""
    rows = []
    single = [cell for cell in cells if cell["kind"] == SINGLE]
    for kind in dict.fromkeys(cell["kind"] for cell in cells if cell["kind"] != SINGLE):
        runs = [cell["steps"] for cell in cells if cell["kind"] == kind]
        last = [steps[-1] for steps in runs]
        kept = [one["earlier"] | {one["variation"]: one["after"]} for one in last]
        for number, task in enumerate([BASE, *(step["variation"] for step in runs[0])]):
            own = [pooled([steps[number - 1] for steps in runs])] if number else []
            alone = pooled([cell for cell in single if cell["variation"] == task]) if number else None
            rows.append(
                {
                    "recipe": kind,
                    "measured_on": task,
                    "after_its_own_step": "".join(map(str, own)),
                    "at_the_end": str(pooled(kept, task)),
                    "in_a_single_step": str(alone or pooled(single, "base_after")),
                }
            )
    return rows


def markdown(result: dict[str, Any]) -> str:
    """The table."""
    plan = result["plan"]
    title = f"Lineages of {plan['grasps']} grasps a step; {plan['seeds']} seeds of {plan['episodes']} grasps, pooled"
    return "# Retention\n\n" + row_table(title, result["rows"]) + origin(result["made_by"])


@click.command(help=(__doc__ or "").split("\n\n")[0])
@_options.POLICY_WITH_REPLAY
@click.option("--recipes", default=",".join(RECIPES), help="Names, with commas.")
@click.option("--variations", default=",".join(ORDER), help=_options.VARIATIONS)
@click.option("--seeds", type=click.IntRange(1), default=3, help=_options.REPETITIONS)
@click.option("--grasps", type=click.IntRange(1), default=200, help="Exploring grasps of each step.")
@click.option("--episodes", type=click.IntRange(1), default=100, help="Grasps of each measurement.")
@click.option("--quick", is_flag=True, help="One seed, two variations, 50 grasps a step and a measurement.")
@resumable("retention")
def command(
    policy: str, recipes: str, variations: str, seeds: int, grasps: int, episodes: int, quick: bool, processes: int,
    ray: str, work: Path, out: Path, as_json: bool,
) -> None:  # fmt: skip
    if unknown := set(recipes.split(",")) - set(RECIPES):
        raise click.BadParameter(f"unknown: {', '.join(sorted(unknown))}.", param_hint="--recipes")
    names = tuple(variations.split(","))
    if quick:
        names, seeds, grasps, episodes = names[:2], 1, min(grasps, 50), min(episodes, 50)
        work, out = quick_paths(work, out)
    plan = Plan(str(policy_folder(policy)), work, tuple(recipes.split(",")), names, seeds, grasps, episodes)
    with open_workers(processes, ray, apart=True) as workers:
        cells = run(plan, workers)
    settings = {"seeds": seeds, "grasps": grasps, "episodes": episodes}
    result = {"made_by": made_by(plan.policy), "plan": settings, "rows": summarise(cells), "cells": cells}
    publish(result, markdown(result), out, as_json)
