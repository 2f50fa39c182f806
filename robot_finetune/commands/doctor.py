"""`robot-finetune doctor`"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click

from robot_finetune.commands import options
from robot_finetune.exit_codes import DONE, FAILED

COLOURS = {"ok": "green", "warning": "yellow", "error": "red"}


@click.command(
    epilog="""\b
Examples:
  robot-finetune doctor
  robot-finetune doctor --robot my_arm.yaml --out sessions/light
  robot-finetune doctor --json"""
)
@click.option("--robot", type=options.NameOrFile("robots"), default="", show_default=False, help="Profile to look at.")
@click.option("--out", type=options.FOLDER, default=Path("sessions"), help="Folder of sessions.")
@options.json_line
def command(robot: str, out: Path, as_json: bool) -> int:
    """Look at this computer and say what is missing, with its cure."""
    from robot_finetune.doctor.check import ERROR
    from robot_finetune.doctor.examine import examine

    found = []
    for check in examine(out.expanduser().absolute(), robot):
        found.append(check)
        click.echo(f"{click.style(f'{check.level:8}', fg=COLOURS[check.level])} {check.name:14} {check.found}")
        if check.cure:
            click.echo(f"{'':23} -> {check.cure}")
    sound = all(check.level != ERROR for check in found)
    if as_json:
        click.echo(json.dumps({"ok": sound, "checks": [dataclasses.asdict(check) for check in found]}))
    return DONE if sound else FAILED
