"""metrics.json: what a session measured that its episodes do not hold, summed over its runs."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robot_finetune.config import ConfigError
from robot_finetune.data.atomic_file import atomic_file

METRICS_FILE = "metrics.json"
COMPLETE = "complete"


@dataclass
class SessionMetrics:
    """Times are wall time. grasping_s: spent in `timed_grasps` grasps. losses: pairs of update and loss.

    image: hz, lost, p50_ms, p95_ms of the resting robot. discarded: episodes by the reason. ended: complete, or why the
    last run ended before.
    """

    runs: int = 0
    set_up_s: float = 0.0
    wall_s: float = 0.0
    grasping_s: float = 0.0
    timed_grasps: int = 0
    image: dict[str, float] = field(default_factory=dict)
    swap_ms: list[float] = field(default_factory=list)
    losses: list[list[float]] = field(default_factory=list)
    restarts: dict[str, int] = field(default_factory=dict)
    discarded: dict[str, int] = field(default_factory=dict)
    ended: str = ""

    @property
    def grasps_per_minute(self) -> float | None:
        """Grasps a minute of grasping; None before the first."""
        return 60 * self.timed_grasps / self.grasping_s if self.grasping_s and self.timed_grasps else None


def write_json(path: Path, data: Any) -> None:
    """Write plain data, atomically. Raises OSError."""
    with atomic_file(path) as stream:
        stream.write(json.dumps(data, indent=1).encode())


def write_metrics(folder: Path, metrics: SessionMetrics) -> None:
    """Write DIR/metrics.json. Raises OSError."""
    write_json(folder / METRICS_FILE, dataclasses.asdict(metrics))


def read_metrics(folder: Path) -> SessionMetrics:
    """Read DIR/metrics.json; empty metrics if there is none. Raises ConfigError if it is damaged."""
    path = folder / METRICS_FILE
    if not path.is_file():
        return SessionMetrics()
    try:
        return SessionMetrics(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(
            f"{path}: cannot be read ({error}); remove it to go on without earlier measurements"
        ) from error
