"""A LeRobotDataset (format v3.0) of logged grasps, written without the package lerobot, which reads it.

One frame is one decision. Images are in the Parquet files as PNG, not in videos: grasps are short, and nothing is lost.
LeRobot's timestamps count decisions, one a second; when they really were is in the column `seconds`, from the grasp's
first image on, whose stamp is `first_stamp` in meta/episodes: the time of day does not fit into LeRobot's float32.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from robot_finetune.config import ConfigError
from robot_finetune.data.atomic_file import atomic_file
from robot_finetune.data.episode_table import EpisodeRow
from robot_finetune.data.lerobot_stats import Stats, feature_stats, image_stats, pooled
from robot_finetune.data.step_arrays import last, rewards, step_arrays, to_png
from robot_finetune.files import to_json
from robot_finetune.types import Episode

VERSION, FPS, TASK = "v3.0", 1, "grasp an object from the bin"
CAMERA = "observation.images.camera"
FILE_MB, CHUNK_FILES = 100, 1000
FILE = "chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
NAMES = {
    CAMERA: ["height", "width", "channels"],
    "observation.state": ["x", "y", "z", "yaw", "opening"],
    **dict.fromkeys(("action", "asked"), ["dx", "dy", "dz", "sin_yaw", "cos_yaw", "open", "close", "terminate"]),
}


class UnlikeOthers(ValueError):
    """A grasp that cannot be in one dataset with those before it; says why."""


@contextmanager
def lerobot_writer(folder: Path) -> Iterator[Callable[[EpisodeRow, Episode], None]]:
    """Writes data/ and meta/; what it gives takes the grasps, and raises UnlikeOthers.

    meta/info.json, without which there is no dataset, comes last. Raises ConfigError if there is one already, or no
    grasp was given; OSError.
    """
    if (folder / "data").exists() or (folder / "meta").exists():
        raise ConfigError(f"{folder}: holds a dataset already; remove it or give another folder")
    dataset = _Dataset(folder)
    try:
        yield dataset.add
    finally:
        dataset.close()
    dataset.write_meta()


class _Dataset:
    def __init__(self, folder: Path) -> None:
        import pyarrow
        from pyarrow import parquet

        self._arrow, self._parquet = pyarrow, parquet
        self._folder = folder
        self._features: dict[str, dict[str, Any]] = {}
        self._episodes: list[dict[str, Any]] = []
        self._stats: list[dict[str, Stats]] = []
        self._frames = 0
        self._writer: Any = None
        self._files = self._size = 0

    def add(self, row: EpisodeRow, episode: Episode) -> None:
        """Write the frames of a grasp."""
        images, columns = step_arrays(episode)["images"], _columns(episode, len(self._episodes), self._frames)
        features = {CAMERA: _feature(CAMERA, "image", list(images.shape[1:]))}
        features |= {key: _feature(key, str(data.dtype), list(data.shape[1:]) or [1]) for key, data in columns.items()}
        if self._features and features != self._features:
            other = [key for key in {**features, **self._features} if features.get(key) != self._features.get(key)]
            raise UnlikeOthers(f"{', '.join(other)} of another size than in the grasps before; export it by itself")
        self._features = features
        place = self._write(images, columns)
        stats = {CAMERA: image_stats(images), **{key: feature_stats(data) for key, data in columns.items()}}
        self._stats.append(stats)
        said = {name: value for name, value in asdict(row).items() if name != "problem"}
        indices = {"dataset_from_index": self._frames, "dataset_to_index": self._frames + row.steps}
        flat = {f"stats/{key}/{name}": value.tolist() for key, one in stats.items() for name, value in one.items()}
        here = {"meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0}
        which = {"episode_index": len(self._episodes), "tasks": [TASK], "length": row.steps}
        which["first_stamp"] = episode.steps[0].observation.stamp
        self._episodes.append({**which, **place, **indices, **said, **flat, **here})
        self._frames += row.steps

    def close(self) -> None:
        """End the file that is being written."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def write_meta(self) -> None:
        """Write all of meta/."""
        if not self._episodes:
            raise ConfigError(f"{self._folder}: no grasp to export; ask for fewer things, or give another session")
        meta = self._folder / "meta"
        episodes = meta / "episodes" / FILE.format(chunk_index=0, file_index=0)
        episodes.parent.mkdir(parents=True)
        self._parquet.write_table(self._arrow.Table.from_pylist(self._episodes), episodes)
        self._parquet.write_table(self._tasks(), meta / "tasks.parquet")
        everything = {key: pooled([stats[key] for stats in self._stats]) for key in self._features}
        plain = {key: {name: value.tolist() for name, value in one.items()} for key, one in everything.items()}
        for name, data in (("stats.json", plain), ("info.json", self._info())):
            with atomic_file(meta / name) as stream:
                stream.write(to_json(data, indent=2).encode())

    def _write(self, images: np.ndarray, columns: dict[str, np.ndarray]) -> dict[str, int]:
        """A row group of the newest file, or of a new one where that is full; says which."""
        arrow = self._arrow
        file = arrow.struct({"bytes": arrow.binary(), "path": arrow.string()})
        arrays = {CAMERA: arrow.array([{"bytes": to_png(image), "path": None} for image in images], file)}
        for key, data in columns.items():
            flat = arrow.array(data.ravel())
            arrays[key] = flat if data.ndim == 1 else arrow.FixedSizeListArray.from_arrays(flat, data.shape[1])
        table = arrow.table(arrays)
        if self._writer is None or self._size + table.nbytes > FILE_MB * 1e6:
            self.close()
            place = _place(self._files)
            path = self._folder / "data" / FILE.format(**place)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = self._parquet.ParquetWriter(path, table.schema)
            self._files, self._size = self._files + 1, 0
        self._writer.write_table(table)
        self._size += table.nbytes
        return {f"data/{name}": number for name, number in _place(self._files - 1).items()}

    def _tasks(self) -> Any:
        """The one task, as pandas writes a table whose index is the column `task`."""
        table = self._arrow.table({"task_index": [0], "task": [TASK]})
        kinds = {"task_index": ("int64", "int64"), "task": ("unicode", "object")}
        columns = [
            {"name": name, "field_name": name, "pandas_type": kind, "numpy_type": numpy_type, "metadata": None}
            for name, (kind, numpy_type) in kinds.items()
        ]
        pandas = {"index_columns": ["task"], "column_indexes": [], "columns": columns, "pandas_version": "2.0.0"}
        return table.replace_schema_metadata({"pandas": json.dumps(pandas)})

    def _info(self) -> dict[str, Any]:
        episodes = len(self._episodes)
        return {
            "codebase_version": VERSION,
            "robot_type": None,
            "total_episodes": episodes,
            "total_frames": self._frames,
            "total_tasks": 1,
            "chunks_size": CHUNK_FILES,
            "data_files_size_in_mb": FILE_MB,
            "video_files_size_in_mb": FILE_MB,
            "fps": FPS,
            "splits": {"train": f"0:{episodes}"},
            "data_path": f"data/{FILE}",
            "video_path": None,
            "features": self._features,
        }


def _columns(episode: Episode, index: int, frames: int) -> dict[str, np.ndarray]:
    """All but the images: one row a frame, of the episode number `index` behind `frames` others."""
    arrays, ends = step_arrays(episode), last(episode)
    count = np.arange(len(ends))
    columns = {"observation.state": np.column_stack([arrays["poses"], arrays["openings"]]).astype(np.float32)}
    joints = arrays["joint_positions"].astype(np.float32)
    if joints.size and np.isfinite(joints).all():
        columns["observation.joint_positions"] = joints
    return columns | {
        "action": arrays["commanded"],
        "asked": arrays["asked"],
        "policy_version": arrays["policy_versions"],
        "seconds": (arrays["stamps"] - arrays["stamps"][0]).astype(np.float32),
        "complementary_info.is_intervention": arrays["interventions"],
        "next.reward": rewards(episode),
        "next.done": ends,
        "next.success": ends & episode.outcome.success,
        "timestamp": (count / FPS).astype(np.float32),
        "frame_index": count,
        "episode_index": np.full(len(count), index),
        "index": frames + count,
        "task_index": np.zeros(len(count), np.int64),
    }


def _feature(key: str, dtype: str, shape: list[int]) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "names": NAMES.get(key)}


def _place(number: int) -> dict[str, int]:
    chunk, file = divmod(number, CHUNK_FILES)
    return {"chunk_index": chunk, "file_index": file}
