"""`robot-finetune`: one command a job. Each is in a module of its own in commands/ as `command`; this file sorts them
and says in one line what went wrong."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import click
from click.exceptions import NoArgsIsHelpError

from robot_finetune import __version__
from robot_finetune.exit_codes import DONE, FAILED, INTERRUPTED, WRONG_USAGE
from robot_finetune.needs import missing

PROGRAM = "robot-finetune"
SECTIONS = {
    "On the robot, or the simulated cell behind the same ROS topics": ("setup", "session", "teleop"),
    "In simulation, without ROS": ("picture", "pretrain", "distil", "evaluate", "adapt", "lineage", "benchmark"),
    "Afterwards, and meanwhile": ("report", "compare", "dashboard", "episodes"),
    "This computer and this program": ("doctor", "completion"),
}


def commands() -> list[str]:
    """The names of all commands."""
    return [name for names in SECTIONS.values() for name in names]


class Sections(click.Group):
    """Commands that are imported when they are asked for, shown by section."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return commands()

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in commands():
            return None
        command: click.Command = importlib.import_module(f"robot_finetune.commands.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, names in SECTIONS.items():
            commands = [(name, self.get_command(ctx, name)) for name in names]
            with formatter.section(title):
                formatter.write_dl([(name, found.get_short_help_str(90)) for name, found in commands if found])


@click.group(
    cls=Sections,
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True, "max_content_width": 120},
    epilog="`robot-finetune COMMAND --help` has examples.",
)
@click.version_option(__version__, prog_name=PROGRAM)
def program() -> None:
    """Robots that keep learning after they are deployed."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command. Returns its exit code (exit_codes.py); what could not be done is one line on standard error."""
    try:
        return int(program.main(argv, prog_name=PROGRAM, standalone_mode=False) or DONE)
    except NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return WRONG_USAGE
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else PROGRAM
        return _failed(f"{error.format_message()} See: {path} --help", WRONG_USAGE)
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except ModuleNotFoundError as error:
        if not (line := missing(error)):
            raise
        return _failed(line, FAILED)
    except Exception as error:
        if not isinstance(error, _expected_errors()):
            raise
        return _failed(str(error), FAILED)


def _failed(text: str, code: int) -> int:
    print(f"error: {' '.join(text.split())}", file=sys.stderr)
    return code


def _expected_errors() -> tuple[type[Exception], ...]:
    """What a user can cure; anything else is a defect and keeps its traceback."""
    from robot_finetune.config import ConfigError  # numpy and torch are imported only where something went wrong
    from robot_finetune.data.replay_storage import ReplayError
    from robot_finetune.learning.checkpoint import CheckpointError
    from robot_finetune.learning.device import DeviceError
    from robot_finetune.robot.interfaces import RobotError

    return ConfigError, ReplayError, CheckpointError, DeviceError, RobotError, OSError


if __name__ == "__main__":
    sys.exit(main())
