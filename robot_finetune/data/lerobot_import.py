"""Grasps out of a LeRobotDataset (format v3.0), as `lerobot_export` writes it or with the same features.

Needed are `observation.state` (x, y, z, yaw, opening), `action` (8, as `Action`), one camera whose images are in the
Parquet files, and `next.success` or `next.reward`; all else has a value where it is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from robot_finetune.config import ConfigError, load_json
from robot_finetune.data.lerobot_export import NAMES, VERSION
from robot_finetune.data.step_arrays import Found, from_png
from robot_finetune.files import one_line
from robot_finetune.progress import with_progress

INFO = "meta/info.json"
_OPTIONAL = {
    "asked": "asked",
    "policy_version": "policy_versions",
    "complementary_info.is_intervention": "interventions",
    "observation.joint_positions": "joint_positions",
    "frame_index": "steps",
}
"""Features that need not be there, and what `step_arrays` calls them."""


def read_lerobot(folder: Path) -> Iterator[tuple[str, Callable[[], Found]]]:
    """Id of each grasp (its `episode_id`, or lerobot-000000 by its index), and what makes its arrays or raises
    ValueError. Raises ConfigError for a dataset that has not the features, or cannot be read."""
    from pyarrow import parquet

    info = load_json(folder / INFO)
    try:
        camera = _camera(folder, info)
        tables = sorted((folder / "meta" / "episodes").rglob("*.parquet"))
        episodes = [line for path in tables for line in parquet.read_table(path).to_pylist()]
        read: dict[Path, Any] = {}
        for line in with_progress(episodes, len(episodes), "importing", "episodes"):
            place = {name: line[f"data/{name}"] for name in ("chunk_index", "file_index")}
            path = folder / info["data_path"].format(**place)
            if path not in read:
                read = {path: parquet.read_table(path)}
            first, end = line["dataset_from_index"], line["dataset_to_index"]
            index = np.asarray(read[path]["index"])
            rows = read[path].filter((index >= first) & (index < end)).to_pylist()
            name = line.get("episode_id") or f"lerobot-{line['episode_index']:06d}"
            yield name, lambda line=line, rows=rows: _grasp(line, rows, camera)  # type: ignore[misc]
    except ConfigError:
        raise
    except Exception as error:  # damaged bytes make the parsers raise nearly anything
        why = one_line(error)
        raise ConfigError(f"{folder}: cannot be read as a LeRobotDataset ({why}); does lerobot load it?") from error


def _camera(folder: Path, info: Any) -> str:
    """The feature of the images. Raises ConfigError where the dataset is not as the grasps of a robot here."""
    if not isinstance(info, Mapping) or not isinstance(info.get("features"), Mapping):
        raise ConfigError(f"{folder / INFO}: no features there; give the folder of a LeRobotDataset")
    if info.get("codebase_version") != VERSION:
        raise ConfigError(
            f"{folder / INFO}: format {info.get('codebase_version')}, read is {VERSION}: convert it with lerobot"
        )
    features = info["features"]
    for key in ("observation.state", "action"):
        names = features.get(key, {}).get("names")
        if names != NAMES[key]:
            raise ConfigError(f"{folder / INFO}: {key} is {names or 'missing'}, wanted is {', '.join(NAMES[key])}")
    images = [key for key, feature in features.items() if feature.get("dtype") == "image"]
    if len(images) != 1:
        raise ConfigError(
            f"{folder / INFO}: {len(images)} features with images in the Parquet files, wanted is one; record or "
            "convert the dataset without videos"
        )
    return images[0]


def _grasp(line: Mapping[str, Any], rows: list[dict[str, Any]], camera: str) -> Found:
    if not rows:
        raise ValueError("no frames")
    if camera not in rows[0]:
        raise ValueError(f"{camera} is not in its frames")
    state = np.array([row["observation.state"] for row in rows], np.float64)
    seconds = np.array([row.get("seconds", row["timestamp"]) for row in rows], np.float64)
    arrays = {
        "images": np.array([from_png(row[camera]["bytes"] or b"") for row in rows]),
        "poses": state[:, :4],
        "openings": state[:, 4],
        "commanded": np.array([row["action"] for row in rows]),
        "stamps": (line.get("first_stamp") or 0.0) + seconds,
    }
    arrays |= {name: np.array([row[key] for row in rows]) for key, name in _OPTIONAL.items() if key in rows[0]}
    return Found({**line, **_success(rows[-1])}, arrays)


def _success(last: Mapping[str, Any]) -> dict[str, Any]:
    if "next.success" in last:
        return {"success": bool(last["next.success"])}
    return {"success": last["next.reward"] > 0} if "next.reward" in last else {}
