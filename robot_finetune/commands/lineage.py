"""`robot-finetune lineage`"""

from __future__ import annotations

from pathlib import Path

import click

from robot_finetune.commands.adapt import fine_tuning, recipe
from robot_finetune.files import to_json


@click.command(
    epilog="""\b
Examples:
  robot-finetune lineage --out out
  robot-finetune lineage --variations checkerboard_backing,offset_gripper_10cm --grasps 200 --out out --json"""
)
@click.option(
    "--variations", default="", show_default=False, help="Names or YAML files, with commas (default: the paper's five)."
)
@fine_tuning
def command(
    policy: str, robot: str, grasps: int, config: Path | None, episodes: int, seed: int, processes: int, ray: str,
    device: str, out: Path, as_json: bool, variations: str,
) -> None:  # fmt: skip
    """Continual learning: one variation after the other in a single lineage."""
    from robot_finetune.config import policy_folder
    from robot_finetune.data.layout import LINEAGE
    from robot_finetune.experiments.lineage import ORDER, lineage
    from robot_finetune.experiments.pool import open_workers
    from robot_finetune.experiments.retention import draw_retention, retention

    order = tuple(variations.split(",")) if variations else ORDER
    folder = str(policy_folder(policy))
    with open_workers(processes, ray) as workers:
        result = lineage(folder, order, grasps, out, seed, recipe(config), episodes, robot, workers, device)
    for step in result["steps"]:
        again = ", ".join(f"{name} {one['success_rate']:.0%}" for name, one in step["earlier"].items())
        change = f"{step['before']['success_rate']:.0%} -> {step['after']['success_rate']:.0%}"
        print(f"{step['variation']:>22}: {change}; afterwards {again}")
    tasks, matrix = retention([result["steps"]])
    kept = {"retention": {"tasks": tasks, "matrix": matrix.tolist()}}
    (out / LINEAGE).write_text(to_json(result | kept, indent=1))
    draw_retention(tasks, matrix, out / "retention.png")
    print(f"what is kept after each step: {out / 'retention.png'}")
    if as_json:
        print(to_json(result))
