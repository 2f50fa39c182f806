"""All steps of all exported grasps in one Parquet file, for pandas, Polars, DuckDB and Spark."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from robot_finetune.data.atomic_file import atomic_file
from robot_finetune.data.episode_table import EpisodeRow
from robot_finetune.data.step_arrays import last, rewards, step_arrays, to_png
from robot_finetune.types import ACTION_SIZE, Episode

STEPS = "steps.parquet"
GRASP = ("number", "variation", "mode", "end_reason", "success", "confidence")
"""Columns that are the same in all lines of a grasp."""
ARRAYS = {
    "step": "steps",
    "stamp": "stamps",
    "pose": "poses",
    "opening": "openings",
    "joint_positions": "joint_positions",
    "asked": "asked",
    "commanded": "commanded",
    "q": "q",
    "policy_version": "policy_versions",
    "side": "sides",
    "intervention": "interventions",
}
"""Columns of numbers and names, and what `step_arrays` calls them."""


@contextmanager
def parquet_writer(folder: Path) -> Iterator[Callable[[EpisodeRow, Episode], None]]:
    """Writes `steps.parquet`, one line a step, one row group a grasp; what it gives takes the grasps.

    image is a PNG file. reward is 0, and the outcome of the grasp at its last step, where done is true. The file gets
    its name when the block ends. Raises OSError.
    """
    import pyarrow as pa
    from pyarrow import parquet

    real, action = pa.float32(), pa.list_(pa.float32(), ACTION_SIZE)
    schema = pa.schema(
        {
            "episode_id": pa.string(),
            "number": pa.int64(),
            "variation": pa.string(),
            "mode": pa.string(),
            "end_reason": pa.string(),
            "success": pa.bool_(),
            "confidence": pa.float64(),
            "step": pa.int64(),
            "stamp": pa.float64(),
            "image": pa.binary(),
            "pose": pa.list_(pa.float64(), 4),
            "opening": real,
            "joint_positions": pa.list_(pa.float64()),
            "asked": action,
            "commanded": action,
            "q": real,
            "policy_version": pa.int64(),
            "side": pa.string(),
            "intervention": pa.bool_(),
            "reward": real,
            "done": pa.bool_(),
        }
    )
    with atomic_file(folder / STEPS) as stream, parquet.ParquetWriter(stream, schema, compression="zstd") as writer:
        yield lambda row, episode: writer.write_table(pa.Table.from_pydict(_columns(row, episode), schema))


def _columns(row: EpisodeRow, episode: Episode) -> dict[str, list[Any]]:
    arrays = step_arrays(episode)
    columns: dict[str, list[Any]] = {name: [getattr(row, name)] * row.steps for name in ("episode_id", *GRASP)}
    columns |= {name: arrays[given].tolist() for name, given in ARRAYS.items()}
    columns["image"] = [to_png(np.asarray(image)) for image in arrays["images"]]
    return columns | {"reward": rewards(episode).tolist(), "done": last(episode).tolist()}
