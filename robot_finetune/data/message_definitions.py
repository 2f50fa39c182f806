"""Texts of the messages in an episode's file, as MCAP's `ros2msg` schemas want them: with all they depend on.

Those of this package are read from msg/; the standard ones are here so that episodes can be written without ROS.
"""

from __future__ import annotations

import re
from functools import cache

from robot_finetune.config import share_path

PACKAGE = "robot_finetune"
OBSERVATION = "sensor_msgs/msg/Image"
JOINT_STATE = "sensor_msgs/msg/JointState"
POLICY_STEP = f"{PACKAGE}/msg/PolicyStep"
GRASP_OUTCOME = f"{PACKAGE}/msg/GraspOutcome"

_STANDARD = {
    "geometry_msgs/Point": "float64 x\nfloat64 y\nfloat64 z\n",
    "geometry_msgs/Quaternion": "float64 x\nfloat64 y\nfloat64 z\nfloat64 w\n",
    "geometry_msgs/Pose": "geometry_msgs/Point position\ngeometry_msgs/Quaternion orientation\n",
    "builtin_interfaces/Time": "int32 sec\nuint32 nanosec\n",
    "std_msgs/Header": "builtin_interfaces/Time stamp\nstring frame_id\n",
    "sensor_msgs/Image": (
        "std_msgs/Header header\nuint32 height\nuint32 width\nstring encoding\n"
        "uint8 is_bigendian\nuint32 step\nuint8[] data\n"
    ),
    "sensor_msgs/JointState": (
        "std_msgs/Header header\nstring[] name\nfloat64[] position\nfloat64[] velocity\nfloat64[] effort\n"
    ),
}


@cache
def definition(type_name: str) -> str:
    """The text of a message type such as POLICY_STEP, followed by that of each type it contains. Raises OSError."""
    package, _, name = type_name.split("/")
    found: dict[str, str] = {}
    _collect(f"{package}/{name}", found)
    texts = list(found.items())
    return texts[0][1] + "".join(f"{'=' * 80}\nMSG: {short}\n{text}" for short, text in texts[1:])


@cache
def constants(type_name: str) -> dict[str, int]:
    """The whole-number constants of a message type of this package. Raises OSError."""
    text = share_path("msg", f"{type_name.rpartition('/')[2]}.msg").read_text()
    return {name: int(value) for name, value in re.findall(r"^u?int\d+ ([A-Z_0-9]+)=(\d+)", text, re.MULTILINE)}


def _collect(short_name: str, found: dict[str, str]) -> None:
    if short_name in found:
        return
    package, name = short_name.split("/")
    found[short_name] = text = (
        share_path("msg", f"{name}.msg").read_text() if package == PACKAGE else _STANDARD[short_name]
    )
    for line in text.splitlines():
        field_type = line.split("#")[0].split("[")[0].split(" ")[0]
        if "/" in field_type:
            _collect(field_type, found)
