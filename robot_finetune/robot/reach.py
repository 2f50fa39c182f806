"""Whether the arm can take every pose that actions may ask for: the workspace's box, at any yaw."""

from __future__ import annotations

import itertools

import numpy as np

from robot_finetune.robot.kinematics import Kinematics, Unreachable
from robot_finetune.robot.profile import RobotProfile

ALONG = 4  # places along each side of the box
STEP_YAW = 0.1  # rad, of the yaw that is suggested


def out_of_reach(profile: RobotProfile, kinematics: Kinematics, max_yaw: float | None = None) -> tuple[list[str], int]:
    """Why poses cannot be taken, a line for each, and how many were looked at.

    They are a grid over the box, low and at the start height, unturned and turned by `max_yaw` [rad] (the profile's if
    None) to either side."""
    box, (*_, height, yaw) = profile.workspace, profile.start_pose
    turn = box.max_yaw if max_yaw is None else max_yaw
    sides = [np.linspace(low, high, ALONG) for low, high in zip(box.low[:2], box.high[:2], strict=True)]
    poses = list(itertools.product(*sides, (box.low[2], height), (yaw, yaw - turn, yaw + turn)))
    found = []
    for pose in poses:
        try:
            kinematics.inverse(np.array(pose))
        except Unreachable as error:
            found.append(str(error))
    return found, len(poses)


def largest_yaw(profile: RobotProfile, kinematics: Kinematics) -> float:
    """The largest max_yaw [rad] at which all poses of the grid can be taken; 0 if there is none."""
    steps = np.arange(profile.workspace.max_yaw, 0.0, -STEP_YAW)
    return next((round(float(yaw), 2) for yaw in steps if not out_of_reach(profile, kinematics, float(yaw))[0]), 0.0)
