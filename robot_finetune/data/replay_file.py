"""A whole replay buffer as one compact file, such as the base replay that is shipped with a base policy.

The first line is JSON: format, image size, number of transitions and episodes, size and sha256 of the rest. The rest is
a numpy archive: the rows, and the images of each episode compressed together by zstd without loss.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import zstandard

from robot_finetune.data.atomic_file import atomic_file
from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.data.replay_storage import ROW, CorruptReplay, ReplayError

FORMAT = "robot_finetune replay 2"
COMPRESSION_LEVEL = 19
_CURE = "fetch or pack the file again"


def pack(buffer: ReplayBuffer, path: Path) -> int:
    """Write all that can be sampled to one file; returns its size in bytes. Raises OSError, ReplayError."""
    rows, images = buffer.read_all()
    if not len(rows):
        raise ReplayError(f"{path}: nothing to pack, the replay is empty; add episodes first")
    compressor = zstandard.ZstdCompressor(level=COMPRESSION_LEVEL)
    strips = [compressor.compress(images[part].tobytes()) for part in _episodes(rows)]
    archive = io.BytesIO()
    sizes = np.array([len(strip) for strip in strips], np.int64)
    np.savez_compressed(archive, rows=rows, sizes=sizes, images=np.frombuffer(b"".join(strips), np.uint8))
    payload = archive.getvalue()
    header = {
        "format": FORMAT,
        "image_size": buffer.image_size,
        "transitions": len(rows),
        "episodes": len(strips),
        "bytes": len(payload),
        "sha256": hashlib.sha256(payload).hexdigest(),
    }
    with atomic_file(Path(path)) as stream:
        stream.write(json.dumps(header).encode() + b"\n" + payload)
        return stream.tell()


def unpack(path: Path, folder: Path | None = None, capacity: int | None = None) -> ReplayBuffer:
    """The buffer that was packed, in `folder` (None: a temporary one), with room for its rows or for `capacity` rows.

    Episodes that the folder already holds are not added again. Raises CorruptReplay, ReplayError.
    """
    path = Path(path)
    header, payload = _read(path)
    try:
        with np.load(io.BytesIO(payload), allow_pickle=False) as archive:
            rows, sizes, strips = archive["rows"], archive["sizes"], archive["images"]
        if rows.dtype != ROW:
            raise ValueError("other columns than this version has")
        size = int(header["image_size"])
        buffer = ReplayBuffer(folder, capacity or len(rows), size)
        ends = np.cumsum(sizes)
        decompressor = zstandard.ZstdDecompressor()
        for part, start, end in zip(_episodes(rows), ends - sizes, ends, strict=True):
            data = decompressor.decompress(strips[start:end].tobytes())
            buffer.add_rows(rows[part], np.frombuffer(data, np.uint8).reshape(-1, size, size, 3))
    except ReplayError:
        raise
    except (ValueError, KeyError, TypeError, zipfile.BadZipFile, zstandard.ZstdError) as error:
        raise CorruptReplay(path, f"not a replay of this version ({error})", _CURE) from error
    return buffer


def copy_newest(source: ReplayBuffer, target: ReplayBuffer, episodes: int, mount: np.ndarray | None = None) -> None:
    """Add the newest episodes of one buffer, at most so many, to another. mount (2,): becomes their column `mount`."""
    _copy(source, target, slice(-episodes, None), mount)


def copy_oldest(source: ReplayBuffer, target: ReplayBuffer, episodes: int) -> None:
    """Add the oldest episodes of one buffer, at most so many, to another."""
    _copy(source, target, slice(episodes))


def _copy(source: ReplayBuffer, target: ReplayBuffer, which: slice, mount: np.ndarray | None = None) -> None:
    rows, images = source.read_all()
    if mount is not None:
        rows = rows.copy()
        rows["mount"] = mount
    for part in _episodes(rows)[which]:
        target.add_rows(rows[part].copy(), images[part])


def _read(path: Path) -> tuple[dict[str, Any], bytes]:
    try:
        with open(path, "rb") as stream:
            line, payload = stream.readline(4096), stream.read()
        header = json.loads(line)
        kind = header.get("format")
    except OSError as error:
        raise CorruptReplay(path, f"cannot be read ({error.strerror})", "check the path") from error
    except (ValueError, AttributeError) as error:
        raise CorruptReplay(path, "not a packed replay", "give the path of a file written by `pack`") from error
    if kind != FORMAT:
        raise CorruptReplay(path, f"format {kind!r}, this version reads {FORMAT!r}", _CURE)
    if len(payload) != header.get("bytes"):
        raise CorruptReplay(path, f"{len(payload)} of {header.get('bytes')} bytes are there", _CURE)
    if hashlib.sha256(payload).hexdigest() != header.get("sha256"):
        raise CorruptReplay(path, "the sha256 in its first line does not match", _CURE)
    return header, payload


def _episodes(rows: np.ndarray) -> list[slice]:
    if not len(rows):
        return []
    ends = np.flatnonzero(rows["remaining"] == 0) + 1
    return [slice(start, end) for start, end in zip(np.r_[0, ends[:-1]], ends, strict=True)]
