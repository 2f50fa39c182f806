"""The reference pages, made from the code each time the site is built, so that they cannot contradict it."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import typing
from collections.abc import Iterator
from typing import Any

import click
import topics
import yaml

import robot_finetune.nodes
from robot_finetune import cli
from robot_finetune.config import SHARE, to_mapping
from robot_finetune.exit_codes import MEANING
from robot_finetune.experiments.adaptation import AdaptConfig
from robot_finetune.experiments.distil import DistilConfig
from robot_finetune.experiments.offline import OfflineConfig
from robot_finetune.experiments.pretrain import PretrainConfig
from robot_finetune.graph.options import BringupOptions
from robot_finetune.robot.profile import CELL_KEYS, RobotProfile
from robot_finetune.ros.node.managed_node import ManagedNode, ManagedParameters
from robot_finetune.sim.variations import Variation

UNSEEN = "robot_finetune/experiments/benchmarks/unseen"
WIDTH = 100
"""Characters of a line of a command's help."""


def pages() -> dict[str, str]:
    """Markdown of each page, by its name."""
    return {
        "parameters": parameters(),
        "topics": topics.page(),
        "messages": messages(),
        "commands": commands(),
        "exit_codes": exit_codes(),
        "profile": profile(),
        "variations": variations(),
        "recipes": recipes(),
    }


def parameters() -> str:
    parts = [
        "# Parameters of the nodes",
        "A name with a dot is in a group: `promotion.share` is `promotion: {share: ...}` in a parameter file. Files in "
        "`config/` repeat the defaults that a robot or a session may want changed. A parameter is read when its node "
        "configures; those marked *while running* may be set at any time and count from the next grasp on.",
    ]
    for name in sorted(module.name for module in pkgutil.iter_modules(robot_finetune.nodes.__path__)):
        module = importlib.import_module(f"robot_finetune.nodes.{name}")
        kinds = [value for value in vars(module).values() if isinstance(value, type)]
        (settings,) = (
            kind for kind in kinds if dataclasses.is_dataclass(kind) and kind.__name__.endswith("Parameters")
        )
        managed = [kind for kind in kinds if issubclass(kind, ManagedNode) and kind is not ManagedNode]
        parts += [f"## {name}", _first(module.__doc__), table(settings, managed[0].MUTABLE if managed else ())]
    parts += ["## Of every managed node", "All but `sim_cell`.", table(ManagedParameters)]
    arguments = "Of `ros2 launch robot_finetune finetune.launch.py`, each `name:=value`."
    return _page(*parts, "## Launch arguments", arguments, table(BringupOptions))


def messages() -> str:
    parts = ["# Messages, services and actions", "As they are in `msg/`, `srv/` and `action/`."]
    marks = {"msg": "", "srv": " (service)", "action": " (action)"}
    for file in sorted(file for kind in marks for file in (SHARE / kind).glob(f"*.{kind}")):
        parts += [f"## {file.stem}{marks[file.suffix[1:]]}", _code(file.read_text())]
    return _page(*parts)


def commands() -> str:
    root = click.Context(cli.program, info_name=cli.PROGRAM, terminal_width=WIDTH, show_default=True)
    parts = ["# Commands", "What `--help` says. [Exit codes](exit_codes.md) are the same for all commands."]
    for title, names in cli.SECTIONS.items():
        parts += [f"## {title}"]
        for name in names:
            parts += [part for path, text in _helps(root, name) for part in (f"### {path}", _code(text))]
    return _page(*parts)


def _helps(parent: click.Context, name: str) -> Iterator[tuple[str, str]]:
    """The path and the help of a command and of those below it."""
    assert isinstance(parent.command, click.Group)
    command = parent.command.get_command(parent, name)
    assert command is not None
    context = click.Context(command, parent, info_name=name)
    yield context.command_path, command.get_help(context)
    for below in command.list_commands(context) if isinstance(command, click.Group) else ():
        yield from _helps(context, below)


def exit_codes() -> str:
    return _page("# Exit codes", _rows(("code", "meaning"), [(f"`{code}`", text) for code, text in MEANING.items()]))


def profile() -> str:
    place_holders = ", ".join(f"`{key}`" for key in CELL_KEYS)
    parts = [
        "# Keys of a robot profile",
        "[On a physical arm](../real_arm.md) says how they come to be known; `config/robots/template.yaml` has them in "
        "their order.",
        f"Every cell but the simulated one gives these itself: {place_holders}.",
        table(RobotProfile, groups=False),
    ]
    for name, kind in typing.get_type_hints(RobotProfile).items():
        if dataclasses.is_dataclass(kind):
            parts += [f"## {name}", kind.__doc__ or "", table(typing.cast(type, kind), prefix=f"{name}.")]
    return _page(*parts)


def variations() -> str:
    parts = ["# Variations"]
    for folder, title in (("config/variations", "Shipped"), (UNSEEN, "Of benchmarks: nothing was tuned on them")):
        files = sorted((SHARE / folder).glob("*.yaml"))
        rows = [
            (f"`{file.stem}`", *map(yaml.safe_load(file.read_text()).get, ("description", "operator_note")))
            for file in files
        ]
        parts += [f"## {title}", f"In `{folder}`.", _rows(("name", "what is different", "what a person does"), rows)]
    return _page(*parts, "## Keys of a file", "What is left out is as in the base scene.", table(Variation))


def recipes() -> str:
    parts = ["# Settings of learning", "Of the YAML files that `--config` reads."]
    for cls, of in (
        (PretrainConfig, "pretrain"), (DistilConfig, "distil"), (OfflineConfig, "pretrain --episodes"),
        (AdaptConfig, "adapt, lineage"),
    ):  # fmt: skip
        parts += [f"## {of}", table(cls)]
    return _page(*parts)


def table(cls: type, mutable: typing.Sequence[str] = (), prefix: str = "", groups: bool = True) -> str:
    """The settings of a dataclass, those in its groups with the group's name before them."""
    rows = []
    for name, field, default in _leaves(cls, to_mapping(cls()) if groups else _shallow(cls)):
        meta = field.metadata
        unit = f" [{meta['unit']}]" if meta.get("unit") else ""
        marked = " *while running*" if name in mutable else ""
        text = f"{meta.get('description', '')}{unit}{marked}"
        rows.append((f"`{prefix}{name}`", f"`{_shown(default)}`", _allowed(meta), text))
    return _rows(("name", "default", "allowed", "meaning"), rows)


def _leaves(cls: type, defaults: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        if field.name not in defaults:
            continue
        kind, default = hints[field.name], defaults[field.name]
        if dataclasses.is_dataclass(kind):
            yield from _leaves(typing.cast(type, kind), default, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", field, default


def _shallow(cls: type) -> dict[str, Any]:
    """The defaults of the settings that are not groups."""
    kinds = typing.get_type_hints(cls)
    return {name: value for name, value in to_mapping(cls()).items() if not dataclasses.is_dataclass(kinds[name])}


def _allowed(meta: typing.Mapping[str, Any]) -> str:
    low, high, choices = meta.get("low"), meta.get("high"), meta.get("choices") or ()
    if choices and len(choices) <= 8:
        return ", ".join(f"`{choice}`" for choice in choices)
    if low is not None and high is not None:
        return f"{low:g} to {high:g}"
    return f"from {low:g}" if low is not None else f"to {high:g}" if high is not None else ""


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else '""' if value == "" else str(value)


def _first(text: str | None) -> str:
    """The first sentence of a docstring, without the kind of thing that the heading says."""
    words = " ".join((text or "").split("\n\n")[0].split())
    words = words.partition("`: ")[2] or words
    return words[:1].upper() + words[1:]


def _rows(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    cells = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell or "").replace("|", "\\|") for cell in row) + " |" for row in cells)


def _code(text: str) -> str:
    return f"```text\n{text.rstrip()}\n```"


def _page(*parts: str) -> str:
    return "\n\n".join(parts) + "\n"
