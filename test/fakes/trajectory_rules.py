"""What joint_trajectory_controller refuses: its published rules, in its order.

As validate_trajectory_msg and validate_trajectory_point_field of ros2_controllers 6.9.0 (commit 94e74de),
src/joint_trajectory_controller.cpp, with its default parameters and a position command interface.
"""

import numpy as np


def refusal(message, joints, now=0.0):
    """Why the controller of `joints` refuses a JointTrajectory at `now` [s]; "" if it takes it."""
    if len(message.joint_names) != len(joints):
        return "Joints on incoming trajectory don't match the controller joints."
    if not message.joint_names:
        return "Empty joint names on incoming trajectory."
    ends = [point.time_from_start.sec + 1e-9 * point.time_from_start.nanosec for point in message.points]
    start = message.header.stamp.sec + 1e-9 * message.header.stamp.nanosec
    if start and ends and start + ends[-1] < now:
        return "Received trajectory with non-zero start time that ends in the past"
    if unknown := set(message.joint_names) - set(joints):
        return f"Incoming joints {unknown} don't match the controller's joints."
    if not message.points:
        return "Empty trajectory received."
    if any(abs(speed) > np.finfo(np.float32).eps for speed in message.points[-1].velocities):
        return "Velocity of last trajectory point of joint is not zero"
    for i, point in enumerate(message.points):
        if i and ends[i] <= ends[i - 1]:
            return f"Time between points {i - 1} and {i} is not strictly increasing"
        if not point.positions:
            return "the dimension of positions is 0"
        for name in ("positions", "velocities", "accelerations"):
            if len(getattr(point, name)) not in ({len(joints)} if name == "positions" else {0, len(joints)}):
                return f"Mismatch between joint_names size and {name} at point #{i}"
        if point.effort:
            return "Trajectories with effort fields are not supported"
    return ""
