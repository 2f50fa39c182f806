"""`robot-finetune episodes ...`: the episode log, for people and for other tools."""

from __future__ import annotations

import functools
import getpass
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from robot_finetune.commands import options
from robot_finetune.data.label_log import VERDICTS
from robot_finetune.exit_codes import DONE, FAILED
from robot_finetune.files import to_json

if TYPE_CHECKING:
    from robot_finetune.data.episode_table import EpisodeRow, Selection
    from robot_finetune.robot.profile import RobotProfile

FORMATS = ("npz", "parquet", "lerobot")
folder_argument = click.argument("folder", metavar="DIR", type=options.FOLDER)
id_argument = click.argument("episode_id", metavar="ID")
robot_option = click.option(
    "--robot", type=options.NameOrFile("robots"), default="", show_default=False,
    help="Profile whose camera and workspace are drawn (default: that of the session, else sim).",
)  # fmt: skip
FILTERS = (
    click.option("--success/--failure", default=None, help="As judged, or as people have said since."),
    click.option("--version", type=click.IntRange(0), help="That the policy had at the last step."),
    click.option("--variation", default="", show_default=False, help="Name of the state of the cell."),
    click.option("--end-reason", default="", show_default=False, help="closed, step_limit, blocked, ..."),
    click.option("--contradiction/--no-contradiction", default=None, help="Gripper and images disagreed or not."),
    click.option("--since", type=click.IntRange(0), default=0, help="Lowest number of a grasp."),
)


def filters(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options that choose episodes, handed on together as `selection`."""

    @functools.wraps(function)
    def chosen(
        success: bool | None, version: int | None, variation: str, end_reason: str, contradiction: bool | None,
        since: int, **others: Any,
    ) -> Any:  # fmt: skip
        from robot_finetune.data.episode_table import Selection

        selection = Selection(success, version, variation, end_reason, contradiction, since)
        return function(selection=selection, **others)

    return functools.reduce(lambda decorated, option: option(decorated), reversed(FILTERS), chosen)


@click.group(
    epilog="""\b
Examples (DIR is the folder of a session, or of its episodes):
  robot-finetune episodes list sessions/20260101-120000 --failure --version 4
  robot-finetune episodes show DIR 20260101T120000.123456-ab12 --png grasp.png --mp4 grasp.mp4
  robot-finetune episodes sheet DIR --contradiction --out doubtful.png
  robot-finetune episodes verify DIR
  robot-finetune episodes export DIR --format lerobot --out dataset
  robot-finetune episodes import dataset --out episodes
  robot-finetune episodes relabel DIR 20260101T120000.123456-ab12 failure --why "it held the edge of the bin"
"""
)
def command() -> None:
    """List, show, verify, export, import or relabel episodes."""


@command.command("list")
@folder_argument
@filters
@options.json_line
@options.quiet
def list_(folder: Path, selection: Selection, as_json: bool) -> None:
    """One line an episode."""
    from robot_finetune.data.episode_table import list_rows

    rows = list_rows(folder, selection)
    print(f"{'number':>6} {'episode':34} {'variation':22} {'mode':11} {'version':>7} {'steps':>5}  {'end':12} outcome")
    for row in rows:
        if row.problem:
            print(f"{'-':>6} {row.file:34} cannot be read: {row.problem}")
            continue
        outcome = f"{'success' if row.success else 'failure'} {row.confidence:.2f}"
        doubt = " contradiction" if row.contradiction else ""
        doubt += f" by hand: {row.interventions} steps" if row.interventions else ""
        place = f"{row.number:6} {row.episode_id:34} {row.variation:22} {row.mode:11} {row.policy_version:7}"
        said = f" label: {row.label}" if row.label else ""
        print(f"{place} {row.steps:5}  {row.end_reason:12} {outcome}{doubt}{said}")
    if as_json:
        print(to_json({"episodes": list(map(asdict, rows))}))


@command.command()
@folder_argument
@id_argument
@click.option("--png", type=options.FILE, help="Also write a sheet of its images, with the actions drawn in.")
@click.option("--mp4", type=options.FILE, help="Also write them as a video, two a second.")
@click.option("--rerun", type=options.FILE, help="Also write a recording (.rrd) for Rerun's viewer.")
@robot_option
@options.json_line
def show(
    folder: Path, episode_id: str, png: Path | None, mp4: Path | None, rerun: Path | None, robot: str, as_json: bool
) -> None:
    """All that is logged of one grasp."""
    from robot_finetune.data.episode_table import find_episode, labels_of
    from robot_finetune.data.step_arrays import to_png
    from robot_finetune.report import grasp_pictures
    from robot_finetune.report.grasp_text import grasp_data, grasp_lines

    row, episode = find_episode(folder, episode_id)
    labels = labels_of(folder, episode_id)
    lines = grasp_lines(row, episode, labels)
    print("\n".join(lines))
    if rerun:
        from robot_finetune.report.rerun_recording import rerun_recording

        _write(rerun, rerun_recording(episode, _profile(folder, robot), lines))
    if png or mp4:
        tiles = grasp_pictures.grasp_tiles(episode, _profile(folder, robot))
        if png:
            _write(png, to_png(grasp_pictures.contact_sheet(tiles, 5)))
        if mp4:
            _write(mp4, grasp_pictures.mp4(tiles, 2.0))
    if as_json:
        print(to_json(grasp_data(row, episode, labels)))


@command.command()
@folder_argument
@filters
@click.option("--out", type=options.FILE, required=True, help="PNG file to write.")
@click.option("--most", type=click.IntRange(1, 1000), default=60, help="Grasps shown, the newest of them.")
@click.option("--columns", type=click.IntRange(1, 100), default=6, help="Grasps beside each other.")
@robot_option
@options.quiet
def sheet(folder: Path, selection: Selection, out: Path, most: int, columns: int, robot: str) -> None:
    """The last image of many grasps, with the action drawn in and the outcome."""
    from collections import deque

    from robot_finetune.data.episode_table import read_rows
    from robot_finetune.data.step_arrays import to_png
    from robot_finetune.report import grasp_pictures

    profile = _profile(folder, robot)
    tiles: deque[Any] = deque(maxlen=most)
    for row, episode in read_rows(folder, selection):
        if episode is None:
            _passed_over(row)
        elif episode.steps:
            tiles.append(grasp_pictures.last_tile(episode, profile, row.episode_id, row.discarded))
    _write(out, to_png(grasp_pictures.contact_sheet(tiles, columns)))


@command.command()
@folder_argument
@options.json_line
@options.quiet
def verify(folder: Path, as_json: bool) -> int:
    """Read every file; exit code 1 if one is damaged."""
    from robot_finetune.data import episode_table

    found = episode_table.verify(folder)
    damaged = [f"{path}: {why}" for path, why in found.corrupt] + list(found.labels)
    for line in damaged:
        print(line, file=sys.stderr)
    counts = f"{found.episodes} episodes, {found.successes} successes, {found.steps} steps"
    labels = f"{found.discarded} discarded by people, " if found.discarded else ""
    torn = f", {len(found.labels)} lines of labels unreadable" if found.labels else ""
    print(f"{counts}, {labels}{found.bytes / 1e6:.1f} MB, {len(found.corrupt)} damaged{torn}")
    if as_json:
        names = ("episodes", "successes", "steps", "discarded", "bytes")
        print(to_json({**{name: getattr(found, name) for name in names}, "damaged": damaged}))
    return FAILED if damaged else DONE


@command.command()
@folder_argument
@filters
@click.option("--out", type=options.FOLDER, required=True, help="Folder to write to.")
@click.option("--format", "form", type=click.Choice(FORMATS), default=FORMATS[0], help="See docs/data.md.")
@options.quiet
def export(folder: Path, selection: Selection, out: Path, form: str) -> None:
    """The steps of the grasps, and outcomes.csv, a table of them; as people have labelled them."""
    from robot_finetune.data import export

    rows = export.export(folder, out, form, selection)
    for row in rows:
        _passed_over(row)
    exported, damaged = sum(map(export.is_exported, rows)), sum(bool(row.problem) for row in rows)
    discarded = sum(row.discarded for row in rows)
    print(f"{exported} episodes exported to {out}, left out: {damaged} damaged, {discarded} discarded by people")


@command.command("import")
@click.argument("source", metavar="DIR", type=options.FOLDER)
@click.option("--out", type=options.FOLDER, required=True, help="Folder of episodes to write to.")
@options.quiet
def import_(source: Path, out: Path) -> int:
    """Grasps in one of the formats of `export` (docs/data.md) become episodes; exit code 1 if one is left out."""
    from robot_finetune.data.episode_import import import_episodes

    found = import_episodes(source, out)
    for name, why in found.problems:
        print(f"{name}: {why}; it is left out", file=sys.stderr)
    print(f"{found.episodes} episodes imported to {out}, {found.successes} successes, {len(found.problems)} left out")
    return FAILED if found.problems else DONE


@command.command()
@folder_argument
@id_argument
@click.argument("verdict", type=click.Choice(VERDICTS))
@click.option("--who", default="", help="Who says so (default: the user of this computer).")
@click.option("--why", default="", help="In one line.")
def relabel(folder: Path, episode_id: str, verdict: str, who: str, why: str) -> None:
    """Say what a grasp really was. The episode stays as it is; the label overrules its judgement from now on."""
    from robot_finetune.data import episode_table

    episode_table.relabel(folder, episode_id, verdict, who or getpass.getuser(), why)
    print(f"{episode_id}: {verdict}")


def _profile(folder: Path, robot: str) -> RobotProfile:
    """The robot profile that is asked for, or that of the session whose folder, or episodes' folder, it is."""
    from robot_finetune.data.layout import SESSION_FILE
    from robot_finetune.robot.profile import load_robot
    from robot_finetune.session.options import read_head

    known = [place for place in (folder, folder.absolute().parent) if (place / SESSION_FILE).is_file()]
    return load_robot(robot or (read_head(known[0]).options.robot if known else "sim"))


def _passed_over(row: EpisodeRow) -> None:
    if row.problem:
        print(f"{row.file}: {row.problem}; it is passed over", file=sys.stderr)


def _write(path: Path, data: bytes) -> None:
    from robot_finetune.data.atomic_file import atomic_file

    with atomic_file(path) as stream:
        stream.write(data)
    print(f"written: {path}")
