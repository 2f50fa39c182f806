"""Grasps out of one Parquet file of steps, laid out as `parquet_export` writes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from robot_finetune.config import ConfigError
from robot_finetune.data.parquet_export import ARRAYS, GRASP
from robot_finetune.data.step_arrays import Found, from_png
from robot_finetune.files import one_line
from robot_finetune.progress import with_progress


def read_parquet(path: Path) -> Iterator[tuple[str, Callable[[], Found]]]:
    """Id of each grasp, and what makes its arrays or raises ValueError. The rows of a grasp are in one row group, in
    their order. Raises ConfigError for a file that is no such table."""
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
        for group in with_progress(range(file.num_row_groups), file.num_row_groups, "importing", "episodes"):
            grasps: dict[str, list[dict[str, Any]]] = {}
            for row in file.read_row_group(group).to_pylist():
                grasps.setdefault(row["episode_id"], []).append(row)
            for name, rows in grasps.items():
                yield name, lambda rows=rows: _grasp(rows)  # type: ignore[misc]
    except Exception as error:  # damaged bytes make the parsers raise nearly anything
        raise ConfigError(f"{path}: cannot be read ({one_line(error)}); docs/data.md says what is in it") from error


def _grasp(rows: list[dict[str, Any]]) -> Found:
    head = rows[-1]
    arrays = {array: np.array([row[name] for row in rows]) for name, array in ARRAYS.items() if name in head}
    if "image" not in head:
        raise ValueError("`image` is missing")
    arrays["images"] = np.array([from_png(row["image"]) for row in rows])
    said = {name: head[name] for name in GRASP if name in head}
    if "reward" in head:
        said["success"] = head["reward"] > 0
    return Found(said, arrays)
