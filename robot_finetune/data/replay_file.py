"""A whole replay buffer as one compact file, such as the base replay that is shipped with a base policy.

The first line is JSON: format, image size, number of transitions and episodes, size and sha256 of the rest. The rest is
a numpy archive: the rows, and the images of each episode compressed together by zstd without loss.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zstandard

from robot_finetune.config import ConfigError, from_mapping, setting, shown
from robot_finetune.data.atomic_file import atomic_file
from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.data.replay_storage import ROW, CorruptReplay, ReplayError, as_rows, check_rows
from robot_finetune.files import parse_json, read_file, to_json

FORMAT = "robot_finetune replay 4"
READABLE = ("robot_finetune replay 2", "robot_finetune replay 3", FORMAT)
COMPRESSION_LEVEL = 19
_CURE = "fetch or pack the file again"
_FILE_LIMIT = 1 << 32  # bytes
_LINE_LIMIT = 4096  # bytes of the first line
_OVERHEAD = 4096  # bytes of an array's header, and that zstd may add to an episode that it cannot compress


@dataclass(frozen=True)
class PackedHeader:
    """The first line of a packed replay."""

    format: str = setting(description="of the file", choices=READABLE)
    image_size: int = setting(description="edge of the images", unit="px", low=1, high=4096)
    transitions: int = setting(description="steps", low=1, high=4_000_000)
    episodes: int = setting(description="grasps", low=1, high=4_000_000)
    bytes: int = setting(description="size of the rest", low=0, high=_FILE_LIMIT)
    sha256: str = setting(description="hash of the rest")

    @property
    def unpacked(self) -> int:
        """Size of all images [bytes]."""
        return self.transitions * self.image_size**2 * 3


def pack(buffer: ReplayBuffer, path: Path) -> int:
    """Write all that can be sampled to one file; returns its size in bytes. Raises OSError, ReplayError."""
    rows, images = buffer.read_all()
    if not len(rows):
        raise ReplayError(f"{path}: nothing to pack, the replay is empty; add episodes first")
    compressor = zstandard.ZstdCompressor(level=COMPRESSION_LEVEL)
    strips = [compressor.compress(images[part].tobytes()) for part in episodes_of(rows)]
    archive = io.BytesIO()
    sizes = np.array([len(strip) for strip in strips], np.int64)
    np.savez_compressed(archive, rows=rows, sizes=sizes, images=np.frombuffer(b"".join(strips), np.uint8))
    payload = archive.getvalue()
    sha256 = hashlib.sha256(payload).hexdigest()
    header = PackedHeader(FORMAT, buffer.image_size, len(rows), len(strips), len(payload), sha256)
    with atomic_file(Path(path)) as stream:
        stream.write(to_json(dataclasses.asdict(header)).encode() + b"\n" + payload)
        return stream.tell()


def unpack(path: Path, folder: Path | None = None, capacity: int | None = None) -> ReplayBuffer:
    """The buffer that was packed, in `folder` (None: a temporary one), with room for its rows or for `capacity` rows.

    Episodes that the folder already holds are not added again. Raises CorruptReplay, ReplayError.
    """
    return unpack_data(read_packed(path), path, folder, capacity)


def read_packed(path: Path) -> bytes:
    """A packed replay as it lies on disk, for `unpack_data`. Raises CorruptReplay."""
    try:
        return read_file(path, _FILE_LIMIT)
    except OSError as error:
        raise CorruptReplay(path, f"cannot be read ({error.strerror})", "check the path") from error


def unpack_data(data: bytes, path: Path, folder: Path | None = None, capacity: int | None = None) -> ReplayBuffer:
    """`unpack` of what was read from a path."""
    header, payload = _split(path, data)
    try:
        rows, strips = _read_archive(header, payload)
        buffer = ReplayBuffer(folder, capacity or len(rows), header.image_size)
        shape = (-1, header.image_size, header.image_size, 3)
        for part, strip in zip(episodes_of(rows), strips, strict=True):
            images = _decompress(strip, (part.stop - part.start) * header.image_size**2 * 3)
            buffer.add_rows(rows[part], np.frombuffer(images, np.uint8).reshape(shape))
    except ReplayError:
        raise
    except Exception as error:  # damaged bytes make the parsers raise nearly anything
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
    for part in episodes_of(rows)[which]:
        target.add_rows(rows[part].copy(), images[part])


def _split(path: Path, data: bytes) -> tuple[PackedHeader, bytes]:
    """The first line and the rest, which is what the first line says."""
    end = data.find(b"\n", 0, _LINE_LIMIT)
    try:
        line = parse_json(data[: max(end, 0)])
        if not isinstance(line, dict) or "format" not in line:
            raise ValueError("no format")
    except ValueError as error:
        raise CorruptReplay(path, "not a packed replay", "give the path of a file written by `pack`") from error
    if line["format"] not in READABLE:
        raise CorruptReplay(path, f"format {shown(line['format'])}, this version reads {FORMAT!r}", _CURE)
    try:
        header = from_mapping(PackedHeader, line, "first line")
    except ConfigError as error:
        raise CorruptReplay(path, str(error), _CURE) from error
    payload = data[end + 1 :]
    if len(payload) != header.bytes:
        raise CorruptReplay(path, f"{len(payload)} of {header.bytes} bytes are there", _CURE)
    if hashlib.sha256(payload).hexdigest() != header.sha256:
        raise CorruptReplay(path, "the sha256 in its first line does not match", _CURE)
    return header, payload


def _read_archive(header: PackedHeader, payload: bytes) -> tuple[np.ndarray, list[bytes]]:
    """The rows, and the compressed images of each episode. Nothing becomes larger than the header says."""
    episodes = header.episodes * _OVERHEAD
    limits = {"rows": header.transitions * ROW.itemsize, "sizes": episodes, "images": header.unpacked + episodes}
    with zipfile.ZipFile(io.BytesIO(payload)) as archive:
        for name, limit in limits.items():
            if archive.getinfo(f"{name}.npy").file_size > limit + _OVERHEAD:
                raise ValueError(f"{name} are larger than its first line says")
    with np.load(io.BytesIO(payload), allow_pickle=False) as arrays:
        rows, sizes, images = (arrays[name] for name in limits)
    rows = as_rows(rows)
    if rows.dtype != ROW or rows.ndim != 1 or sizes.ndim != 1:
        raise ValueError("other columns than this version has")
    if (len(rows), len(sizes)) != (header.transitions, header.episodes):
        raise ValueError("other rows than its first line says")
    check_rows(rows)
    ends = np.cumsum(sizes)
    return rows, [images[start:end].tobytes() for start, end in zip(ends - sizes, ends, strict=True)]


def _decompress(strip: bytes, size: int) -> bytes:
    if zstandard.get_frame_parameters(strip).content_size != size:
        raise ValueError("images of another size")
    return zstandard.ZstdDecompressor().decompress(strip)


def episodes_of(rows: np.ndarray) -> list[slice]:
    """Where each episode lies in rows as `ReplayBuffer.read_all` returns them."""
    if not len(rows):
        return []
    ends = np.flatnonzero(rows["remaining"] == 0) + 1
    return [slice(start, end) for start, end in zip(np.r_[0, ends[:-1]], ends, strict=True)]
