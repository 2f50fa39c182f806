"""`robot-finetune`: one command a job. Each job's module offers `add_arguments(parser)` and `run(args) -> exit
code`."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

COMMANDS = {
    "setup": ("robot_finetune.cell_setup.command", "walk through a new cell, measure it and write its robot profile"),
    "session": (
        "robot_finetune.session.command",
        "bring the whole ROS graph up, fine-tune while grasping, end with a report",
    ),
    "evaluate": ("robot_finetune.learning.evaluate", "success of a policy in the simulated cell, without ROS"),
    "adapt": (
        "robot_finetune.learning.adapt",
        "the paper's explore, fine-tune, evaluate on one variation, without ROS",
    ),
    "lineage": ("robot_finetune.learning.lineage", "continual learning: one variation after the other, without ROS"),
    "pretrain": ("robot_finetune.learning.pretrain", "a base policy from nothing"),
    "report": ("robot_finetune.report", "write the HTML report of a session's folder again"),
    "episodes": ("robot_finetune.data.episodes_command", "list, verify or export the episodes of a session"),
    "benchmark": ("robot_finetune.benchmark_command", "run one of the benchmarks"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command. Exit codes: 0 done, 1 could not be done (one line says why), 2 wrong usage, 130 interrupted."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="robot-finetune", description="Robots that keep learning after they are deployed."
    )
    parser.add_argument(
        "command",
        choices=COMMANDS,
        metavar="COMMAND",
        help="; ".join(f"{name}: {text}" for name, (_, text) in COMMANDS.items()),
    )
    command = parser.parse_args(words[:1]).command
    module_name, text = COMMANDS[command]
    module = importlib.import_module(module_name)
    job = argparse.ArgumentParser(prog=f"robot-finetune {command}", description=text)
    module.add_arguments(job)
    args = job.parse_args(words[1:])
    try:
        return int(module.run(args))
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if not isinstance(error, _expected_errors()):
            raise
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1


def _expected_errors() -> tuple[type[Exception], ...]:
    """What a user can cure; anything else is a defect and keeps its traceback."""
    from robot_finetune.config import ConfigError
    from robot_finetune.data.replay_storage import ReplayError
    from robot_finetune.learning.checkpoint import CheckpointError
    from robot_finetune.robot.interfaces import RobotError

    return ConfigError, ReplayError, CheckpointError, RobotError, OSError
