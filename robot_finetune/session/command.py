"""`robot-finetune session`: the whole ROS graph, a fine-tuning session on it, and its report."""

from __future__ import annotations

import argparse
import dataclasses
import io
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from robot_finetune.config import ConfigError, policy_folder, resolve
from robot_finetune.data.version_card import read_card
from robot_finetune.robot.interfaces import RobotError
from robot_finetune.robot.profile import load_robot
from robot_finetune.session.options import (
    SESSION_FILE,
    SessionHead,
    SessionOptions,
    merge_options,
    read_head,
    write_head,
)
from robot_finetune.sim.variations import load_variation

EXTENDABLE = ("grasps", "before", "after", "real_time_factor", "image_check", "params_file")
"""Options that a resumed session may change; the others make it another experiment."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    for field in dataclasses.fields(SessionOptions):
        unit = f" [{field.metadata['unit']}]" if field.metadata["unit"] else ""
        shown = f" (default: {field.default})" if field.default != "" else ""
        text = f"{field.metadata['description']}{unit}{shown}".replace("%", "%%")
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=type(field.default), help=text)
    folder = parser.add_mutually_exclusive_group()
    folder.add_argument("--out", type=Path, help="new folder (default: sessions/<date and time>)")
    folder.add_argument("--resume", type=Path, metavar="DIR", help="go on with the session in this folder")


def run(args: argparse.Namespace) -> int:
    given = {field.name: getattr(args, field.name) for field in dataclasses.fields(SessionOptions)}
    if args.resume:
        folder = args.resume.expanduser().absolute()
        head = resumed_head(folder, given)
    else:
        folder = (args.out or Path("sessions") / time.strftime("%Y%m%d-%H%M%S")).expanduser().absolute()
        head = new_head(folder, given)
    with stop_request() as asked_to_stop:
        return _run(folder, head, asked_to_stop)


def new_head(folder: Path, given: dict[str, object]) -> SessionHead:
    """Check the arguments of a new session and what they name. Raises ConfigError."""
    if (folder / SESSION_FILE).exists():
        raise ConfigError(f"{folder} holds a session already: go on with --resume {folder}, or give another --out")
    options = merge_options(given)
    policy = policy_folder(options.policy)
    card = read_card(policy)
    if not card.sound:
        raise ConfigError(
            f"{policy}: the weights are not those of its card; fetch the checkpoint again or use another one"
        )
    load_robot(options.robot)
    variation = load_variation(options.variation)
    return SessionHead(
        dataclasses.replace(
            options,
            policy=str(policy),
            robot=_lasting("robots", options.robot),
            variation=_lasting("variations", options.variation),
            params_file=_existing(options.params_file),
        ),
        started=time.strftime("%Y-%m-%d %H:%M:%S"),
        base_version=card.version,
        base_parent=card.parent,
        base_sha256=card.sha256,
        variation=variation.name,
        description=variation.description,
        operator_note=variation.operator_note,
    )


def resumed_head(folder: Path, given: dict[str, object]) -> SessionHead:
    """The session in a folder, its options changed as far as that is the same experiment. Raises ConfigError."""
    head = read_head(folder)
    fixed = [name for name, value in given.items() if value is not None and name not in EXTENDABLE]
    if fixed:
        raise ConfigError(
            f"--{fixed[0].replace('_', '-')} belongs to the session in {folder}: leave it out with --resume"
        )
    card = read_card(Path(head.options.policy))
    if card.sha256 != head.base_sha256:
        raise ConfigError(f"{card.folder} is no longer the policy that the session in {folder} began with: put it back")
    return dataclasses.replace(head, options=merge_options(given, head.options))


def _lasting(kind: str, name: str) -> str:
    """A name as it is, a path as an absolute one. Raises ConfigError where there is no such thing."""
    path = resolve(kind, name)
    return name if Path(name).stem == name else str(path.absolute())


def _existing(file: str) -> str:
    """A file's absolute path, or nothing where none was given. Raises ConfigError."""
    if file and not Path(file).expanduser().is_file():
        raise ConfigError(f"--params-file {file}: no such file; check the path")
    return str(Path(file).expanduser().absolute()) if file else ""


def _run(folder: Path, head: SessionHead, asked_to_stop: StopRequest) -> int:
    try:
        import robot_finetune.msg  # noqa: F401
        from robot_finetune.session.session import Session
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{error.name} is not installed: run `make build`, or source the workspace's setup file"
        ) from error
    from robot_finetune.report import write_report
    from robot_finetune.session.metrics import COMPLETE
    from robot_finetune.session.progress import Progress

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that cannot show every character is no reason to end
    progress = Progress(sys.stdout)
    try:
        write_head(folder, head)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written ({error.strerror}); choose another --out") from error
    progress.say(f"{head.variation}: {head.description} Session in {folder}")
    ended, failure = "", None
    try:
        ended = Session(folder, head, progress, asked_to_stop).run()
    except RobotError as error:
        failure = error
    report = write_report(folder)
    for line in report.lines:
        progress.say(line)
    if failure is not None:
        raise failure
    if ended != COMPLETE:
        progress.say(f"{ended}; go on with: robot-finetune session --resume {folder}")
    return 0


class StopRequest:
    """True once SIGINT or SIGTERM has come; the second one raises KeyboardInterrupt."""

    def __init__(self) -> None:
        self._asked = False

    def __call__(self) -> bool:
        return self._asked

    def handle(self, *_: object) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True


@contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Ctrl-C and SIGTERM only ask for the end while the block runs."""
    request = StopRequest()
    previous = {number: signal.signal(number, request.handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
