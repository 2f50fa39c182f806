"""What a session is begun or resumed with: its arguments and what they name are checked before anything starts."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

from robot_finetune.config import ConfigError, resolve
from robot_finetune.data.episode_store import episodes_in
from robot_finetune.data.layout import EPISODES, SESSION_FILE
from robot_finetune.data.version_card import read_card
from robot_finetune.robot.profile import load_robot
from robot_finetune.session.options import SessionHead, merge_options, read_head
from robot_finetune.sim.variations import load_variation
from robot_finetune.types import SCRIPTED

EXTENDABLE = ("grasps", "before", "after", "real_time_factor", "image_check", "tensorboard", "params_file")
"""Options that a resumed session may change; the others make it another experiment."""


def new_head(folder: Path, given: dict[str, object]) -> SessionHead:
    """Check the arguments of a new session and what they name. Raises ConfigError."""
    if (folder / SESSION_FILE).exists():
        raise ConfigError(f"{folder} holds a session already: go on with --resume {folder}, or give another --out")
    if (folder / EPISODES).is_dir() and any((folder / EPISODES).iterdir()):
        raise ConfigError(
            f"{folder} holds episodes of something else, which would count as this session's: give another --out"
        )
    options = merge_options(given)
    if not options.measures:
        told = [name for name in ("before", "after") if given.get(name) is not None]
        if told:
            what = "--policy scripted" if options.scripted else f"--mode {options.mode}"
            raise ConfigError(f"--{told[0]} measures a policy, which {what} does not: leave it out")
        options = dataclasses.replace(options, before=0, after=0)
    policy = options.checkpoint
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
            policy=SCRIPTED if options.scripted else str(policy),
            robot=_lasting("robots", options.robot),
            variation=_lasting("variations", options.variation),
            params_file=_existing(options.params_file),
            earlier=tuple(_recorded(folder) for folder in options.earlier),
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
    card = read_card(head.options.checkpoint)
    if card.sha256 != head.base_sha256:
        raise ConfigError(f"{card.folder} is no longer the policy that the session in {folder} began with: put it back")
    return dataclasses.replace(head, options=merge_options(given, head.options))


def _lasting(kind: str, name: str) -> str:
    """A name as it is, a path as an absolute one. Raises ConfigError where there is no such thing."""
    path = resolve(kind, name)
    return name if Path(name).stem == name else str(path.absolute())


def _recorded(folder: str) -> str:
    """The absolute path of a folder with episodes. Raises ConfigError where there are none."""
    path = Path(folder).expanduser().absolute()
    episodes_in(path)
    return str(path)


def _existing(file: str) -> str:
    """A file's absolute path, or nothing where none was given. Raises ConfigError."""
    if file and not Path(file).expanduser().is_file():
        raise ConfigError(f"--params-file {file}: no such file; check the path")
    return str(Path(file).expanduser().absolute()) if file else ""
