"""`robot-finetune setup`"""

from __future__ import annotations

from pathlib import Path

import click

from robot_finetune.commands import options
from robot_finetune.commands.ros import require
from robot_finetune.exit_codes import DONE, FAILED


@click.command(
    epilog="""\b
Examples:
  robot-finetune setup --robot sim --out my_cell.yaml
  robot-finetune setup --robot fr3 --name bench_3 --out bench_3.yaml"""
)
@options.robot
@click.option("--out", type=options.FILE, required=True, help="Profile to write, YAML; one that is there goes on.")
@click.option("--name", default="", help="Name of the robot in the new profile.")
def command(robot: str, out: Path, name: str) -> int:
    """Walk through a new cell, measure it and write its robot profile."""
    from robot_finetune.cell_setup.set_up import open_draft, set_up

    draft = open_draft(robot, out, name)
    require("rclpy", "visualization_msgs")
    return DONE if set_up(draft) else FAILED
