"""What lineages keep of what they learned, for the list of sessions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from robot_finetune.config import ConfigError, from_mapping, load_json, setting
from robot_finetune.data.layout import LINEAGE


@dataclass(frozen=True)
class Matrix:
    """Success after each step on each task, as fractions; None where it was not measured."""

    tasks: list[str] = setting(list)
    matrix: list[list[float | None]] = setting(list, low=0.0, high=1.0)


@dataclass(frozen=True)
class _Lineage:
    """What is read of the file."""

    retention: Matrix = setting(description="run robot-finetune lineage anew")


@dataclass(frozen=True)
class Retention:
    """Of one lineage. name: of its folder. problem: why it cannot be shown."""

    name: str
    tasks: tuple[str, ...] = ()
    matrix: tuple[tuple[float | None, ...], ...] = ()
    problem: str = ""


def retentions(folder: Path) -> list[Retention]:
    """Of the lineages in a folder, and of the folder itself if it is one, by name."""
    places = sorted(path.parent for path in (*folder.glob(LINEAGE), *folder.glob(f"*/{LINEAGE}")))
    return [_read(place) for place in places]


def _read(folder: Path) -> Retention:
    try:
        return read_retention(folder)
    except (ConfigError, OSError) as error:
        return Retention(folder.name, problem=str(error))


def read_retention(folder: Path) -> Retention:
    """The retention matrix of a lineage. Raises ConfigError."""
    path = folder / LINEAGE
    found = from_mapping(_Lineage, load_json(path), str(path), others=True).retention
    if len(found.tasks) != len(found.matrix) + 1 or any(len(row) != len(found.tasks) for row in found.matrix):
        raise ConfigError(f"{path}: retention: {len(found.matrix)} rows for {len(found.tasks)} tasks")
    return Retention(folder.name, tuple(found.tasks), tuple(map(tuple, found.matrix)))
