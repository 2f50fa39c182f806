"""Settings on their way to another computer, with the files that they name."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from robot_finetune.data.layout import REPLAY
from robot_finetune.data.version_card import CARD, WEIGHTS
from robot_finetune.sim.teacher_policy import TEACHER
from robot_finetune.types import SCRIPTED

C = TypeVar("C")

POLICIES, YAML = ("policy", "student"), ("robot", "variation")
"""Settings that may name a checkpoint folder, and the path of a YAML file."""


@dataclass(frozen=True)
class Parcel(Generic[C]):
    """files: {setting: {name: content}}."""

    settings: C
    files: dict[str, dict[str, bytes]]


def pack(settings: C, replay: bool = False) -> Parcel[C]:
    """A dataclass, with the contents of its policy and of its files of robot and variation.

    What goes by a name, everyone has. replay: the policy is to be learned from as well. Raises OSError.
    """
    files = {}
    for field in dataclasses.fields(settings):  # type: ignore[arg-type]
        value = getattr(settings, field.name)
        if field.name in POLICIES and value not in (SCRIPTED, TEACHER, ""):
            wanted = (CARD, WEIGHTS, REPLAY) if replay else (CARD, WEIGHTS)
            paths = [path for name in wanted if (path := Path(value, name)).is_file()]
        elif field.name in YAML and Path(value).suffix:
            paths = [Path(value)]
        else:
            continue
        files[field.name] = {path.name: path.read_bytes() for path in paths}
    return Parcel(settings, files)


def unpack(parcel: Parcel[C], folder: Path) -> C:
    """The settings, naming files in `folder`; those that are a Path, where results go, name a folder in it."""
    changed: dict[str, Any] = {}
    for name, contents in parcel.files.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for file, data in contents.items():
            (folder / name / file).write_bytes(data)
        changed[name] = str(folder / name if name in POLICIES else folder / name / next(iter(contents)))
    for field in dataclasses.fields(parcel.settings):  # type: ignore[arg-type]
        if isinstance(getattr(parcel.settings, field.name), Path):
            changed[field.name] = folder / field.name
    return dataclasses.replace(parcel.settings, **changed)  # type: ignore[type-var]
