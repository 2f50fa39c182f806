"""`robot-finetune picture`"""

from __future__ import annotations

from pathlib import Path

import click

from robot_finetune.commands import options


@click.command(
    epilog="""\b
Examples:
  robot-finetune picture --robot my_arm.yaml --out cell.png
  robot-finetune picture --robot my_arm.yaml --beside photo.png --out cell.png"""
)
@options.robot
@options.variation
@click.option("--beside", type=options.FILE, help="Image of the real camera, put on the left.")
@click.option(
    "--posture", type=click.Choice(("start", "out_of_view")), default="start", help="Where the arm is: see the profile."
)
@click.option("--out", type=options.FILE, required=True, help="Picture to write, PNG.")
def command(robot: str, variation: str, beside: Path | None, posture: str, out: Path) -> None:
    """What the camera of a profile's simulated cell sees, beside what it really sees: a look whether they agree."""
    from robot_finetune.experiments.cell_picture import write_picture

    write_picture(robot, variation, posture, beside, out)
