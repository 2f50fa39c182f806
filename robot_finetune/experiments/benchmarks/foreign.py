"""What it does in a cell that is not its own: another simulator, arm, camera and objects, through the ROS graph.

The simulator is a process of its own that knows nothing of the policy and notes at each lift what it really holds; the
session is `robot-finetune session`, as on an arm.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from robot_finetune.config import ConfigError, load_json, policy_folder
from robot_finetune.data.episode_table import list_rows
from robot_finetune.experiments.benchmarks import _options
from robot_finetune.experiments.benchmarks._adaptation_report import origin, pooled, table
from robot_finetune.experiments.benchmarks._jobs import claim, publish, quick_paths, resumable
from robot_finetune.experiments.benchmarks.adaptation import made_by
from robot_finetune.experiments.session_process import go_on_or_begin
from robot_finetune.files import parse_json
from robot_finetune.learning.checkpoint import load_checkpoint
from robot_finetune.stats import Proportion

TRUTH = "truth.jsonl"
SIMULATOR, ROBOT = Path("examples/pybullet_panda/simulator.py"), Path("examples/pybullet_panda/panda.yaml")
SEED = 60  # of the objects; a seed of the benchmark adds to it
BEGUN, ENDED = 5.0, 20.0  # s after which the simulator is taken to run, and that it is given to end


@dataclass(frozen=True)
class Plan:
    """One session."""

    simulator: Path
    robot: Path
    policy: str
    before: int
    grasps: int
    after: int

    @property
    def settings(self) -> dict[str, Any]:
        """What the results depend on, besides the policy."""
        return {"robot": self.robot.name, "before": self.before, "grasps": self.grasps, "after": self.after}


def session(plan: Plan, folder: Path, seed: int) -> None:
    """Do the session, or go on with it, in a ROS domain of its own. Raises ConfigError where it fails."""
    environment = os.environ | {
        "ROS_DOMAIN_ID": os.environ.get("ROS_DOMAIN_ID", str(1 + os.getpid() % 101)),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
    }
    folder.mkdir(parents=True, exist_ok=True)
    words = [str(plan.simulator), "--robot", str(plan.robot), "--seed", str(SEED + seed)]
    words += ["--truth", str(folder / TRUTH)]
    lengths = ["--grasps", str(plan.grasps), "--before", str(plan.before), "--after", str(plan.after)]
    beginning = ["--robot", str(plan.robot), "--variation", "base", "--policy", plan.policy, "--seed", str(seed)]
    with _simulator([sys.executable, *words], environment, folder / "simulator.log"):
        go_on_or_begin(folder / "session", lengths, beginning, environment)


@contextmanager
def _simulator(command: list[str], environment: Mapping[str, str], log: Path) -> Iterator[None]:
    """The simulator runs meanwhile. Raises ConfigError where it ends at once."""
    with log.open("a") as stream:
        process = subprocess.Popen(command, env=environment, stdout=stream, stderr=subprocess.STDOUT)
        try:
            with suppress(subprocess.TimeoutExpired):
                process.wait(BEGUN)
                said = (log.read_text().splitlines() or ["nothing"])[-1]
                raise ConfigError(f"{command[1]} has ended at once: {said} (is its requirements.txt installed?)")
            yield
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(ENDED)


def judgements(folder: Path) -> Proportion:
    """How often a session's judgement of a lifted gripper was what the simulator held."""
    truth = map(parse_json, (folder / TRUTH).read_text().splitlines())
    held = {line["episode_id"]: line["held"] for line in truth}
    rows = [row for row in list_rows(folder / "session") if row.episode_id in held]
    return Proportion.of(row.success == held[row.episode_id] for row in rows)


def result_of(folder: Path) -> dict[str, Any]:
    """Success before and after, and how many judgements were right."""
    summary = load_json(folder / "session" / "summary.json")
    found = {key: summary[key] for key in ("before", "after", "grasps_per_minute")}
    return found | {"judgements": judgements(folder).summary()}


def markdown(result: dict[str, Any]) -> str:
    """The table."""
    rows = [
        [seed, *(str(pooled([cell], key)) for key in ("before", "after", "judgements"))]
        for seed, cell in result["sessions"].items()
    ]
    title = f"Success before and after {result['plan']['grasps']} grasps, and judgements that were right"
    text = table(title, ["seed", "before", "after", "judged"], rows)
    return "# A foreign cell\n\n" + text + origin(result["made_by"])


@click.command(help=(__doc__ or "").split("\n\n")[0])
@_options.POLICY
@click.option("--simulator", type=Path, default=SIMULATOR, help="Python program with the cell's topics.")
@click.option("--robot", type=Path, default=ROBOT, help="Its profile.")
@click.option("--seeds", type=click.IntRange(1), default=1, help="Sessions.")
@click.option("--before", type=click.IntRange(1), default=100, help="Grasps that measure the policy.")
@click.option("--grasps", type=click.IntRange(0), default=200, help="Grasps to learn from.")
@click.option("--after", type=click.IntRange(0), default=100, help="Grasps that measure what it became.")
@click.option("--quick", is_flag=True, help="20, 40 and 20 grasps.")
@resumable("foreign", parallel=False)
def command(
    policy: str, simulator: Path, robot: Path, seeds: int, before: int, grasps: int, after: int, quick: bool,
    work: Path, out: Path, as_json: bool,
) -> None:  # fmt: skip
    if quick:
        before, grasps, after = 20, 40, 20
        work, out = quick_paths(work, out)
    for path in (simulator, robot):
        if not path.is_file():
            raise ConfigError(f"{path}: no such file; run it in a clone of the repository, or give its path")
    plan = Plan(simulator.absolute(), robot.absolute(), str(policy_folder(policy)), before, grasps, after)
    claim(work, {"policy": load_checkpoint(plan.policy).sha256, **plan.settings})
    for seed in range(seeds):
        session(plan, work.absolute() / str(seed), seed)
    sessions = {str(seed): result_of(work / str(seed)) for seed in range(seeds)}
    result = {"made_by": made_by(plan.policy), "plan": plan.settings, "sessions": sessions}
    publish(result, markdown(result), out, as_json)
