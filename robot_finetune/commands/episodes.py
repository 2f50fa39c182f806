"""`robot-finetune episodes list|verify|export|relabel DIR`: the episode log, for people and for other tools."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path

import click

from robot_finetune.commands import options
from robot_finetune.data.label_log import VERDICTS

folder_argument = click.argument("folder", metavar="DIR", type=options.FOLDER)


@click.group(
    epilog="""\b
Examples (DIR is the folder of a session, or of its episodes):
  robot-finetune episodes list sessions/20260101-120000
  robot-finetune episodes verify DIR
  robot-finetune episodes export DIR --out arrays
  robot-finetune episodes relabel DIR 20260101T120000.123456-ab12 failure --why "it held the edge of the bin"
"""
)
def command() -> None:
    """List, verify, export or relabel the episodes of a session."""


@command.command("list")
@folder_argument
def list_(folder: Path) -> None:
    """One line an episode."""
    from robot_finetune.data.export import list_rows

    print(f"{'episode':34} {'variation':22} {'mode':9} {'version':>7} {'steps':>5}  {'end':12} outcome")
    for row in list_rows(folder):
        if row.problem:
            print(f"{row.file:34} cannot be read: {row.problem}")
            continue
        outcome = f"{'success' if row.success else 'failure'} {row.confidence:.2f}"
        doubt = " contradiction" if row.contradiction else ""
        place = f"{row.episode_id:34} {row.variation:22} {row.mode:9} {row.policy_version:7} {row.steps:5}"
        said = f" label: {row.label}" if row.label else ""
        print(f"{place}  {row.end_reason:12} {outcome}{doubt}{said}")


@command.command()
@folder_argument
def verify(folder: Path) -> int:
    """Read every file; exit code 1 if one is damaged."""
    from robot_finetune.data import export

    found = export.verify(folder)
    for path, why in found.corrupt:
        print(f"{path}: {why}", file=sys.stderr)
    counts = f"{found.episodes} episodes, {found.successes} successes, {found.steps} steps"
    print(f"{counts}, {found.bytes / 1e6:.1f} MB, {len(found.corrupt)} damaged")
    return 1 if found.corrupt else 0


@command.command()
@folder_argument
@click.option("--out", type=options.FOLDER, required=True, help="Folder to write to.")
def export(folder: Path, out: Path) -> None:
    """One npz file an episode and outcomes.csv, a table of all."""
    from robot_finetune.data import export

    rows = export.export(folder, out)
    damaged = sum(bool(row.problem) for row in rows)
    print(f"{len(rows) - damaged} episodes exported to {out}, {damaged} damaged ones left out")


@command.command()
@folder_argument
@click.argument("episode_id", metavar="ID")
@click.argument("verdict", type=click.Choice(VERDICTS))
@click.option("--who", default="", help="Who says so (default: the user of this computer).")
@click.option("--why", default="", help="In one line.")
def relabel(folder: Path, episode_id: str, verdict: str, who: str, why: str) -> None:
    """Say what a grasp really was. The episode stays as it is; the label overrules its judgement from now on."""
    from robot_finetune.data import export

    export.relabel(folder, episode_id, verdict, who or getpass.getuser(), why)
    print(f"{episode_id}: {verdict}")
