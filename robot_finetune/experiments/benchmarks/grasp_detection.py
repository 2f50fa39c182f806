"""How often the grasp detector agrees with the simulated cell's truth.

Episodes of a scripted policy, from good to weak, in every variation. It is told how the gripper is mounted in three of
four episodes, so that there are grasps to judge where the gripper was moved. Truth: whether an object is in the fingers
when the image after lifting is taken.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import click
import numpy as np

from robot_finetune.config import SEED_LIMIT, known_names
from robot_finetune.files import to_json
from robot_finetune.perception.grasp_success import GraspDetector
from robot_finetune.progress import with_progress
from robot_finetune.robot.episode_runner import EpisodeDiscarded, EpisodeRunner, SilentObserver
from robot_finetune.robot.interfaces import Decision, Frame, Policy
from robot_finetune.robot.profile import load_robot
from robot_finetune.sim.cell import Cell
from robot_finetune.sim.robot import sim_robot
from robot_finetune.sim.teacher_policy import TeacherPolicy
from robot_finetune.sim.variations import load_variation
from robot_finetune.types import GraspOutcome, Observation

NOISES = (0.0, 0.5, 1.0)
FAMILIES = ("training", "held_out")


@dataclass(frozen=True)
class Judged:
    """One judged episode. held: the truth."""

    variation: str
    held: bool
    outcome: GraspOutcome

    def agrees(self, source: str) -> bool:
        """Whether `source` (gripper, image or fused) is right."""
        if source == "fused":
            return self.outcome.success == self.held
        return (self.outcome.evidence[f"{source}_probability"] > 0.5) == self.held


class TruthObserver(SilentObserver):
    """Asks the cell whether something is held when the image after lifting has been taken."""

    def __init__(self, cell: Cell) -> None:
        self.cell, self.held = cell, False

    def on_phase(self, phase: str, frame: Frame | None, end_reason: str = "") -> None:
        if phase == "after_lift":
            self.held = self.cell.held()


class MountedPolicy:
    """A scripted policy that is told that the gripper is mounted `offset` [m] along the tool's y axis."""

    def __init__(self, policy: Policy, offset: float) -> None:
        self.policy, self.offset = policy, offset

    def begin_episode(self, mode: str) -> None:
        self.policy.begin_episode(mode)

    def act(self, observation: Observation) -> Decision | None:
        yaw = observation.pose[3]
        fingers = observation.pose + self.offset * np.array([np.sin(yaw), -np.cos(yaw), 0.0, 0.0])
        return self.policy.act(dataclasses.replace(observation, pose=fingers))


def judged_episodes(variation: str, episodes: int, seed: int) -> Iterator[Judged]:
    """Run and judge `episodes` of one variation; episodes that a device failure discards are left out."""
    profile, change = load_robot("sim"), load_variation(variation)
    cell, detector = Cell(profile, change), GraspDetector(profile)
    truth = TruthObserver(cell)
    for index in range(episodes):
        scene = seed + index
        cell.reset(scene, FAMILIES[index // len(NOISES) % 2], at_start=True)
        scripted = TeacherPolicy(cell, NOISES[index % len(NOISES)], np.random.default_rng([scene, 1]))
        policy = MountedPolicy(scripted, change.gripper.offset_m if index % 4 else 0.0)
        runner = EpisodeRunner(sim_robot(cell), profile, policy, detector, truth)
        try:
            episode = runner.run(f"{variation}-{scene:08d}", variation, "scripted")
        except EpisodeDiscarded as error:
            print(f"{variation} {scene}: discarded, {error}")
            continue
        yield Judged(variation, truth.held, episode.outcome)
    cell.close()


def summary(judged: Sequence[Judged]) -> dict[str, float]:
    """Shares of agreement with the truth, and counts."""
    row: dict[str, float] = {"episodes": len(judged), "held": sum(bool(item.held) for item in judged)}
    for source in ("gripper", "image", "fused"):
        row[source] = float(np.mean([item.agrees(source) for item in judged])) if judged else float("nan")
    row["contradictions"] = sum(item.outcome.contradiction for item in judged)
    return row


@click.command(help=(__doc__ or "").split("\n\n")[0])
@click.option("--episodes", type=click.IntRange(1), default=420, help="Episodes over all variations.")
@click.option("--quick", is_flag=True, help="28 episodes.")
@click.option("--seed", type=click.IntRange(0, SEED_LIMIT), default=0, help="First scene.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line.")
def command(episodes: int, quick: bool, seed: int, as_json: bool) -> None:
    names = known_names("variations")
    episodes = 28 if quick else episodes
    print(f"{'variation':24}{'episodes':>9}{'held':>6}{'gripper':>9}{'images':>8}{'fused':>8}{'contradictions':>16}")
    judged, rows = [], {}
    for name in names:
        count = -(-episodes // len(names))
        part = list(with_progress(judged_episodes(name, count, seed), count, name))
        judged += part
        rows[name] = _print_row(name, part)
    total = _print_row("all", judged)
    if as_json:
        print(to_json({"seed": seed, **total, "variations": rows}))


def _print_row(name: str, judged: Sequence[Judged]) -> dict[str, float]:
    row = summary(judged)
    shares = "".join(
        f"{100 * row[source]:>{width}.1f}" for source, width in (("gripper", 9), ("image", 8), ("fused", 8))
    )
    print(f"{name:24}{row['episodes']:>9}{row['held']:>6}{shares}{row['contradictions']:>16}", flush=True)
    return row
