"""The parts of urdf/cell.urdf.xacro that another robot's description lacks: gripper, bin and table."""

from __future__ import annotations

from dataclasses import replace
from xml.etree.ElementTree import Element, SubElement, fromstring

import numpy as np

from robot_finetune.robot.description import load_urdf
from robot_finetune.robot.kinematics import fixed_axes
from robot_finetune.robot.profile import RobotProfile

PREFIX = "package_"
"""Of the names of the gripper's links and joints, and of colours, in another robot's description."""
PALM, FINGERS = "gripper", ("left_finger", "right_finger")
STROKE = (0.005, 0.06)
"""Least and largest travel of a finger [m] that the gripper takes from a profile."""
TABLE_SHARE = 0.75
"""Of the way from the arm's base to the bin, where the table's centre is."""


def package_stroke(profile: RobotProfile) -> float:
    """Travel of one finger [m]: the profile's where it can be one, else the gripper's own."""
    stroke = abs(profile.gripper.open_position - profile.gripper.closed_position)
    return stroke if STROKE[0] <= stroke <= STROKE[1] else RobotProfile().gripper.open_position


def add_gripper(root: Element, profile: RobotProfile) -> float:
    """Mount the gripper on the profile's tip frame: its tool centre point is there, pointing down at yaw 0 as the
    profile says, its fingers along the base's y axis. Returns its length [m]."""
    parts = _parts(profile)
    for name in (PALM, *FINGERS):
        _named(parts, "link", name).set("name", PREFIX + name)
        root.append(_named(parts, "link", PREFIX + name))
    for name in FINGERS:
        joint = _named(parts, "joint", f"{name}_joint")
        for holder, key in ((joint, "name"), (_one(joint, "parent"), "link"), (_one(joint, "child"), "link")):
            holder.set(key, PREFIX + holder.get(key, ""))
        for mimic in joint.iter("mimic"):
            mimic.set("joint", PREFIX + mimic.get("joint", ""))
        _one(joint, "limit").set("upper", str(package_stroke(profile)))
        root.append(joint)
    turn = fixed_axes(profile.tool_orientation).T @ np.diag([1.0, -1.0, -1.0])  # of the gripper in the tip's frame
    tip = _place(parts, "tcp_joint")
    _mount(root, profile.tip_frame, PREFIX + PALM, -turn @ tip, turn)
    return float(tip[2])


def add_surroundings(root: Element, profile: RobotProfile) -> None:
    """Bin and table where the profile has them, unless the description has links of these names."""
    parts = _parts(profile)
    for name in ("bin", "table"):
        if root.find(f"link[@name='{name}']") is None:
            root.append(_named(parts, "link", name))
            place = _place(parts, f"{name}_joint")
            if name == "table":
                place[:2] = TABLE_SHARE * np.array(profile.bin_center)
            _mount(root, profile.base_frame, name, place, np.eye(3))


def _parts(profile: RobotProfile) -> Element:
    """The package's own cell with the bin of `profile`, its colours under names that no other robot has."""
    cell = replace(
        RobotProfile(),
        bin_center=profile.bin_center,
        bin_half_width=profile.bin_half_width,
        bin_half_depth=profile.bin_half_depth,
        floor_z=profile.floor_z,
    )
    parts = fromstring(load_urdf(cell))
    colors = {str(material.get("name")): _one(material, "color") for material in parts.findall("material")}
    for visual in parts.iter("visual"):
        material = _one(visual, "material")
        material.append(colors[str(material.get("name"))])
        material.set("name", PREFIX + str(material.get("name")))
    return parts


def _mount(root: Element, parent: str, child: str, place: np.ndarray, turn: np.ndarray) -> None:
    """A fixed joint; place (3,) [m] and turn (3, 3) of the child in the parent's frame."""
    roll, yaw = np.arctan2(turn[2, 1], turn[2, 2]), np.arctan2(turn[1, 0], turn[0, 0])
    pitch = -np.arcsin(np.clip(turn[2, 0], -1.0, 1.0))
    joint = SubElement(root, "joint", name=f"{PREFIX}{child}_mount", type="fixed")
    SubElement(joint, "parent", link=parent)
    SubElement(joint, "child", link=child)
    SubElement(joint, "origin", xyz=" ".join(map(str, place.tolist())), rpy=f"{roll} {pitch} {yaw}")


def _place(parts: Element, joint: str) -> np.ndarray:
    """(3,) origin of a joint in its parent's frame [m]."""
    return np.array(_one(_named(parts, "joint", joint), "origin").get("xyz", "").split(), float)


def _named(root: Element, tag: str, name: str) -> Element:
    return _one(root, f"{tag}[@name='{name}']")


def _one(element: Element, path: str) -> Element:
    found = element.find(path)
    if found is None:
        raise KeyError(f"urdf/cell.urdf.xacro has no {path}")
    return found
