"""Between ROS messages and the core's types; no other module reads or fills image data.

`Image.data` is set from an `array`, which rclpy takes over without looking at each byte (an ndarray takes 50 ms).
"""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import Image
from trajectory_msgs.msg import JointTrajectory as JointTrajectoryMsg

from robot_finetune.msg import GraspOutcome as GraspOutcomeMsg
from robot_finetune.msg import PolicyStep
from robot_finetune.robot.interfaces import JointTrajectory
from robot_finetune.types import Action, GraspOutcome, Observation, Step

CAMERA_FRAME = "camera_optical_frame"

ENCODINGS: dict[str, tuple[type, int]] = {
    "rgb8": (np.uint8, 3),
    "bgr8": (np.uint8, 3),
    "rgba8": (np.uint8, 4),
    "bgra8": (np.uint8, 4),
    "mono8": (np.uint8, 1),
    "16UC1": (np.uint16, 1),
    "32FC1": (np.float32, 1),
}
"""Element type and channels of the encodings that are understood."""

_RGB_CHANNELS = {"rgb8": [0, 1, 2], "bgr8": [2, 1, 0], "rgba8": [0, 1, 2], "bgra8": [2, 1, 0], "mono8": [0, 0, 0]}


def to_seconds(stamp: Any) -> float:
    """A Time or Duration message in seconds."""
    return float(stamp.sec + stamp.nanosec * 1e-9)


def to_stamp(seconds: float) -> Time:
    """Seconds (of any clock, not negative) as a Time message; `to_seconds` gives the same number back."""
    whole = math.floor(seconds)
    nanoseconds = round((seconds - whole) * 1e9)
    return Time(sec=whole + nanoseconds // 10**9, nanosec=nanoseconds % 10**9)


def image_to_numpy(message: Image) -> np.ndarray:
    """The pixels as they are encoded: (height, width) or (height, width, channels), without a copy where possible.

    Raises ValueError for an encoding that is not in ENCODINGS or for data that is too short.
    """
    element, channels = _layout(message.encoding)
    kind = np.dtype(element).newbyteorder(">" if message.is_bigendian else "<")
    height, width, row = message.height, message.width, message.width * channels * kind.itemsize
    step = message.step or row
    data: np.ndarray = np.frombuffer(message.data, np.uint8)
    if step < row or data.size < step * (height - 1) + row:
        size = f"{width}x{height} {message.encoding}"
        raise ValueError(f"image {size} with step {step} has only {data.size} bytes; check the camera driver")
    if data.size < step * height:  # the last row without its padding
        data = np.pad(data, (0, step * height - data.size))
    rows = data[: step * height].reshape(height, step)[:, :row]
    pixels = rows if step == row else np.ascontiguousarray(rows)
    pixels = pixels.view(kind).reshape(height, width, channels)
    if not kind.isnative:
        pixels = pixels.astype(element)
    return pixels[:, :, 0] if channels == 1 else pixels


def image_to_rgb(message: Image) -> np.ndarray:
    """A colour or grey image as uint8 RGB (height, width, 3). Raises ValueError for depth images."""
    pixels = image_to_numpy(message)
    if message.encoding == "rgb8":
        return pixels
    if message.encoding not in _RGB_CHANNELS:
        raise ValueError(f"image encoding {message.encoding!r} holds no colours: choose the colour topic of the camera")
    return np.ascontiguousarray(np.atleast_3d(pixels)[:, :, _RGB_CHANNELS[message.encoding]])


def numpy_to_image(pixels: np.ndarray, encoding: str, stamp: Time, frame_id: str) -> Image:
    """An Image message of (height, width) or (height, width, channels) pixels. Raises ValueError if they do not fit."""
    element, channels = _layout(encoding)
    if pixels.dtype != element or pixels.ndim not in (2, 3) or np.atleast_3d(pixels).shape[2] != channels:
        raise ValueError(f"pixels {pixels.shape} {pixels.dtype} are no {encoding} image")
    message = Image(height=pixels.shape[0], width=pixels.shape[1], encoding=encoding)
    message.header.stamp = stamp
    message.header.frame_id = frame_id
    message.is_bigendian = sys.byteorder == "big"
    message.step = pixels.shape[1] * channels * pixels.itemsize
    data = array("B")
    data.frombytes(np.ascontiguousarray(pixels).data.cast("B"))
    message.data = data
    return message


def step_to_message(
    step: Step, *, episode_id: str, variation: str, mode: str, frame_id: str, decision_ms: float = 0.0
) -> PolicyStep:
    """A PolicyStep; `frame_id` is the robot's base frame."""
    seen = step.observation
    message = PolicyStep(
        episode_id=episode_id,
        step=seen.step,
        policy_version=step.policy_version,
        variation=variation,
        mode=mode,
        observation=numpy_to_image(seen.image, "rgb8", to_stamp(seen.stamp), CAMERA_FRAME),
        pose=np.asarray(seen.pose, np.float64),
        opening=float(seen.opening),
        joint_positions=[float(position) for position in step.joint_positions],
        asked=step.asked.vector,
        commanded=step.commanded.vector,
        q=float(step.q),
        decision_ms=float(decision_ms),
    )
    message.header.stamp = message.observation.header.stamp
    message.header.frame_id = frame_id
    return message


def message_to_step(message: PolicyStep) -> Step:
    """The Step in a PolicyStep message. Raises ValueError if its image is not readable."""
    image = image_to_rgb(message.observation)
    stamp = to_seconds(message.header.stamp)
    observation = Observation(image, np.array(message.pose), float(message.opening), int(message.step), stamp)
    asked = Action(np.array(message.asked, np.float32))
    commanded = Action(np.array(message.commanded, np.float32))
    joints = tuple(message.joint_positions)
    return Step(observation, asked, commanded, float(message.q), int(message.policy_version), joints)


def outcome_to_message(outcome: GraspOutcome, stamp: Time, **context: Any) -> GraspOutcomeMsg:
    """A GraspOutcome message. context: its fields episode_id, policy_version, variation, mode, steps and end_reason."""
    message = GraspOutcomeMsg(
        success=bool(outcome.success),
        confidence=float(outcome.confidence),
        contradiction=bool(outcome.contradiction),
        evidence_names=list(outcome.evidence),
        evidence_values=[float(value) for value in outcome.evidence.values()],
        **context,
    )
    message.header.stamp = stamp
    return message


def message_to_outcome(message: GraspOutcomeMsg) -> GraspOutcome:
    """The judgement in a GraspOutcome message."""
    evidence = dict(zip(message.evidence_names, message.evidence_values, strict=True))
    return GraspOutcome(bool(message.success), float(message.confidence), bool(message.contradiction), evidence)


def message_to_trajectory(message: JointTrajectoryMsg, joints: Sequence[str]) -> JointTrajectory:
    """The trajectory with its columns in the order of `joints`.

    Raises ValueError for what a joint trajectory controller refuses: other joints, no points, times that do not rise.
    """
    if sorted(message.joint_names) != sorted(joints):
        raise ValueError(f"trajectory for joints {', '.join(message.joint_names)}: this arm has {', '.join(joints)}")
    order = [list(message.joint_names).index(joint) for joint in joints]
    times = np.array([to_seconds(point.time_from_start) for point in message.points])
    lengths = {len(point.positions) for point in message.points}
    if lengths != {len(joints)}:
        raise ValueError(f"trajectory of {len(message.points)} points: each needs {len(joints)} positions, one a joint")
    if times[0] < 0 or (np.diff(times) <= 0).any():
        raise ValueError("trajectory whose time_from_start does not rise from point to point")
    return JointTrajectory(times, np.array([point.positions for point in message.points])[:, order])


def _layout(encoding: str) -> tuple[type, int]:
    if encoding not in ENCODINGS:
        raise ValueError(
            f"image encoding {encoding!r}: known are {', '.join(ENCODINGS)}; set the camera driver to rgb8"
        )
    return ENCODINGS[encoding]
