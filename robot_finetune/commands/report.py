"""`robot-finetune report`"""

from __future__ import annotations

from pathlib import Path

import click

from robot_finetune.commands import options


@click.command(
    epilog="""\b
Examples:
  robot-finetune report sessions/20260101-120000"""
)
@click.argument("folder", metavar="DIR", type=options.FOLDER)
def command(folder: Path) -> None:
    """Write the HTML report of a session's folder again."""
    from robot_finetune.report.page import write_report

    for line in write_report(folder).lines:
        print(line)
