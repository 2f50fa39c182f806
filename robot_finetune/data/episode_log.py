"""One MCAP file an episode, readable by `ros2 bag`, Foxglove, rosbags and mcap; written and read without ROS.

Topics: /observation (sensor_msgs/Image, as the network saw it), /policy_step, /joint_states, /grasp_outcome; log times
are the stamps of the data. The metadata record "episode" has what no message holds. A file is whole or not there.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import struct
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import zstandard
from mcap.records import Channel, Chunk, Message, Metadata, Schema
from mcap.stream_reader import StreamReader, breakup_chunk
from mcap_ros2.decoder import DecoderFactory
from mcap_ros2.writer import Writer

from robot_finetune.config import shown
from robot_finetune.data import episode_messages as messages
from robot_finetune.data.atomic_file import TEMPORARY_SUFFIX, atomic_file
from robot_finetune.data.message_definitions import GRASP_OUTCOME, JOINT_STATE, OBSERVATION, POLICY_STEP, definition
from robot_finetune.files import read_file
from robot_finetune.types import Episode

SUFFIX = ".mcap"
TOPICS = {
    "/joint_states": JOINT_STATE,
    "/observation": OBSERVATION,
    "/policy_step": POLICY_STEP,
    "/grasp_outcome": GRASP_OUTCOME,
}
_RECORD = "episode"
FILE_LIMIT = 1 << 28  # bytes of a file, and of its unpacked chunk
_ONE_CHUNK = 1 << 30  # the image is in two messages: compressed together it is stored once
_MOVE = "move the file elsewhere, the other episodes are not affected"


class EpisodeLogError(OSError):
    """An episode that could not be written; one line with cause and cure. No partial file is left."""


class CorruptEpisode(ValueError):
    """An episode's file that cannot be read; names the file, what is wrong and the cure."""

    def __init__(self, path: Path, why: str, cure: str) -> None:
        super().__init__(f"{path}: {why}; {cure}")
        self.path, self.why, self.cure = path, why, cure


def episode_path(folder: Path, episode_id: str) -> Path:
    """Where an episode of this id is kept. Raises EpisodeLogError if the id cannot be a file's name."""
    if not 0 < len(episode_id.encode()) <= 200 or episode_id.startswith(".") or "/" in episode_id or "\0" in episode_id:
        raise EpisodeLogError(f"episode id {episode_id!r} cannot be a file's name; use letters, digits, - and _")
    return Path(folder) / f"{episode_id}{SUFFIX}"


def write_episode(folder: Path, episode: Episode) -> Path:
    """Write an episode to `<folder>/<episode_id>.mcap`; when this returns it is safely on disk.

    An episode that is there already is left as it is. These keys of `episode.meta` fill message fields where given:
    joint_names (list), frame_id (of the poses), camera_frame_id, decision_ms (list, one number a step).
    Raises EpisodeLogError: disk full or not writable, another grasp under this id, values that no message can hold.
    """
    path = episode_path(folder, episode.episode_id)
    try:
        data = _encode(episode)
    except (TypeError, ValueError, OverflowError, struct.error) as error:
        raise EpisodeLogError(f"{path}: cannot be written ({error}); correct that value") from error
    if _is_written(path, episode):
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as stream:
            stream.write(data)
    except OSError as error:
        raise EpisodeLogError(f"{path}: cannot be written ({error.strerror}); {_cure(path.parent, error)}") from error
    return path


def read_episode(path: Path) -> Episode:
    """The episode in a file, checked by its checksums. Raises CorruptEpisode."""
    path = Path(path)
    try:
        data = read_file(path, FILE_LIMIT)
    except OSError as error:
        raise CorruptEpisode(path, f"cannot be read ({error.strerror})", "check the path") from error
    try:
        record, steps, outcomes = _decode(data)
        form = record.get("format", "none")
        if form == messages.FORMAT:
            checked = messages.read_record(record)
            if len(outcomes) == 1 and len(steps) == checked.steps:
                return messages.episode_of(checked, steps, outcomes[0])
    except Exception as error:  # damaged bytes make the parsers raise nearly anything
        detail = f": {' '.join(str(error).split())[:200]}" if str(error) else ""
        raise CorruptEpisode(path, f"damaged or cut off ({type(error).__name__}{detail})", _MOVE) from error
    if form != messages.FORMAT:
        raise CorruptEpisode(path, f"episode format {shown(form)}, this version reads {messages.FORMAT}", _MOVE)
    raise CorruptEpisode(path, f"{len(steps)} of {record['steps']} steps, {len(outcomes)} of 1 outcome", _MOVE)


def remove_leftovers(folder: Path) -> int:
    """Delete what killed writers left behind; for the process that writes, when it starts. Returns how many files."""
    leftovers = list(Path(folder).glob(f".*{SUFFIX}{TEMPORARY_SUFFIX}"))
    for path in leftovers:
        path.unlink(missing_ok=True)
    return len(leftovers)


def _encode(episode: Episode) -> bytes:
    output = io.BytesIO()
    writer = Writer(output, chunk_size=_ONE_CHUNK)
    schemas = {topic: writer.register_msgdef(name, definition(name)) for topic, name in TOPICS.items()}

    def write(topic: str, stamp: float, message: dict[str, Any], sequence: int) -> None:
        time = max(0, messages.nanoseconds(stamp))
        writer.write_message(topic, schemas[topic], message, time, time, sequence)

    for index, step in enumerate(episode.steps):
        stamp, image = step.observation.stamp, messages.image_message(episode, index)
        write("/joint_states", stamp, messages.joint_message(episode, index), index)
        write("/observation", stamp, image, index)
        write("/policy_step", stamp, messages.step_message(episode, index, image), index)
    end = max([episode.stamp, *(step.observation.stamp for step in episode.steps)])
    write("/grasp_outcome", end, messages.outcome_message(episode, end), 0)
    writer.add_metadata(_RECORD, messages.record_of(episode))
    writer.finish()
    return output.getvalue()


def _decode(data: bytes) -> tuple[dict[str, str], list[Any], list[Any]]:
    """The metadata record, and the decoded PolicyStep and GraspOutcome messages."""
    schemas: dict[int, Schema] = {}
    channels: dict[int, Channel] = {}
    found: dict[str, list[Any]] = {"/policy_step": [], "/grasp_outcome": []}
    record: dict[str, str] = {}
    for item in _records(data):
        if isinstance(item, Schema):
            schemas[item.id] = item
        elif isinstance(item, Channel):
            channels[item.id] = item
        elif isinstance(item, Metadata) and item.name == _RECORD:
            record = item.metadata
            messages.check_record(record)
        elif isinstance(item, Message):
            channel = channels[item.channel_id]
            if channel.topic in found:
                schema = schemas[channel.schema_id]
                found[channel.topic].append(_decoder(schema.name, schema.data)(item.data))
    return record, found["/policy_step"], found["/grasp_outcome"]


def _records(data: bytes) -> Iterator[Any]:
    """The records of a file; a chunk that would become too large is refused before it is unpacked."""
    stream = io.BytesIO(data)
    for item in StreamReader(stream, validate_crcs=True, emit_chunks=True, record_size_limit=FILE_LIMIT).records:
        if not isinstance(item, Chunk):
            yield item
            continue
        content = zstandard.frame_content_size(item.data) if item.compression == "zstd" else len(item.data)
        if item.compression not in ("zstd", "") or content != item.uncompressed_size or content > FILE_LIMIT:
            raise ValueError(
                f"chunk of {item.uncompressed_size} bytes, {content} of them {item.compression or 'plain'}"
            )
        yield from breakup_chunk(item, validate_crc=True)


@lru_cache(maxsize=16)
def _decoder(name: str, text: bytes) -> Any:
    return DecoderFactory().decoder_for("cdr", Schema(id=1, data=text, encoding="ros2msg", name=name))


def _is_written(path: Path, episode: Episode) -> bool:
    """Whether the file holds this very grasp (a damaged one does not). Raises EpisodeLogError if it holds another."""
    if not path.exists():
        return False
    try:
        there = read_episode(path)
    except CorruptEpisode:
        return False
    if _fingerprint(there) != _fingerprint(episode):
        raise EpisodeLogError(
            f"{path}: already holds another grasp; give this one another id or write to another folder"
        )
    return True


def _fingerprint(episode: Episode) -> tuple[Any, ...]:
    steps = [(step.observation.image.tobytes(), step.commanded.vector.tobytes()) for step in episode.steps]
    return episode.outcome.success, steps


def _cure(folder: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        free = shutil.disk_usage(folder).free / 1e6
        return f"{free:.1f} MB are free there: delete files or choose another output folder"
    if error.errno == errno.EFBIG:
        return "the process may not write files of this size: raise `ulimit -f`"
    return f"check that {folder} is a folder that user {os.getuid()} may write to"
