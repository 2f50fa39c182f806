"""Whether mode "auto" notices that the cell has changed, and recovers, without being told.

Four parts: falls of success rates that are known; many grasps of the real policy in a cell that stays as it is; what
the scene's look adds to success as a witness of a changed cell; whole sessions whose variation is switched behind the
robot's back. Every session is one file in --work: a run that was stopped goes on where it was.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import click
import numpy as np

from robot_finetune.config import load_json, policy_folder
from robot_finetune.data.promotion_log import ADAPTING, JUDGED, WORKING, Fact
from robot_finetune.experiments.benchmarks import _options
from robot_finetune.experiments.benchmarks._adaptation_report import origin, row_table
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
from robot_finetune.learning.promotion.autonomy import Autonomy, AutonomyConfig
from robot_finetune.learning.promotion.look import look_of
from robot_finetune.stats import Proportion
from robot_finetune.types import AUTO, EVALUATE, EXPLORE, Episode

USUAL, FALLEN = 0.9, (0.3, 0.5, 0.6, 0.7, 0.8)
"""Success rates that are known: before a fall, and after it."""
STATIONARY_SEED, SEED = 90, 500
MOST = 2000
"""Grasps after a fall of a known rate, at most."""
SESSION, WITNESSES = "session", "witnesses"
"""Kinds of jobs: a whole session; the first policy alone, which nothing learns from, in the changed cell."""
WATCHED = 200
"""Grasps of that in the changed cell, at most."""
WITNESS_SEED = 91


@dataclass(frozen=True)
class Job:
    """A session, or grasps of the first policy, whose cell becomes `variation`."""

    variation: str
    seed: int
    kind: str = SESSION

    @property
    def file(self) -> str:
        """Name of its result."""
        return f"{self.kind}-{self.variation}-{self.seed}.json"


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


def alarms(successes: Sequence[bool], looks: Sequence[list[float]] = ()) -> list[int]:
    """Grasps after which mode "auto" would have begun to adapt; it is then begun anew.

    looks: of the scenes, which then begin learning, too."""
    config, found = AutonomyConfig(look_begins=bool(looks)), []
    autonomy = Autonomy(config)
    for grasp, (success, look) in enumerate(zip(successes, looks or repeat([]), strict=False), 1):
        told = autonomy.apply(Fact(JUDGED, auto=True, success=success, look=look), 0, grasp)
        if any(made.decision == ADAPTING for made in told):
            found.append(grasp)
            autonomy = Autonomy(config)
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
        percentiles = np.percentile(delays, [50, 90]).round().tolist()
        rows.append({"rate": rate, "runs": runs, "false": false, "median": percentiles[0], "p90": percentiles[1]})
    return rows


def stationary(policy: str, grasps: int, workers: Workers) -> dict[str, Any]:
    """False alarms of the policy in the unchanged simulated cell."""
    first = EVALUATION_SEED * STATIONARY_SEED
    successes, looks = _seen(rollouts(RolloutConfig(policy, "base"), range(first, first + grasps), workers))
    of_look = alarms([True] * len(looks), looks)
    return {**Proportion.of(successes).summary(), "alarms": alarms(successes), "alarms_of_look": of_look}


def _seen(episodes: Iterable[Episode]) -> tuple[list[bool], list[list[float]]]:
    """Success of each, and the look of the scene where it began."""
    pairs = [(episode.outcome.success, look_of(episode.steps[0].observation.image)) for episode in episodes]
    return [success for success, _ in pairs], [look for _, look in pairs]


def session(plan: Plan, job: Job) -> Job:
    """Do a job if its result is missing, in this process alone."""
    path = plan.work / job.file
    if not path.is_file():
        if job.kind == WITNESSES:
            write_text(path, to_json(asdict(job) | _witnesses(plan, job)))
            return job
        folder = plan.work / job.file.removesuffix(".json")
        shutil.rmtree(folder, ignore_errors=True)
        write_text(path, to_json(asdict(job) | _session(plan, job, folder)))
        shutil.rmtree(folder)
    return job


def _witnesses(plan: Plan, job: Job) -> dict[str, Any]:
    """Grasps of the first policy in the unchanged and in the changed cell, until which each witness noticed it."""
    first = EVALUATION_SEED * (WITNESS_SEED + job.seed)
    successes, looks = _seen(rollouts(RolloutConfig(plan.policy, "base"), range(first, first + plan.before)))
    change, scenes = len(successes), range(first + plan.before, first + plan.before + min(plan.after, WATCHED))
    more = _seen(rollouts(RolloutConfig(plan.policy, job.variation), scenes))
    return witnesses(successes + more[0], looks + more[1], change)


def witnesses(successes: Sequence[bool], looks: Sequence[list[float]], change: int) -> dict[str, Any]:
    """Grasps from a change until it is noticed by success, by the look and by either, None for never, and the false
    alarms of either before it."""
    either = alarms(successes, looks)
    found = {"by_success": alarms(successes), "by_look": alarms([True] * len(looks), looks), "by_either": either}
    delays = {name: next((grasp - change for grasp in told if grasp > change), None) for name, told in found.items()}
    return {**delays, "false_alarms": sum(grasp <= change for grasp in either)}


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
    text = "# Drift\n\n" + row_table(title, result["known"]) + "\n"
    if still := result["stationary"]:
        rate = f"{100 * still['successes'] / still['episodes']:.1f} %"
        found = (
            f"{len(still['alarms'])} false alarms by success and {len(still['alarms_of_look'])} by the look in "
            f"{still['episodes']} grasps (success {rate})"
        )
        text += f"The shipped policy in the simulated cell that stays as it is: {found}.\n\n"
    plan = result["plan"]
    if result["witnesses"]:
        title = f"Grasps of the first policy until a changed cell is noticed, {WATCHED} at most; empty: not noticed"
        text += row_table(title, result["witnesses"]) + "\n"
    title = (
        f"Sessions of {plan['before']} grasps in the unchanged and {plan['after']} in the changed cell, in mode auto"
    )
    return text + (row_table(title, result["sessions"]) if result["sessions"] else "") + origin(result["made_by"])


@click.command(help=(__doc__ or "").split("\n\n")[0])
@_options.POLICY
@click.option("--variations", default=VARIATIONS, help=_options.VARIATIONS)
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
    jobs = [Job(name, seed, kind) for seed in range(seeds) for name in names for kind in (WITNESSES, SESSION)]
    with open_workers(processes, ray, apart=True) as workers:
        work_off(session, plan, jobs, workers, jobs_a_process=1)  # a session keeps its cells
        unchanged = stationary(plan.policy, still, workers) if still else None
    result = {
        "made_by": made_by(plan.policy),
        "plan": settings,
        "known": known_falls(runs),
        "stationary": unchanged,
        "witnesses": [load_json(work / job.file) for job in jobs if job.kind == WITNESSES],
        "sessions": [summarise(plan, load_json(work / job.file)) for job in jobs if job.kind == SESSION],
    }
    publish(result, markdown(result), out, as_json)
