"""Poses as messages."""

from __future__ import annotations

from collections.abc import Iterable

import mujoco
import numpy as np
from geometry_msgs.msg import Point, Pose, PoseStamped, Quaternion


def quaternion(rotation: np.ndarray) -> tuple[float, float, float, float]:
    """x, y, z, w of a (3, 3) rotation."""
    wxyz = np.empty(4)
    mujoco.mju_mat2Quat(wxyz, np.ascontiguousarray(rotation).ravel())
    w, x, y, z = wxyz.tolist()
    return x, y, z, w


def pose_stamped(frame: str, position: Iterable[float], xyzw: Iterable[float]) -> PoseStamped:
    """A pose in `frame`: position (3,) [m], quaternion x, y, z, w. The stamp is left at zero."""
    x, y, z = map(float, position)
    pose = Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(**dict(zip("xyzw", xyzw, strict=True))))
    message = PoseStamped(pose=pose)
    message.header.frame_id = frame
    return message
