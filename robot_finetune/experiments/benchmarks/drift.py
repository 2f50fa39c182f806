"""Whether mode "auto" notices that the cell has changed, and recovers, without being told.

Three parts: falls of success rates that are known; many grasps of the real policy in a cell that stays as it is; whole
sessions whose variation is switched behind the robot's back. Every session is one file in --work: a run that was
stopped goes on where it was.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from robot_finetune.config import load_json, policy_folder
from robot_finetune.data.promotion_log import ADAPTING, JUDGED, WORKING, Fact
from robot_finetune.experiments.benchmarks._adaptation_report import origin, table
from robot_finetune.experiments.benchmarks._jobs import claim, publish, quick_paths, resumable, work_off, write_text
from robot_finetune.experiments.benchmarks.ablation import VARIATIONS
from robot_finetune.experiments.benchmarks.adaptation import made_by
from robot_finetune.experiments.evaluate import EVALUATION_SEED
from robot_finetune.experiments.gated_session import Bench, SessionPlan, SimulatedSession
from robot_finetune.experiments.pool import open_workers
from robot_finetune.experiments.rollouts import RolloutConfig, rollouts
from robot_finetune.experiments.workers import Workers
from robot_finetune.files import to_json
from robot_finetune.learning.checkpoint import load_checkpoint
from robot_finetune.learning.promotion.autonomy import Autonomy
from robot_finetune.stats import Proportion
from robot_finetune.types import AUTO, EVALUATE, EXPLORE

USUAL, FALLEN = 0.9, (0.3, 0.5, 0.6, 0.7, 0.8)
"""Success rates that are known: before a fall, and after it."""
STATIONARY_SEED, SEED = 90, 500
MOST = 2000
"""Grasps after a fall of a known rate, at most."""


@dataclass(frozen=True)
class Job:
    """A session whose cell becomes `variation`."""

    variation: str
    seed: int
    kind: str = "session"

    @property
    def file(self) -> str:
        """Name of its result."""
        return f"{self.variation}-{self.seed}.json"


@dataclass(frozen=True)
class Plan:
    """The sessions. before: grasps in the unchanged cell; after: in the changed one, of which `last` are measured."""

    policy: str
    work: Path
    before: int
    after: int
    last: int

    def results(self, job: Job) -> list[Path]:
        """What a job leaves."""
        return [self.work / job.file]


def alarms(successes: Sequence[bool]) -> list[int]:
    """Grasps after which mode "auto" would have begun to adapt; it is then begun anew."""
    found, autonomy = [], Autonomy()
    for grasp, success in enumerate(successes, 1):
        if autonomy.apply(Fact(JUDGED, auto=True, success=success), 0, grasp):
            found.append(grasp)
            autonomy = Autonomy()
    return found


def known_falls(runs: int, before: int = 200, seed: int = 0) -> list[dict[str, Any]]:
    """Of `runs` robots whose success falls from USUAL after `before` grasps: false alarms, and grasps until a fall is
    noticed."""
    rows = []
    for rate in FALLEN:
        rng, false, delays = np.random.default_rng(seed), 0, []
        for _ in range(runs):
            rates = np.repeat([USUAL, rate], [before, MOST])
            first = next(iter(alarms((rng.random(len(rates)) < rates).tolist())), before + MOST)
            if first <= before:
                false += 1
            else:
                delays.append(first - before)
        percentiles = np.percentile(delays, [50, 90]).tolist()
        rows.append({"rate": rate, "runs": runs, "false": false, "median": percentiles[0], "p90": percentiles[1]})
    return rows


def stationary(policy: str, grasps: int, workers: Workers) -> dict[str, Any]:
    """False alarms of the policy in the unchanged simulated cell."""
    first = EVALUATION_SEED * STATIONARY_SEED
    made = rollouts(RolloutConfig(policy, "base"), range(first, first + grasps), workers)
    successes = [episode.outcome.success for episode in made]
    return {**Proportion.of(successes).summary(), "alarms": alarms(successes)}


def session(plan: Plan, job: Job) -> Job:
    """Do a session if its result is missing, in this process alone."""
    path = plan.work / job.file
    if not path.is_file():
        folder = plan.work / job.file.removesuffix(".json")
        shutil.rmtree(folder, ignore_errors=True)
        write_text(path, to_json(asdict(job) | _session(plan, job, folder)))
        shutil.rmtree(folder)
    return job


def _session(plan: Plan, job: Job, folder: Path) -> dict[str, Any]:
    """Work in the unchanged cell, then in the changed one."""
    session_plan = SessionPlan(plan.policy, "base", seed=SEED + job.seed)
    session = SimulatedSession(session_plan, folder)
    bench = Bench(session_plan, "base", session.policy)
    made = []
    for grasp in range(plan.before + plan.after):
        if grasp == plan.before:
            bench.switch(job.variation)
        mode = session.policy.chosen_mode(AUTO)
        episode = bench.grasp(mode)
        session.policy.judged(episode.episode_id, episode.outcome.success)
        session.learn(episode)
        made.append((mode, episode.policy_version, episode.outcome.success))
    modes, versions, success = (list(column) for column in zip(*made, strict=True))
    return {"mode": modes, "version": versions, "success": success, "decisions": session.decisions}


def summarise(plan: Plan, cell: dict[str, Any]) -> dict[str, Any]:
    """When a session noticed the change, when it worked again, and what success it had by then."""
    success, modes = cell["success"], cell["mode"]
    told = [(made["decision"], made["grasp"]) for made in cell["decisions"]]
    noticed = [grasp for what, grasp in told if what == ADAPTING]
    worked = [grasp for what, grasp in told if what == WORKING]
    begun = next((grasp for grasp in noticed if grasp > plan.before), None)
    again = next((grasp for grasp in worked if begun and grasp > begun), None)
    fallen = slice(plan.before, begun)
    at_work = [made for made, mode in zip(success[begun:], modes[begun:], strict=True) if mode == EVALUATE]
    return {
        "variation": cell["variation"],
        "seed": cell["seed"],
        "false_alarms": sum(grasp <= plan.before for grasp in noticed),
        "before": str(Proportion.of(success[: plan.before])),
        "fallen": str(Proportion.of(success[fallen])),
        "noticed_after": begun - plan.before if begun else None,
        "works_again_after": again - plan.before if again else None,
        "explored": modes.count(EXPLORE),
        "at_work_again": str(Proportion.of(at_work)) if begun else "",
        "last": str(Proportion.of(success[-plan.last :])),
    }


def markdown(result: dict[str, Any]) -> str:
    """All tables."""
    title = f"Success falls from {100 * USUAL:.0f} % to a known rate after 200 grasps: grasps until it is noticed"
    text = "# Drift\n\n" + _rows(title, result["known"])
    if still := result["stationary"]:
        rate = f"{100 * still['successes'] / still['episodes']:.1f} %"
        found = f"{len(still['alarms'])} false alarms in {still['episodes']} grasps (success {rate})"
        text += f"The shipped policy in the simulated cell that stays as it is: {found}.\n\n"
    plan = result["plan"]
    title = (
        f"Sessions of {plan['before']} grasps in the unchanged and {plan['after']} in the changed cell, in mode auto"
    )
    return text + (_rows(title, result["sessions"]) if result["sessions"] else "") + origin(result["made_by"])


def _rows(title: str, rows: Sequence[dict[str, Any]]) -> str:
    shown = [["" if value is None else str(value) for value in row.values()] for row in rows]
    return table(title, [name.replace("_", " ") for name in rows[0]], shown)


@click.command(help=(__doc__ or "").split("\n\n")[0])
@click.option("--policy", default="", show_default=False, help="Checkpoint folder; empty: the shipped base policy.")
@click.option("--variations", default=VARIATIONS, help="Names or YAML files, with commas.")
@click.option("--seeds", type=click.IntRange(0), default=3, help="Sessions of each.")
@click.option("--before", type=click.IntRange(0), default=150, help="Grasps in the unchanged cell.")
@click.option("--after", type=click.IntRange(1), default=500, help="Grasps in the changed cell.")
@click.option("--last", type=click.IntRange(1), default=100, help="Grasps at the end that are measured.")
@click.option("--runs", type=click.IntRange(1), default=1000, help="Robots of each known fall.")
@click.option("--stationary", "still", type=click.IntRange(0), default=10_000, help="Grasps in an unchanged cell.")
@click.option("--quick", is_flag=True, help="One session of one variation, 200 unchanged grasps, 50 robots.")
@resumable("drift")
def command(
    policy: str, variations: str, seeds: int, before: int, after: int, last: int, runs: int, still: int, quick: bool,
    processes: int, ray: str, work: Path, out: Path, as_json: bool,
) -> None:  # fmt: skip
    names = tuple(variations.split(","))
    if quick:
        names, seeds, runs, still = names[:1], min(seeds, 1), min(runs, 50), min(still, 200)
        work, out = quick_paths(work, out)
    plan = Plan(str(policy_folder(policy)), work, before, after, last)
    settings = {"before": before, "after": after, "last": last}
    claim(work, {"policy": load_checkpoint(plan.policy).sha256, **settings})
    jobs = [Job(name, seed) for seed in range(seeds) for name in names]
    with open_workers(processes, ray, apart=True) as workers:
        work_off(session, plan, jobs, workers, jobs_a_process=1)  # a session keeps its cells
        unchanged = stationary(plan.policy, still, workers) if still else None
    result = {
        "made_by": made_by(plan.policy),
        "plan": settings,
        "known": known_falls(runs),
        "stationary": unchanged,
        "sessions": [summarise(plan, load_json(work / job.file)) for job in jobs],
    }
    publish(result, markdown(result), out, as_json)
