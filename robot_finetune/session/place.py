"""graph.json: where the node graph of a session is met, for programs beside it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from robot_finetune.config import from_mapping, load_json, setting
from robot_finetune.session.metrics import write_json

PLACE_FILE = "graph.json"


@dataclass(frozen=True)
class Place:
    """Of a graph that runs, or of the last one that did."""

    domain_id: int = setting(description="its ROS_DOMAIN_ID", low=0, high=232)


def write_place(folder: Path, domain_id: int) -> None:
    """Write DIR/graph.json. Raises OSError."""
    write_json(folder / PLACE_FILE, dataclasses.asdict(Place(domain_id)))


def read_place(folder: Path) -> Place:
    """Read DIR/graph.json. Raises ConfigError where there is none or it is damaged."""
    path = folder / PLACE_FILE
    return from_mapping(Place, load_json(path), str(path))
