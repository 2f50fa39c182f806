"""metrics.json: what a session measured that its episodes do not hold, summed over its runs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robot_finetune.config import ConfigError, from_mapping, load_json, setting
from robot_finetune.data.atomic_file import atomic_file
from robot_finetune.files import to_json

METRICS_FILE = "metrics.json"
COMPLETE = "complete"


@dataclass
class SessionMetrics:
    """Times are wall time."""

    runs: int = setting(0, "starts of the session", low=0, high=2**31)
    set_up_s: float = setting(0.0, "until the node graph was up", unit="s", low=0.0)
    wall_s: float = setting(0.0, "all runs", unit="s", low=0.0)
    grasping_s: float = setting(0.0, "spent in timed_grasps grasps", unit="s", low=0.0)
    timed_grasps: int = setting(0, "grasps in grasping_s", low=0, high=2**31)
    image: dict[str, float] = setting(dict, "hz, lost, p50_ms, p95_ms of the resting robot")
    swap_ms: list[float] = setting(list, "of each change of the policy's version", unit="ms", low=0.0)
    losses: list[tuple[float, float]] = setting(list, "pairs of update and loss")
    restarts: dict[str, int] = setting(dict, "how often each node was started again", low=0)
    discarded: dict[str, int] = setting(dict, "episodes that were discarded or lost, by the reason", low=0)
    ended: str = setting("", "complete, or why the last run ended before")

    @property
    def grasps_per_minute(self) -> float | None:
        """Grasps a minute of grasping; None before the first."""
        return 60 * self.timed_grasps / self.grasping_s if self.grasping_s and self.timed_grasps else None


def write_json(path: Path, data: Any) -> None:
    """Write plain data, atomically; numbers that are not finite become null. Raises OSError."""
    with atomic_file(path) as stream:
        stream.write(to_json(data, indent=1).encode())


def write_metrics(folder: Path, metrics: SessionMetrics) -> None:
    """Write DIR/metrics.json. Raises OSError."""
    write_json(folder / METRICS_FILE, dataclasses.asdict(metrics))


def read_metrics(folder: Path) -> SessionMetrics:
    """Read DIR/metrics.json; empty metrics if there is none. Raises ConfigError if it is damaged."""
    path = folder / METRICS_FILE
    if not path.is_file():
        return SessionMetrics()
    try:
        return from_mapping(SessionMetrics, load_json(path), str(path))
    except ConfigError as error:
        raise ConfigError(f"{error}; or remove the file to go on without earlier measurements") from error
