"""Between ROS messages and the core's types; images are in `ros.images`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from trajectory_msgs.msg import JointTrajectory as JointTrajectoryMsg

from robot_finetune.msg import GraspOutcome as GraspOutcomeMsg
from robot_finetune.msg import PolicyStep
from robot_finetune.robot.interfaces import JointTrajectory
from robot_finetune.ros.images import CAMERA_FRAME, image_to_rgb, numpy_to_image
from robot_finetune.ros.node.stamps import to_seconds, to_stamp
from robot_finetune.types import Action, GraspOutcome, Observation, Step


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
