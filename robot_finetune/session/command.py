"""`robot-finetune session`: the whole node graph from bring-up to report, in one command."""

from __future__ import annotations

import argparse
import dataclasses
import os
import signal
import time
from pathlib import Path

from robot_finetune.config import ConfigError, share_path
from robot_finetune.learning.checkpoint import load_checkpoint
from robot_finetune.robot.profile import load_robot
from robot_finetune.ros.environment import free_domain, missing_environment
from robot_finetune.session.options import SessionHead, SessionOptions, merge_options, read_head, write_head
from robot_finetune.sim.variations import load_variation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    for entry in dataclasses.fields(SessionOptions):
        kind = type(entry.default)
        parser.add_argument(
            f"--{entry.name.replace('_', '-')}", type=kind, help=f"{entry.metadata['description']} (default: {entry.default})"
        )
    parser.add_argument("--out", type=Path, help="folder of the session (default: sessions/<date and time>)")
    parser.add_argument("--resume", type=Path, metavar="DIR", help="go on with the session in DIR")


def run(args: argparse.Namespace) -> int:
    """0 when the session is complete or was ended by Ctrl-C; the report is written in any case."""
    given = {entry.name: getattr(args, entry.name) for entry in dataclasses.fields(SessionOptions)}
    if args.resume:
        folder, stored = args.resume, read_head(args.resume)
        head = dataclasses.replace(stored, options=merge_options(given, stored.options))
    else:
        folder = args.out or Path("sessions") / time.strftime("%Y%m%d-%H%M%S")
        if (folder / "session.yaml").exists():
            raise ConfigError(f"{folder} holds a session already: go on with --resume {folder}, or give another --out")
        head = new_head(merge_options(given))
    write_head(folder, head)
    _prepare_environment()
    from robot_finetune.report import write_report  # after the environment: they import rclpy
    from robot_finetune.session.session import Session

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    session = Session(folder, head, dict(os.environ))
    try:
        session.run()
    except KeyboardInterrupt:
        session.progress.say("interrupted: what was done is kept; go on with --resume " + str(folder))
    finally:
        print(f"report: {write_report(folder)}")
    return 0


def new_head(options: SessionOptions) -> SessionHead:
    """What a new session records of itself. Raises ConfigError, CheckpointError if it could not run."""
    load_robot(options.robot)
    variation = load_variation(options.variation)
    base = load_checkpoint(options.policy or share_path("models", "base"))
    return SessionHead(
        options=options,
        started=time.strftime("%Y-%m-%d %H:%M:%S"),
        base_version=base.version,
        base_sha256=base.sha256,
        variation_name=variation.name,
        description=variation.description,
        operator_note=variation.operator_note,
    )


def _prepare_environment() -> None:
    """This process and the nodes share a domain of their own on this computer, unless the user has set one."""
    os.environ.update(missing_environment(os.environ))
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    os.environ["ROS_DOMAIN_ID"] = str(free_domain())
