"""Options that several commands have, and options made from the fields of a settings class."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from robot_finetune.config import SEED_LIMIT, known_names
from robot_finetune.experiments.pool import RAY_HELP
from robot_finetune.progress import be_quiet

F = TypeVar("F", bound=Callable[..., Any])

FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False)


class NameOrFile(click.ParamType):
    """A name in config/<kind>/, which the shell completes, or the path of a YAML file."""

    name = "name or file"

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        names = known_names(self.kind)
        return [CompletionItem(name) for name in names if name.startswith(incomplete)] or [
            CompletionItem(incomplete, type="file")
        ]


FLAGS = {"earlier": "--with"}
"""Of fields whose flag is not their name."""
KINDS = {"robot": "robots", "variation": "variations"}
VARIATION = NameOrFile(KINDS["variation"])
VARIATION_HELP = "State of the cell: a name in config/variations or a YAML file."

BASE = " (default: the shipped base policy)"

robot = click.option("--robot", type=NameOrFile(KINDS["robot"]), default="sim", help="Profile: name or YAML file.")
variation = click.option("--variation", type=VARIATION, default="base", help=VARIATION_HELP)
episodes = click.option(
    "--episodes", type=click.IntRange(1, 100_000), default=300, help="Grasps of each evaluation, each in a new scene."
)
grasps = click.option("--grasps", type=click.IntRange(1, 100_000), default=400, help="Exploring grasps to learn from.")
seed = click.option("--seed", type=click.IntRange(0, SEED_LIMIT), default=0, help="Chooses scenes and batches.")
processes = click.option("--processes", type=click.IntRange(1, 256), default=2, help="Parallel simulations.")
threads = click.option("--threads", type=click.IntRange(1, 256), default=1, help="Threads of the learner.")
ray = click.option("--ray", default="", show_default=False, metavar="auto|ADDRESS", help=RAY_HELP)
device = click.option("--device", default="auto", help="Where networks compute: auto, cpu, cuda, cuda:1 or mps.")
quiet = click.option(
    "--quiet", is_flag=True, expose_value=False, callback=lambda ctx, param, value: be_quiet(value),
    help="Say nothing of how far it is.",
)  # fmt: skip
json_line = click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line.")


def server(prefix: str = "") -> Callable[[F], F]:
    """`--port` and `--host` of the live page, with a prefix where a command has other options besides."""
    where = "Address that the live page is met under; with another than this computer's it asks for a token."
    host = click.option(f"--{prefix}host", default="127.0.0.1", help=where)
    port = click.option(
        f"--{prefix}port", type=click.IntRange(0, 65535), default=8765, help="Port of the live page; 0: any free one."
    )
    return lambda function: port(host(function))


def policy(more: str = "") -> Callable[[F], F]:
    """`--policy`, a checkpoint folder; empty where it is not given."""
    return click.option("--policy", default="", show_default=False, help=f"Checkpoint folder{more}{BASE}.")


def of_settings(cls: type) -> Callable[[F], F]:
    """One option a field of the settings class `cls`; None where it is not given."""

    def decorate(function: F) -> F:
        for field in reversed(dataclasses.fields(cls)):
            flag, default = FLAGS.get(field.name, f"--{field.name.replace('_', '-')}"), field.default
            text = field.metadata["description"] + (f" [{unit}]" if (unit := field.metadata["unit"]) else "")
            text += f" (default: {default})" if default not in ("", ()) else ""
            repeated: dict[str, Any] = {}
            if default == ():
                repeated = {"multiple": True, "callback": lambda _, __, given: given or None}
            option = click.option(flag, field.name, type=_type(field), default=None, help=text, **repeated)
            function = option(function)
        return function

    return decorate


def _type(field: dataclasses.Field[Any]) -> Any:
    low, high, choices = (field.metadata[key] for key in ("low", "high", "choices"))
    if choices:
        return click.Choice(choices)
    if field.name in KINDS:
        return NameOrFile(KINDS[field.name])
    kind = str if field.default == () else type(field.default)
    return {int: click.IntRange(low, high), float: click.FloatRange(low, high)}.get(kind, kind)
