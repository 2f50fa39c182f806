"""How a replay buffer lies on disk: one row a step, memory-mapped numpy files, and the checks that find damage."""

from __future__ import annotations

import hashlib
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robot_finetune.config import ConfigError, from_mapping, load_json, setting, shown
from robot_finetune.files import open_file
from robot_finetune.types import ACTION_SIZE, CELL_SIZE

FORMAT = 4
SETTINGS = "replay.json"
KEY_SIZE = 16
ROW = np.dtype(
    [
        ("pose", np.float32, 4),
        ("opening", np.float32),
        ("step", np.float32),
        ("action", np.float32, ACTION_SIZE),
        ("success", np.float32),
        ("mount", np.float32, 2),  # where the gripper really is, see Batch; NaN where nobody knows
        ("cell", np.float32, CELL_SIZE),  # of the cell it was made in; NaN for the robot's own
        ("intervention", np.uint32),  # 1 where a person acted instead of the policy
        ("remaining", np.int32),  # steps of this episode after this one
        ("key", np.uint8, KEY_SIZE),  # digest of the episode id
        ("crc", np.uint32),  # of the image and the columns before this one
    ]
)
ROW_3 = np.dtype([(name, ROW[name]) for name in ROW.names or () if name != "cell"])
"""A row of format 3, which knew no other cells."""
ROW_2 = np.dtype([(name, ROW[name]) for name in ROW_3.names or () if name != "intervention"])
"""A row of format 2, which knew no persons."""
CURE = "delete this folder, it is filled again from the episode log"


class ReplayError(ValueError):
    """An episode or a folder that a replay buffer cannot take; one line with cause and cure."""


class CorruptReplay(ReplayError):
    """Stored transitions that are damaged; names the file, what is wrong and the cure."""

    def __init__(self, path: Path, why: str, cure: str) -> None:
        super().__init__(f"{path}: {why}; {cure}")
        self.path, self.why, self.cure = path, why, cure


@dataclass(frozen=True)
class ReplaySettings:
    """replay.json: what a replay's folder was made with."""

    format: int = setting(description="of the files in the folder")
    capacity: int = setting(description="rows", low=1, high=100_000_000)
    image_size: int = setting(description="edge of the images", unit="px", low=1, high=4096)


def read_settings(folder: Path) -> ReplaySettings:
    """What the replay in a folder was made with. Raises CorruptReplay."""
    path = folder / SETTINGS
    try:
        data = load_json(path)
        if data.get("format", FORMAT) != FORMAT:
            raise CorruptReplay(path, f"format {shown(data['format'])}, this version reads {FORMAT}", CURE)
        return from_mapping(ReplaySettings, data, "replay")
    except ConfigError as error:
        raise CorruptReplay(
            path, f"cannot be read ({error})", "check the path, or delete the folder to start a new replay"
        ) from error


def as_rows(rows: np.ndarray) -> np.ndarray:
    """Rows of dtype ROW, also of those that are of format 2 or 3; any others as they are."""
    if rows.dtype not in (ROW_2, ROW_3):
        return rows
    made = np.zeros(rows.shape, ROW)
    made["cell"] = np.nan
    for name in rows.dtype.names or ():
        made[name] = rows[name]
    return made


def check_rows(rows: np.ndarray) -> None:
    """Raises ValueError unless these are the rows of whole episodes, oldest first, with finite values."""
    left = rows["remaining"]
    last = np.append(left[:-1] == 0, True)
    following = np.append(left[1:], -1)
    if not ((left >= 0) & (last == (left == 0)) & (last | (following == left - 1))).all():
        raise ValueError("episodes that are not whole")
    if not all(np.isfinite(rows[name]).all() for name in ("pose", "opening", "step", "action", "success")):
        raise ValueError("values that are not finite")


def new_array(path: Path, dtype: np.dtype, shape: tuple[int, ...]) -> np.memmap:
    """A new memory-mapped array of zeros with all its disk space taken. Raises ReplayError if there is no room."""
    try:
        array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
        with open(path, "r+b") as stream:  # all blocks now: a full disk is an error here, not a crash at some later row
            os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
    except OSError as error:
        megabytes = dtype.itemsize * int(np.prod(shape)) / 1e6
        raise ReplayError(
            f"{path}: no room for {megabytes:.0f} MB ({error.strerror}); free disk space or lower the replay capacity"
        ) from error
    return array


def existing_array(path: Path, dtype: np.dtype, shape: tuple[int, ...], read_only: bool = False) -> np.memmap:
    """A memory-mapped array that must have this type and shape. Raises CorruptReplay."""
    try:
        open_file(path).close()
        array = np.lib.format.open_memmap(path, mode="r")  # a file too short fails here; "r+" would lengthen it
        if not read_only:
            array = np.lib.format.open_memmap(path, mode="r+")
    except Exception as error:  # a damaged header makes its parser raise nearly anything
        raise CorruptReplay(path, f"cannot be mapped ({error})", CURE) from error
    if array.dtype != dtype or array.shape != shape:
        raise CorruptReplay(path, f"holds {array.dtype} {array.shape}, expected {dtype} {shape}", CURE)
    return array


def episode_key(episode_id: str) -> bytes:
    """Digest of an episode id, KEY_SIZE bytes."""
    return hashlib.blake2b(episode_id.encode(), digest_size=KEY_SIZE).digest()


def checksum(row: np.void, image: np.ndarray) -> int:
    """CRC-32 of one row (all columns but its crc) and its image."""
    return zlib.crc32(image.tobytes(), zlib.crc32(row.tobytes()[: -ROW["crc"].itemsize]))
