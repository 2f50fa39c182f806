"""Between ROS messages and the core's types; images are in `ros.images`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, Pose, Quaternion
from trajectory_msgs.msg import JointTrajectory as JointTrajectoryMsg

from robot_finetune.data.version_store import Announced
from robot_finetune.msg import GraspOutcome as GraspOutcomeMsg
from robot_finetune.msg import ModelUpdate, PolicyStep
from robot_finetune.robot.joint_trajectory import JointTrajectory
from robot_finetune.ros.checked import finite, plain_text, shown
from robot_finetune.ros.constants import MODE, SIDE
from robot_finetune.ros.images import CAMERA_FRAME, image_to_rgb, numpy_to_image
from robot_finetune.ros.node.stamps import to_seconds, to_stamp
from robot_finetune.types import (
    ACTION_SIZE,
    LARGEST_IMAGE,
    MOST_STEPS,
    Action,
    GraspOutcome,
    Observation,
    Step,
    tool_quaternion,
    yaw_of,
)

FAR, LONG = 1e3, 3600.0
"""Metres or radians, and seconds, beyond which a number of a message is none."""
MOST_JOINTS, MOST_POINTS, MOST_EVIDENCE = 64, 10_000, 64


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
        mode=MODE.number(mode),
        side=SIDE.number(step.side),
        observation=numpy_to_image(seen.image, "rgb8", to_stamp(seen.stamp), CAMERA_FRAME),
        pose=pose_to_message(seen.pose),
        opening=float(seen.opening),
        joint_positions=[float(position) for position in step.joint_positions],
        asked=step.asked.vector,
        commanded=step.commanded.vector,
        q=float(step.q),
        decision_ms=float(decision_ms),
        intervention=step.intervention,
    )
    message.header.stamp = message.observation.header.stamp
    message.header.frame_id = frame_id
    return message


def message_to_step(message: PolicyStep) -> Step:
    """The Step in a PolicyStep message. Raises ValueError for anything that no policy can have seen or asked for."""
    image = image_to_rgb(message.observation)
    if max(image.shape[:2]) > LARGEST_IMAGE:
        size = f"{image.shape[1]}x{image.shape[0]}"
        raise ValueError(f"observation of {size} pixels: at most {LARGEST_IMAGE}x{LARGEST_IMAGE} are expected")
    if message.step >= MOST_STEPS:
        raise ValueError(f"step {message.step}: an episode has at most {MOST_STEPS}")
    stamp = to_seconds(message.header.stamp)
    finite([stamp], "stamp", 0.0, 2.0**32, 1)
    pose = message_to_pose(message.pose)
    (opening,) = finite([message.opening], "opening", -0.5, 1.5, 1)
    joints = finite(message.joint_positions, "joint_positions", -FAR, FAR, MOST_JOINTS)
    actions = (finite(vector, "action", -10.0, 10.0, ACTION_SIZE) for vector in (message.asked, message.commanded))
    asked, commanded = (Action(vector.astype(np.float32)) for vector in actions)
    if np.isinf(message.q):
        raise ValueError(f"q is {message.q}")
    observation = Observation(image, pose, float(opening), int(message.step), stamp)
    return Step(
        observation,
        asked,
        commanded,
        float(message.q),
        int(message.policy_version),
        tuple(joints.tolist()),
        SIDE.name(message.side),
        bool(message.intervention),
    )


def pose_to_message(pose: np.ndarray) -> Pose:
    """Of a pose (4,) [m, rad] of the tool, which points straight down."""
    x, y, z, yaw = map(float, pose)
    return Pose(
        position=Point(x=x, y=y, z=z), orientation=Quaternion(**dict(zip("xyzw", tool_quaternion(yaw), strict=True)))
    )


def message_to_pose(message: Pose) -> np.ndarray:
    """The pose (4,) [m, rad] of a tool in a message. Raises ValueError unless it points straight down, not far away."""
    at, turn = message.position, message.orientation
    position = finite((at.x, at.y, at.z), "position", -FAR, FAR, 3)
    return np.array([*position, yaw_of(turn.x, turn.y, turn.z, turn.w)])


def check_context(message: Any) -> None:
    """Raises ValueError unless the texts of a message about an episode are such as a policy gives."""
    if not plain_text(message.episode_id, "episode_id"):
        raise ValueError("a message about an episode has no episode_id")
    plain_text(message.variation, "variation", 4096)  # may be a path
    MODE.name(message.mode)
    if hasattr(message, "end_reason"):
        plain_text(message.end_reason, "end_reason")


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
    """The judgement in a GraspOutcome message. Raises ValueError for what is none."""
    names, values = message.evidence_names, message.evidence_values
    if len(names) != len(values) or len(names) > MOST_EVIDENCE:
        raise ValueError(f"evidence of {len(names)} names and {len(values)} values: as many are expected of both")
    if message.steps > MOST_STEPS:
        raise ValueError(f"an outcome after {message.steps} steps: an episode has at most {MOST_STEPS}")
    evidence = {plain_text(name, "name of evidence"): float(value) for name, value in zip(names, values, strict=True)}
    return GraspOutcome(bool(message.success), float(message.confidence), bool(message.contradiction), evidence)


def message_to_trajectory(message: JointTrajectoryMsg, joints: Sequence[str]) -> JointTrajectory:
    """The trajectory with its columns in the order of `joints`.

    Raises ValueError for what a joint trajectory controller refuses: other joints, no points, times that do not rise,
    numbers that are none.
    """
    if sorted(message.joint_names) != sorted(joints):
        raise ValueError(f"trajectory for joints {shown(list(message.joint_names))}: this arm has {', '.join(joints)}")
    if len(message.points) > MOST_POINTS:
        raise ValueError(f"trajectory of {len(message.points)} points: at most {MOST_POINTS} are taken")
    order = [list(message.joint_names).index(joint) for joint in joints]
    times = np.array([to_seconds(point.time_from_start) for point in message.points])
    lengths = {len(point.positions) for point in message.points}
    if lengths != {len(joints)}:
        raise ValueError(f"trajectory of {len(message.points)} points: each needs {len(joints)} positions, one a joint")
    if times[0] < 0 or (np.diff(times) <= 0).any():
        raise ValueError("trajectory whose time_from_start does not rise from point to point")
    finite(times, "time_from_start", 0.0, LONG, MOST_POINTS)
    positions = np.array([point.positions for point in message.points])[:, order]
    finite(positions, "trajectory", -FAR, FAR, positions.size)
    lengths = {len(point.velocities) for point in message.points}
    if lengths == {0}:
        return JointTrajectory(times, positions)
    if lengths != {len(joints)}:
        raise ValueError(f"trajectory of {len(message.points)} points: all have velocities, one a joint, or none has")
    velocities = np.array([point.velocities for point in message.points])[:, order]
    finite(velocities, "velocities of the trajectory", -FAR, FAR, velocities.size)
    if velocities[-1].any():
        raise ValueError("trajectory whose last point has velocities that are not 0")
    return JointTrajectory(times, positions, velocities)


def message_to_version(message: ModelUpdate) -> Announced:
    """What a ModelUpdate announces. Raises ValueError."""
    path = plain_text(message.path, "path of a version", 4096)
    sha256 = plain_text(message.sha256, "sha256 of a version", 64)
    if not path.startswith("/"):
        raise ValueError(f"path of a version {shown(path)} is not absolute")
    names = [plain_text(name, "name of a score") for name in message.score_names]
    if len(names) > MOST_EVIDENCE or len(names) != len(message.score_values):
        raise ValueError(f"{len(names)} names and {len(message.score_values)} values of scores: as many are expected")
    scores = finite(message.score_values, "score", -1e9, 1e9, MOST_EVIDENCE)
    return Announced(path, int(message.version), sha256, dict(zip(names, scores.tolist(), strict=True)))
