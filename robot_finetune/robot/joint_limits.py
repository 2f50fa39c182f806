"""What each joint of a robot can do, from its description: the measure of what is believed and of what is sent."""

from __future__ import annotations

import math
from dataclasses import dataclass
from xml.etree import ElementTree

from robot_finetune.robot.description import load_urdf
from robot_finetune.robot.profile import RobotProfile

FINGER_MARGIN = 0.5
"""Share of a gripper's stroke by which its joint may be measured beyond its ends."""


@dataclass(frozen=True)
class JointLimit:
    """low, high [rad or m], infinite for a continuous joint; velocity [rad/s or m/s], infinite where it is not said."""

    low: float = -math.inf
    high: float = math.inf
    velocity: float = math.inf

    @property
    def continuous(self) -> bool:
        """Whether it turns without an end, so that positions a whole turn apart are the same."""
        return math.isinf(self.low) and math.isinf(self.high)


def urdf_limits(urdf: str) -> dict[str, JointLimit]:
    """The limits of every joint in a URDF that has some."""
    found = {}
    for joint in ElementTree.fromstring(urdf).iter("joint"):
        limit = joint.find("limit")
        if limit is not None:
            velocity = float(limit.get("velocity", "nan"))
            ends = (-math.inf, math.inf)
            if joint.get("type") != "continuous":
                ends = float(limit.get("lower", "0")), float(limit.get("upper", "0"))
            found[str(joint.get("name"))] = JointLimit(*ends, velocity if velocity > 0 else math.inf)
    return found


def measured_limits(profile: RobotProfile) -> dict[str, JointLimit]:
    """Within which the joints of a profile can be measured: the arm's as the URDF says, the gripper's by its ends."""
    known, gripper = urdf_limits(load_urdf(profile)), profile.gripper
    limits = {joint: known.get(joint, JointLimit()) for joint in profile.joints}
    margin = FINGER_MARGIN * abs(gripper.open_position - gripper.closed_position)
    ends = sorted((gripper.open_position, gripper.closed_position))
    return limits | {gripper.joint: JointLimit(ends[0] - margin, ends[1] + margin)}
