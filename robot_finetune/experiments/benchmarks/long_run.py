"""Whether, and when, success falls if one fine-tunes on and on: the paper's recipe and ours, at a constant rate.

The paper's policies fall below the start after too many updates, unpredictably. Each run learns from the same 200
grasps as a row of `ablation`, and is measured every so many gradient steps. A run that was stopped goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import torch

from robot_finetune.config import load_json, policy_folder, to_mapping
from robot_finetune.experiments.adaptation import base_replay, save_tuned
from robot_finetune.experiments.benchmarks import _options
from robot_finetune.experiments.benchmarks._adaptation_report import origin, pooled, table
from robot_finetune.experiments.benchmarks._jobs import (
    KindJob,
    claim,
    publish,
    quick_paths,
    resumable,
    work_off,
    write_text,
)
from robot_finetune.experiments.benchmarks.ablation import EVALUATION_SEED, GRASPS, RECIPES, SEED
from robot_finetune.experiments.benchmarks.adaptation import explored, made_by
from robot_finetune.experiments.evaluate import evaluate
from robot_finetune.experiments.pool import open_workers
from robot_finetune.files import to_json
from robot_finetune.learning.checkpoint import load_checkpoint
from robot_finetune.learning.finetuner import FineTuner
from robot_finetune.robot.profile import load_robot

COMPARED = ("paper", "ours")
CURVE = "curve.json"


class Job(KindJob):
    """One run. kind: the recipe."""


@dataclass(frozen=True)
class Plan:
    """All runs."""

    policy: str
    work: Path
    variations: tuple[str, ...]
    seeds: int
    grasps: int
    steps: int
    every: int
    episodes: int

    def jobs(self) -> list[Job]:
        """Seed by seed, so that a stopped benchmark has whole seeds."""
        return [
            Job(recipe, variation, seed)
            for seed in range(self.seeds)
            for variation in self.variations
            for recipe in COMPARED
        ]

    def results(self, job: Job) -> list[Path]:
        """What a run leaves in the tables."""
        return [self.folder(job) / CURVE]

    def folder(self, job: Job) -> Path:
        """Of what a run leaves."""
        return self.work / job.name


def go_on(plan: Plan, job: Job) -> Job:
    """Go on with a run to its end, in this process alone."""
    torch.set_num_threads(1)
    folder = plan.folder(job)
    curve = _curve(folder)
    if str(plan.steps) in curve:
        return job
    config, profile = RECIPES[job.kind].fine_tune, load_robot()
    exploration = plan.work / "explored" / f"{Path(job.variation).stem}-{job.seed}"
    new = explored(plan.policy, exploration, job.variation, SEED + job.seed, plan.grasps, plan.grasps)
    policy = Path(plan.policy)
    tuner = FineTuner(load_checkpoint(policy), base_replay(policy), new, profile, config, job.seed)
    if (folder / "state.pt").is_file():
        tuner.load_state(folder / "state.pt")
    while True:
        save_tuned(tuner, folder / "version", 0, {"variation": job.variation, "seed": job.seed})
        found = {
            name: evaluate(str(folder / "version"), variation, plan.episodes, EVALUATION_SEED)
            for name, variation in (("after", job.variation), ("base_after", "base"))
        }
        curve[str(tuner.updates)] = found
        write_text(folder / CURVE, to_json(curve))
        tuner.save_state(folder / "state.pt")
        if tuner.updates >= plan.steps:
            return job
        for _ in range(min(plan.every, plan.steps - tuner.updates)):
            tuner.update()


def _curve(folder: Path) -> dict[str, dict[str, Any]]:
    """{gradient steps: {after, base_after}} of a run, as far as it is."""
    path = folder / CURVE
    return load_json(path) if path.is_file() else {}


def collect(plan: Plan) -> dict[str, dict[str, dict[str, str]]]:
    """{recipe: {gradient steps: {variation: success}}}, of all seeds together."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for recipe in COMPARED:
        jobs = [job for job in plan.jobs() if job.kind == recipe]
        curves = {job: _curve(plan.folder(job)) for job in jobs}
        steps = sorted(set.intersection(*(set(curve) for curve in curves.values())), key=int)
        found[recipe] = {
            step: {
                Path(variation).stem: str(
                    pooled([curve[step] for job, curve in curves.items() if job.variation == variation])
                )
                for variation in plan.variations
            }
            | {"base": str(pooled([curve[step] for curve in curves.values()], "base_after"))}
            for step in steps
        }
    return found


def markdown(result: dict[str, Any]) -> str:
    """A table a recipe."""
    text = "# Long run\n"
    for recipe, rows in result["curves"].items():
        head = ["gradient steps", *next(iter(rows.values()))]
        title = f"{recipe}: success while it learns on from the same {result['grasps']} grasps, at a constant rate"
        text += "\n" + table(title, head, [[step, *row.values()] for step, row in rows.items()])
    return text + origin(result["made_by"])


@click.command(help=(__doc__ or "").split("\n\n")[0])
@_options.POLICY_WITH_REPLAY
@click.option("--variations", default="checkerboard_backing,harsh_lighting", help=_options.VARIATIONS)
@click.option("--seeds", type=click.IntRange(1), default=1, help=_options.REPETITIONS)
@click.option("--grasps", type=click.IntRange(1), default=GRASPS, help="Exploring grasps to learn from.")
@click.option("--steps", type=click.IntRange(1), default=20_000, help="Gradient steps of a run.")
@click.option("--every", type=click.IntRange(1), default=1000, help="Gradient steps between two measurements.")
@click.option("--episodes", type=click.IntRange(1), default=150, help="Grasps of each measurement.")
@click.option("--quick", is_flag=True, help="One variation, 400 steps, 30 grasps a measurement.")
@resumable("long_run")
def command(
    policy: str, variations: str, seeds: int, grasps: int, steps: int, every: int, episodes: int, quick: bool,
    processes: int, ray: str, work: Path, out: Path, as_json: bool,
) -> None:  # fmt: skip
    names = tuple(variations.split(","))
    if quick:
        names, seeds, steps, every, episodes = names[:1], 1, 400, 200, 30
        work, out = quick_paths(work, out)
    plan = Plan(str(policy_folder(policy)), work, names, seeds, grasps, steps, every, episodes)
    recipes = {name: to_mapping(RECIPES[name]) for name in COMPARED}
    made_with = {"policy": load_checkpoint(plan.policy).sha256, "grasps": grasps, "every": every, "episodes": episodes}
    claim(plan.work, made_with | {"recipes": recipes})
    with open_workers(processes, ray, apart=True) as workers:
        work_off(go_on, plan, plan.jobs(), workers)
    settings = {"grasps": grasps, "steps": steps, "episodes": episodes}
    result = {"made_by": made_by(plan.policy), **settings, "curves": collect(plan)}
    publish(result, markdown(result), out, as_json)
