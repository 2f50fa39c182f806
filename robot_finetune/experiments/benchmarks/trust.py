"""Whether the promotion gate keeps bad versions from the robot, and what that costs.

Three parts: trials of two success rates that are known; whole sessions with the gate and without it; sessions whose
training is broken on purpose. Every session is one file in --work: a run that was stopped goes on where it was.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from robot_finetune.config import load_json, policy_folder
from robot_finetune.data.promotion_log import BEGUN, GATED, HEARD, IMMEDIATE, JUDGED, OFFERED, Fact, VersionId
from robot_finetune.experiments.benchmarks import _options
from robot_finetune.experiments.benchmarks._adaptation_report import origin, pooled, table
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
from robot_finetune.experiments.benchmarks.ablation import VARIATIONS
from robot_finetune.experiments.benchmarks.adaptation import made_by
from robot_finetune.experiments.evaluate import evaluate
from robot_finetune.experiments.gated_session import SessionPlan, Spoiling, run_session
from robot_finetune.experiments.pool import open_workers
from robot_finetune.experiments.workers import Workers
from robot_finetune.files import to_json
from robot_finetune.learning.checkpoint import load_checkpoint
from robot_finetune.learning.promotion.gate import Gate, PromotionConfig
from robot_finetune.stats import Proportion

RATE, DIFFERENCES = 0.6, (-0.2, -0.1, 0.0, 0.1, 0.2)
"""Success of the incumbent in the trials of known rates, and how much better the candidate is."""
FLEETS = (1, 2, 4)
"""Robots whose trials are pooled."""
BLOCK = 2
"""Grasps after which such a trial knows something new."""
LONGEST = 400
"""Grasps of such a trial, at most."""
SPOILED = {
    "30 % of labels flipped": Spoiling(flipped=0.3),
    "all labels flipped": Spoiling(flipped=1.0),
    "learning rate x 100": Spoiling(rate=100.0),
    "weights not finite": Spoiling(nan=True),
    "another variation's data": Spoiling(variation="base"),
}
SEED, EVALUATION_SEED = 300, 80


class Job(KindJob):
    """One session, or (kind "base") a measurement of the policy that sessions begin with."""


@dataclass(frozen=True)
class Plan(KindPlan):
    """The whole benchmark. spoiled: seeds of the broken sessions; each takes the next of the variations."""

    variations: tuple[str, ...]
    seeds: int
    spoiled: int
    grasps: int
    episodes: int

    def jobs(self) -> Iterator[Job]:
        """Seed by seed, so that a stopped run has whole seeds."""
        for variation in self.variations:
            yield Job("base", variation)
        for seed in range(self.seeds):
            for variation in self.variations:
                yield from (Job(mode, variation, seed) for mode in (GATED, IMMEDIATE))
        for seed in range(self.spoiled):
            for number, kind in enumerate(SPOILED):
                yield Job(kind, self.variations[(seed + number) % len(self.variations)], seed)


def trials(count: int, robots: int = 1, seed: int = 0) -> list[dict[str, Any]]:
    """What becomes of `count` trials of each known difference of success rates, which so many robots pool."""
    rows = []
    for difference in DIFFERENCES:
        rng, ends, lengths = np.random.default_rng(seed), Counter[str](), []
        for _ in range(count // robots):
            for end, grasps in _trials(difference, rng, robots):
                ends[end] += 1
                if end in ("promoted", "rejected"):
                    lengths.append(grasps)
        rows.append(
            {
                "robots": robots,
                "difference": difference,
                "trials": ends.total(),
                "promoted": ends["promoted"],
                "rejected": ends["rejected"],
                "undecided": ends.total() - ends["promoted"] - ends["rejected"],
                "median_grasps": float(np.median(lengths)) if lengths else None,
            }
        )
    return rows


def _trials(difference: float, rng: np.random.Generator, robots: int) -> list[tuple[str, int]]:
    """How the trial of each of so many robots ended, and after how many grasps of its own: what the test proved, or
    "undecided"."""
    gates = {f"/robot_{number}": Gate(VersionId(0), PromotionConfig(longest=10 * LONGEST)) for number in range(robots)}
    for gate in gates.values():
        gate.apply(Fact(OFFERED, 1))
        gate.apply(Fact(BEGUN, explore=True))
    ended: dict[str, tuple[str, int]] = {}
    for grasp in range(1, LONGEST + 1):
        for name in gates.keys() - ended.keys():
            gate = gates[name]
            turn = gate.turn(True)
            success = bool(rng.random() < RATE + difference * turn.id.version)
            if decisions := gate.apply(Fact(JUDGED, *turn.id, side=turn.side, success=success)):
                ended[name] = decisions[0].decision, grasp
            elif robots > 1 and grasp % BLOCK == 0:
                told = Fact(HEARD, 0, robot=name, trial=gate.trial, evidence=asdict(gate.evidence))
                for other in gates.keys() - {name}:
                    gates[other].apply(told)
    return [ended.get(name, ("undecided", LONGEST)) for name in gates]


def run(plan: Plan, workers: Workers) -> list[dict[str, Any]]:
    """Do all sessions that are missing in the plan's folder; returns all there are.

    Raises ConfigError if the folder holds results of another policy or other settings.
    """
    jobs = list(plan.jobs())
    claim(
        plan.work,
        {"policy": load_checkpoint(plan.policy).sha256, "grasps": plan.grasps, "episodes": plan.episodes},
    )
    work_off(work, plan, jobs, workers, jobs_a_process=1)  # a session keeps its cells
    return [load_json(plan.path(job)) for job in jobs]


def work(plan: Plan, job: Job) -> Job:
    """Do a job if its result is missing, in this process alone."""
    path = plan.path(job)
    if path.is_file():
        return job
    if job.kind == "base":
        found = {"result": evaluate(plan.policy, job.variation, plan.episodes, EVALUATION_SEED)}
    else:
        found = _session(plan, job)
    write_text(path, to_json(asdict(job) | found))
    return job


def _session(plan: Plan, job: Job) -> dict[str, Any]:
    mode = IMMEDIATE if job.kind == IMMEDIATE else GATED
    session = SessionPlan(
        plan.policy,
        job.variation,
        plan.grasps,
        SEED + job.seed,
        PromotionConfig(mode=mode),
        spoiling=SPOILED.get(job.kind, Spoiling()),
    )
    folder = plan.work / job.name
    shutil.rmtree(folder, ignore_errors=True)
    found = run_session(session, folder, plan.episodes, EVALUATION_SEED)
    shutil.rmtree(folder)
    return found


def summarise(cells: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Success of what is deployed: by variation and by what was broken; `worse`: sessions whose deployed policy is
    significantly below the first one (95 % intervals apart)."""
    cells = list(cells)
    base = {cell["variation"]: _success(cell) for cell in cells if cell["kind"] == "base"}
    rows: dict[str, dict[str, Any]] = {}
    for kind in (GATED, IMMEDIATE, *SPOILED):
        own = [cell for cell in cells if cell["kind"] == kind]
        if not own:
            continue
        first = min(version for cell in own for version in cell["version"])
        rows[kind] = {
            "sessions": len(own),
            "mean": float(np.mean([_success(cell).rate for cell in own])),
            "mean_first": float(np.mean([base[cell["variation"]].rate for cell in own])),
            "worse": sum(base[cell["variation"]].above(_success(cell)) for cell in own),
            "deployed_later": sum(cell["deployed"] != first for cell in own),
            "by_variation": {
                name: str(_success(*(cell for cell in own if cell["variation"] == name)))
                for name in sorted({cell["variation"] for cell in own})
            },
        }
    return {"first": {name: str(found) for name, found in base.items()}, "sessions": rows}


def _success(*cells: dict[str, Any]) -> Proportion:
    return pooled(cells, "result")


def markdown(result: dict[str, Any]) -> str:
    """All tables."""
    names = ("robots", "difference", "trials", "promoted", "rejected", "undecided", "median_grasps")
    title = (
        f"Trials of known success rates: the incumbent has {100 * RATE:.0f} %; what the test proved in {LONGEST} grasps"
        " of each robot that pools its trial with the others'"
    )
    text = table(title, list(names), [[str(row[name]) for name in names] for row in result["trials"]])
    found, plan = result["sessions"], result["plan"]
    rows = [
        [kind, row["sessions"], f"{100 * row['mean_first']:.0f} %", f"{100 * row['mean']:.0f} %", row["worse"],
         row["deployed_later"]]
        for kind, row in found["sessions"].items()
    ]  # fmt: skip
    title = f"Sessions of {plan['grasps']} exploring grasps; {plan['episodes']} grasps measure what is deployed"
    head = ["session", "sessions", "first policy", "deployed policy", "significantly worse", "a later version deployed"]
    text += "\n" + table(title, head, [[str(value) for value in row] for row in rows])
    variations = sorted(found["first"])
    kinds = [kind for kind in (GATED, IMMEDIATE) if kind in found["sessions"]]
    rows = [
        [name, found["first"][name], *(found["sessions"][kind]["by_variation"].get(name, "") for kind in kinds)]
        for name in variations
    ]
    text += "\n" + table("By variation [95 % interval]", ["variation", "first policy", *kinds], rows)
    return "# Trust\n\n" + text + origin(result["made_by"])


@click.command(help=(__doc__ or "").split("\n\n")[0])
@_options.POLICY
@click.option("--variations", default=VARIATIONS, help=_options.VARIATIONS)
@click.option("--seeds", type=click.IntRange(0), default=5, help="Repetitions of the sessions.")
@click.option("--spoiled", type=click.IntRange(0), default=5, help="Repetitions of the broken sessions.")
@click.option("--grasps", type=click.IntRange(1), default=200, help="Exploring grasps of a session.")
@click.option("--episodes", type=click.IntRange(1), default=300, help="Grasps of each measurement.")
@click.option("--trials", "count", type=click.IntRange(0), default=1000, help="Trials of each known difference.")
@click.option("--quick", is_flag=True, help="One seed of two variations, one broken session each, 100 trials.")
@resumable("trust")
def command(
    policy: str, variations: str, seeds: int, spoiled: int, grasps: int, episodes: int, count: int, quick: bool,
    processes: int, ray: str, work: Path, out: Path, as_json: bool,
) -> None:  # fmt: skip
    names = tuple(variations.split(","))
    if quick:
        names, seeds, spoiled, episodes, count = names[:2], 1, 1, min(episodes, 100), min(count, 100)
        work, out = quick_paths(work, out)
    plan = Plan(str(policy_folder(policy)), work, names, seeds, spoiled, grasps, episodes)
    with open_workers(processes, ray, apart=True) as workers:
        sessions = run(plan, workers)
    result = {
        "made_by": made_by(plan.policy),
        "plan": {"seeds": seeds, "spoiled": spoiled, "grasps": grasps, "episodes": episodes},
        "trials": [row for robots in FLEETS for row in trials(count, robots)],
        "sessions": summarise(sessions),
    }
    publish(result, markdown(result), out, as_json)
