"""Between an Episode and the messages in its file, as plain mappings (rclpy's messages: `ros.conversions`)."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from robot_finetune.config import ConfigError, from_mapping, setting
from robot_finetune.data.message_definitions import POLICY_STEP, constants
from robot_finetune.files import parse_json, to_json
from robot_finetune.types import (
    ACTION_SIZE,
    CELL_SIZE,
    MODES,
    SIDES,
    Action,
    Episode,
    GraspOutcome,
    Observation,
    Step,
    tool_quaternion,
    yaw_of,
)

FORMAT = "1"


@dataclass(frozen=True)
class KnownMeta:
    """The keys of `Episode.meta` that mean something to this package; there may be any others."""

    joint_names: tuple[str, ...] = setting((), "of joint_positions")
    frame_id: str = setting("base_link", "frame of the poses")
    camera_frame_id: str = setting("camera", "frame of the image")
    decision_ms: tuple[float | None, ...] = setting((), "wall time of each decision", unit="ms", low=0.0)
    number: int = setting(0, "of the episode in its folder, in the order in which they were made", low=0)
    mount: tuple[float, float] | None = setting(None, "where the gripper really is", unit="m")
    cell: tuple[float, ...] | None = setting(None, "how the cell is built: 19 numbers, of perception.cell_numbers")

    def __post_init__(self) -> None:
        if self.cell is not None and len(self.cell) != CELL_SIZE:
            raise ConfigError(f"cell: {len(self.cell)} numbers; allowed are {CELL_SIZE}")


@dataclass(frozen=True)
class EpisodeRecord:
    """The metadata record of an episode's file, which is text throughout; meta: JSON."""

    format: str = setting(description="of the file", choices=(FORMAT,))
    episode_id: str = setting(description="name of the grasp")
    variation: str = setting(description="state of the cell")
    mode: str = setting(description="explore, evaluate, scripted or demonstrate")
    end_reason: str = setting(description="why the last step was the last")
    stamp: float = setting(description="time of the robot's clock", unit="s")
    steps: int = setting(description="decisions", low=0)
    meta: dict[str, Any] = setting(description="anything else")
    crc32: str = setting("", "of the other keys")


def read_record(record: Mapping[str, str]) -> EpisodeRecord:
    """The checked metadata record of a file. Raises ValueError."""
    numbers = {"stamp": float(record["stamp"]), "steps": int(record["steps"]), "meta": parse_json(record["meta"])}
    checked = from_mapping(EpisodeRecord, {**record, **numbers}, "metadata")
    from_mapping(KnownMeta, checked.meta, "metadata: meta", others=True)
    return checked


def nanoseconds(stamp: float) -> int:
    """Seconds as whole nanoseconds, the precision of ROS time."""
    whole = math.floor(stamp)
    return whole * 10**9 + round((stamp - whole) * 1e9)


def image_message(episode: Episode, index: int) -> dict[str, Any]:
    """sensor_msgs/Image of a step. Raises ValueError unless the image is uint8 (height, width, 3)."""
    seen = episode.steps[index].observation
    if seen.image.dtype != np.uint8 or seen.image.ndim != 3 or seen.image.shape[2] != 3:
        raise ValueError(f"image of step {index} is {seen.image.dtype} {seen.image.shape}, not an RGB image")
    height, width, _ = seen.image.shape
    return {
        "header": _header(seen.stamp, episode.meta.get("camera_frame_id", "camera")),
        "height": height,
        "width": width,
        "encoding": "rgb8",
        "step": width * 3,
        "data": seen.image.tobytes(),
    }


def joint_message(episode: Episode, index: int) -> dict[str, Any]:
    """sensor_msgs/JointState of a step; without names in `meta` the joints are called joint_1, joint_2, ..."""
    step = episode.steps[index]
    names = episode.meta.get("joint_names") or [f"joint_{number + 1}" for number in range(len(step.joint_positions))]
    return {
        "header": _base_header(episode, step.observation.stamp),
        "name": list(names),
        "position": list(step.joint_positions),
    }


def step_message(episode: Episode, index: int, image: Mapping[str, Any]) -> dict[str, Any]:
    """robot_finetune/PolicyStep of a step with its image message. Raises ValueError for arrays of another size."""
    step = episode.steps[index]
    seen = step.observation
    times = episode.meta.get("decision_ms", ())
    return {
        "header": _base_header(episode, seen.stamp),
        "episode_id": episode.episode_id,
        "step": seen.step,
        "policy_version": step.policy_version,
        "variation": episode.variation,
        "mode": _mode(episode),
        "side": constants(POLICY_STEP)[step.side.upper()],
        "observation": image,
        "pose": _pose_message(seen.pose),
        "opening": seen.opening,
        "joint_positions": list(step.joint_positions),
        "asked": step.asked.vector.reshape(ACTION_SIZE).tolist(),
        "commanded": step.commanded.vector.reshape(ACTION_SIZE).tolist(),
        "q": step.q,
        "decision_ms": math.nan if index >= len(times) or times[index] is None else times[index],
        "intervention": step.intervention,
    }


def outcome_message(episode: Episode, stamp: float) -> dict[str, Any]:
    """robot_finetune/GraspOutcome of an episode."""
    return {
        "header": _base_header(episode, stamp),
        "episode_id": episode.episode_id,
        "policy_version": episode.policy_version,
        "variation": episode.variation,
        "mode": _mode(episode),
        "steps": len(episode.steps),
        "end_reason": episode.end_reason,
        "success": episode.outcome.success,
        "confidence": episode.outcome.confidence,
        "contradiction": episode.outcome.contradiction,
        "evidence_names": list(episode.outcome.evidence),
        "evidence_values": list(episode.outcome.evidence.values()),
    }


def record_of(episode: Episode) -> dict[str, str]:
    """The metadata record: what no message holds, and a checksum of itself. Raises ValueError for what cannot be read
    again."""
    record = {
        "format": FORMAT,
        "episode_id": episode.episode_id,
        "variation": episode.variation,
        "mode": episode.mode,
        "end_reason": episode.end_reason,
        "stamp": repr(float(episode.stamp)),
        "steps": str(len(episode.steps)),
        "meta": to_json(_plain(episode.meta)),
    }
    read_record(record)
    return {**record, "crc32": _checksum(record)}


def check_record(record: Mapping[str, str]) -> None:
    """Raises ValueError if a metadata record does not match its checksum."""
    content = {key: value for key, value in record.items() if key != "crc32"}
    if record.get("crc32") != _checksum(content):
        raise ValueError("checksum of the metadata does not match")


def episode_of(record: EpisodeRecord, steps: list[Any], outcome: Any) -> Episode:
    """The Episode of a metadata record and decoded PolicyStep and GraspOutcome messages."""
    return Episode(
        episode_id=record.episode_id,
        steps=tuple(_step_of(message) for message in steps),
        outcome=GraspOutcome(
            success=outcome.success,
            confidence=outcome.confidence,
            contradiction=outcome.contradiction,
            evidence=dict(zip(outcome.evidence_names, outcome.evidence_values, strict=True)),
        ),
        variation=record.variation,
        mode=record.mode,
        end_reason=record.end_reason,
        stamp=record.stamp,
        meta=record.meta,
    )


def _step_of(message: Any) -> Step:
    image = message.observation
    if image.encoding != "rgb8":
        raise ValueError(f"image encoding {image.encoding}, expected rgb8")
    pixels = np.frombuffer(image.data, np.uint8).reshape(image.height, image.width, 3)
    time = message.header.stamp
    stamp = time.sec + time.nanosec * 1e-9
    seen = Observation(pixels, _pose_of(message.pose), message.opening, message.step, stamp)
    asked, commanded = (Action(np.array(vector, np.float32)) for vector in (message.asked, message.commanded))
    side = _side_of(getattr(message, "side", 0))  # which the first files do not have, nor interventions
    of_whom = side, bool(getattr(message, "intervention", False))
    return Step(seen, asked, commanded, message.q, message.policy_version, tuple(message.joint_positions), *of_whom)


def _side_of(number: int) -> str:
    names = {constants(POLICY_STEP)[side.upper()]: side for side in SIDES}
    if number not in names:
        raise ValueError(f"side {number}: allowed are {', '.join(map(str, names))}")
    return names[number]


def _mode(episode: Episode) -> int:
    if episode.mode not in MODES:
        raise ValueError(f"mode {episode.mode!r}: allowed are {', '.join(MODES)}")
    return constants(POLICY_STEP)[episode.mode.upper()]


def _pose_message(pose: np.ndarray) -> dict[str, Any]:
    x, y, z, yaw = np.asarray(pose, np.float64).reshape(4).tolist()
    turn = dict(zip("xyzw", tool_quaternion(yaw), strict=True))
    return {"position": {"x": x, "y": y, "z": z}, "orientation": turn}


def _pose_of(message: Any) -> np.ndarray:
    """Pose (4,) of a geometry_msgs/Pose, or of the four numbers that the first files had."""
    if not hasattr(message, "position"):
        return np.array(message)
    at, turn = message.position, message.orientation
    return np.array([at.x, at.y, at.z, yaw_of(turn.x, turn.y, turn.z, turn.w)])


def _header(stamp: float, frame_id: str) -> dict[str, Any]:
    seconds, rest = divmod(nanoseconds(stamp), 10**9)
    return {"stamp": {"sec": seconds, "nanosec": rest}, "frame_id": frame_id}


def _base_header(episode: Episode, stamp: float) -> dict[str, Any]:
    return _header(stamp, episode.meta.get("frame_id", "base_link"))


def _checksum(record: Mapping[str, str]) -> str:
    return f"{zlib.crc32(json.dumps(record, sort_keys=True).encode()):08x}"


def _plain(value: Any) -> Any:
    """`value` without numpy's types."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if value is not None and not isinstance(value, (str, int, float)):
        raise TypeError(f"meta value {value!r} is no plain data")
    return value
