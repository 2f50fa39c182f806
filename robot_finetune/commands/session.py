"""`robot-finetune session`: the whole ROS graph, a fine-tuning session on it, and its report."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import click

from robot_finetune.commands import options
from robot_finetune.commands.ros import require
from robot_finetune.session.options import SessionOptions


@click.command(
    epilog="""\b
Examples:
  robot-finetune session --variation checkerboard_backing --grasps 200
  robot-finetune session --robot my_arm.yaml --variation my_light.yaml --out sessions/light
  robot-finetune session --resume sessions/light --grasps 400
  robot-finetune session --policy sessions/light/checkpoints/v0004 --grasps 0 --before 300    (measures it)
  robot-finetune session --web"""
)
@options.of_settings(SessionOptions)
@click.option("--out", type=options.FOLDER, help="new folder (default: sessions/<date and time>)")
@click.option("--resume", type=options.FOLDER, metavar="DIR", help="go on with the session in this folder")
@click.option("--web", is_flag=True, help="show the session on a live page, with buttons")
@options.server("web-")
def command(out: Path | None, resume: Path | None, web: bool, web_host: str, web_port: int, **given: Any) -> None:
    """Bring the whole ROS graph up, fine-tune while grasping, end with a report."""
    from robot_finetune.data.folder_lock import folder_lock
    from robot_finetune.session.start import new_head, resumed_head
    from robot_finetune.session.stop_request import stop_request

    if out and resume:
        raise click.UsageError("--out and --resume: give one of them.")
    if resume:
        folder = resume.expanduser().absolute()
        head = resumed_head(folder, given)
    else:
        folder = (out or Path("sessions") / time.strftime("%Y%m%d-%H%M%S")).expanduser().absolute()
        head = new_head(folder, given)
    require("rclpy", "robot_finetune.msg", *(("starlette", "uvicorn") if web else ()))
    page = partial(_page, folder, web_host, web_port) if web else nullcontext
    with stop_request() as asked_to_stop, folder_lock(folder, "session", "robot-finetune session"):
        _run(folder, head, asked_to_stop, page)


def _page(folder: Path, host: str, port: int, say: Callable[[str], None]) -> AbstractContextManager[None]:
    from robot_finetune.session.session import LOGS
    from robot_finetune.web.process import page_of

    return page_of(folder, host, port, folder / LOGS, say)


def _run(folder: Path, head: Any, asked_to_stop: Any, page: Any) -> None:
    from robot_finetune.session.progress import Progress

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that cannot show every character is no reason to end
    progress = Progress(sys.stdout)
    try:
        _session(folder, head, asked_to_stop, progress, page)
    finally:
        progress.drain()


def _session(folder: Path, head: Any, asked_to_stop: Any, progress: Any, page: Any) -> None:
    from robot_finetune.config import ConfigError
    from robot_finetune.report.page import write_report
    from robot_finetune.robot.interfaces import RobotError
    from robot_finetune.session.metrics import COMPLETE
    from robot_finetune.session.options import write_head
    from robot_finetune.session.session import Session

    try:
        write_head(folder, head)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written ({error.strerror}); choose another --out") from error
    progress.say(f"{head.variation}: {head.description} Session in {folder}")
    ended, failure = "", None
    with page(progress.say):
        try:
            ended = Session(folder, head, progress, asked_to_stop).run()
        except RobotError as error:
            failure = error
        for line in write_report(folder).lines:
            progress.say(line)
    if failure is not None:
        raise failure
    if ended != COMPLETE:
        progress.say(f"{ended}; go on with: robot-finetune session --resume {folder}")
