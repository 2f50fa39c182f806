"""What it is worth that a person takes over now and then while the robot explores.

The person is the simulation's teacher, who grasps nearly always. Sessions with and without take-overs see the same
scenes, learn from as many grasps, and deploy their last version. Every session is one file in --work: a run that was
stopped goes on where it was.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from robot_finetune.config import load_json, policy_folder
from robot_finetune.data.promotion_log import IMMEDIATE
from robot_finetune.experiments.benchmarks import _options
from robot_finetune.experiments.benchmarks._adaptation_report import origin, pooled, table
from robot_finetune.experiments.benchmarks._jobs import claim, publish, quick_paths, resumable, work_off, write_text
from robot_finetune.experiments.benchmarks.ablation import VARIATIONS
from robot_finetune.experiments.benchmarks.adaptation import made_by
from robot_finetune.experiments.evaluate import evaluate
from robot_finetune.experiments.gated_session import Bench, SessionPlan, SimulatedSession
from robot_finetune.experiments.pool import open_workers
from robot_finetune.files import to_json
from robot_finetune.learning.checkpoint import load_checkpoint
from robot_finetune.learning.promotion.gate import PromotionConfig
from robot_finetune.stats import Proportion

SEED, EVALUATION_SEED = 700, 85


@dataclass(frozen=True)
class Job:
    """A session. kind: with or without take-overs."""

    variation: str
    seed: int
    take_overs: int

    @property
    def kind(self) -> str:
        return f"{self.take_overs} take-overs"

    @property
    def file(self) -> str:
        """Name of its result."""
        return f"{self.variation}-{self.take_overs}-{self.seed}.json"


@dataclass(frozen=True)
class Plan:
    """The sessions: exploring grasps of each, and grasps that measure what it deploys."""

    policy: str
    work: Path
    grasps: int
    episodes: int

    def results(self, job: Job) -> list[Path]:
        """What a job leaves."""
        return [self.work / job.file]


def taken_over(grasp: int, grasps: int, take_overs: int) -> bool:
    """Whether a person makes a grasp (from 0): as many as asked for, spread evenly."""
    return grasp * take_overs // grasps < (grasp + 1) * take_overs // grasps


def session(plan: Plan, job: Job) -> Job:
    """Do a session if its result is missing, in this process alone."""
    path = plan.work / job.file
    if path.is_file():
        return job
    folder = path.with_suffix("")
    shutil.rmtree(folder, ignore_errors=True)
    settings = SessionPlan(plan.policy, job.variation, seed=SEED + job.seed, promotion=PromotionConfig(mode=IMMEDIATE))
    made = SimulatedSession(settings, folder)
    bench = Bench(settings, job.variation, made.policy)
    by_hand: list[bool] = []
    alone: list[bool] = []
    for grasp in range(plan.grasps):
        person = taken_over(grasp, plan.grasps, job.take_overs)
        episode = bench.grasp(by_hand=person)
        (by_hand if person else alone).append(episode.outcome.success)
        made.learn(episode)
    deployed = str(made.folders[made.finish()])
    result = evaluate(deployed, job.variation, plan.episodes, EVALUATION_SEED)
    shutil.rmtree(folder)
    found = {"result": result, "by_hand": Proportion.of(by_hand).summary(), "alone": Proportion.of(alone).summary()}
    write_text(path, to_json(asdict(job) | found))
    return job


def summarise(cells: Iterable[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """Success of what is deployed, by variation and number of take-overs; "all": of all variations."""
    cells = list(cells)
    rows: dict[str, dict[str, str]] = {}
    for name in (*dict.fromkeys(cell["variation"] for cell in cells), "all"):
        own = [cell for cell in cells if name in ("all", cell["variation"])]
        counts = sorted({cell["take_overs"] for cell in own})
        rows[name] = {
            str(count): str(pooled([cell for cell in own if cell["take_overs"] == count], "result")) for count in counts
        }
    return rows


def markdown(result: dict[str, Any]) -> str:
    """The table."""
    rows, plan = result["sessions"], result["plan"]
    counts = list(rows["all"])
    title = (
        f"Success after {plan['grasps']} grasps, of which a person made so many ({plan['episodes']} grasps measure it)"
    )
    text = table(
        title, ["variation", *counts], [[name, *(row[count] for count in counts)] for name, row in rows.items()]
    )
    return "# Interventions\n\n" + text + origin(result["made_by"])


@click.command(help=(__doc__ or "").split("\n\n")[0])
@_options.POLICY
@click.option("--variations", default=VARIATIONS, help=_options.VARIATIONS)
@click.option("--seeds", type=click.IntRange(1), default=3, help="Sessions of each.")
@click.option("--grasps", type=click.IntRange(1), default=100, help="Grasps of a session.")
@click.option("--take-overs", type=click.IntRange(1), default=20, help="Of them, by a person.")
@click.option("--episodes", type=click.IntRange(1), default=300, help="Grasps of each measurement.")
@click.option("--quick", is_flag=True, help="One seed of one variation, 100 grasps of each measurement.")
@resumable("interventions")
def command(
    policy: str, variations: str, seeds: int, grasps: int, take_overs: int, episodes: int, quick: bool,
    processes: int, ray: str, work: Path, out: Path, as_json: bool,
) -> None:  # fmt: skip
    names = tuple(variations.split(","))
    if quick:
        names, seeds, episodes = names[:1], 1, min(episodes, 100)
        work, out = quick_paths(work, out)
    plan = Plan(str(policy_folder(policy)), work, grasps, episodes)
    settings = {"grasps": grasps, "episodes": episodes}
    claim(work, {"policy": load_checkpoint(plan.policy).sha256, **settings})
    jobs = [Job(name, seed, count) for seed in range(seeds) for name in names for count in (0, take_overs)]
    with open_workers(processes, ray, apart=True) as workers:
        work_off(session, plan, jobs, workers, jobs_a_process=1)  # a session keeps its cells
    sessions = summarise(load_json(work / job.file) for job in jobs)
    result = {"made_by": made_by(plan.policy), "plan": settings, "sessions": sessions}
    publish(result, markdown(result), out, as_json)
