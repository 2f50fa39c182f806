"""The cell of a robot profile as a URDF that MuJoCo reads: the robot's own description, its meshes, and what it lacks.

What cannot be taken as it is is replaced, and `CellUrdf.notes` says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from xml.etree.ElementTree import Element, ParseError, SubElement, fromstring, tostring

import numpy as np

from robot_finetune.config import ConfigError, find_file
from robot_finetune.files import one_line
from robot_finetune.robot.description import load_urdf
from robot_finetune.robot.kinematics import Kinematics
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.sim import package_parts
from robot_finetune.sim.mesh_files import MeshError, coarse, find_mesh, read_mesh, to_obj

HINGES = ("revolute", "continuous")
MOVING = (*HINGES, "prismatic")
STAND_IN_RADIUS = 0.04  # m, of what is drawn of a link without shapes
LEAST_MASS, MASS, INERTIA = 1e-6, 0.1, 1e-4  # kg, kg and kg m2 of a moving link that has none
SHOWN_NAMES = 4  # of a list in a note


@dataclass
class CellUrdf:
    """xml: the URDF. meshes: OBJ files by the names that it has for them. gripper_joint: moves `fingers`, the links
    below it and below what mimics it; `palm` carries them. A position p of the profile's gripper.joint is
    (p - zero) * scale of gripper_joint. notes: what was replaced, a sentence each."""

    xml: str
    gripper_joint: str
    palm: str
    fingers: tuple[str, ...]
    zero: float = 0.0
    scale: float = 1.0
    meshes: Mapping[str, bytes] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@lru_cache(maxsize=2)
def cell_urdf(profile: RobotProfile) -> CellUrdf:
    """The cell of `profile`; xacro and meshes take longer than the rest of building one. Raises ConfigError."""
    try:
        return _Draft(profile).finish()
    except ConfigError:
        raise
    except (ParseError, KeyError, ValueError) as error:  # no XML; a link that is not there; words in place of numbers
        raise ConfigError(f"{profile.urdf}: not a robot description ({one_line(error)}); correct the file") from error


class _Draft:
    """A robot description on its way to a cell's."""

    def __init__(self, profile: RobotProfile) -> None:
        self._profile = profile
        self._root = fromstring(load_urdf(profile))
        self._links = {str(link.get("name")): link for link in self._root.findall("link")}
        self._joints = {str(joint.get("name")): joint for joint in self._root.findall("joint")}
        self._meshes: dict[str, bytes] = {}
        self._lost: list[str] = []
        self._notes: list[str] = []

    def finish(self) -> CellUrdf:
        self._check_arm()
        fingers = self._gripper_joints()
        self._hold_still({*self._profile.joints, *fingers})
        touching = {*self._below(fingers), *(_end(self._joints[name], "parent") for name in fingers), "bin"}
        for name, link in self._links.items():
            self._take_shapes(name, link, name in touching)
        if self._lost:
            self._notes.append(
                f"of the meshes {len(self._lost)} cannot be taken ({self._lost[0]}): other shapes of those links are "
                "drawn, or plain cylinders"
            )
        made = self._own_gripper(fingers) or self._package_gripper(fingers)
        package_parts.add_surroundings(self._root, self._profile)
        settings = SubElement(self._root, "mujoco")
        compiler = {"fusestatic": "false", "discardvisual": "false", "balanceinertia": "true"}
        SubElement(settings, "compiler", compiler)
        if self._profile.to_measure:
            self._notes.append(f"{_names(self._profile.to_measure)} are place holders, not those of your cell")
        made.xml, made.meshes, made.notes = tostring(self._root, encoding="unicode"), self._meshes, tuple(self._notes)
        return made

    def _check_arm(self) -> None:
        profile = self._profile
        for key, links in (("base_frame", profile.base_frame), ("tip_frame", profile.tip_frame)):
            if links not in self._links:
                raise ConfigError(f"{profile.urdf}: no link {links!r}; correct {key} in the profile of {profile.name}")
        for name in profile.joints:
            kind = self._joints[name].get("type") if name in self._joints else "missing"
            if kind not in HINGES:
                raise ConfigError(
                    f"{profile.urdf}: joint {name!r} is {kind}: the simulated cell has arms of revolute joints; "
                    f"correct `joints` in the profile of {profile.name}"
                )

    def _gripper_joints(self) -> list[str]:
        """The profile's gripper joint and those that move with it; none where it does not move anything."""
        name = self._profile.gripper.joint
        driver = self._joints.get(name)
        if driver is None or driver.get("type") not in MOVING or name in self._profile.joints:
            return []
        mimic = driver.find("mimic")
        leader = name if mimic is None else str(mimic.get("joint"))
        followers = [
            other
            for other, joint in self._joints.items()
            if joint.get("type") in MOVING and (mimic := joint.find("mimic")) is not None
            if mimic.get("joint") == leader
        ]
        group = [name, *(other for other in (leader, *followers) if other != name)]
        return group if len(group) > 1 else [name, *self._twin(name, driver)]

    def _twin(self, name: str, driver: Element) -> list[str]:
        """The one joint beside a gripper's that could be its other finger, made to mimic it."""
        twins = [
            other
            for other, joint in self._joints.items()
            if other not in (name, *self._profile.joints)
            and joint.get("type") == driver.get("type")
            and _end(joint, "parent") == _end(driver, "parent")
        ]
        if len(twins) != 1:
            return []
        sign = 1 if _middle(driver) * _middle(self._joints[twins[0]]) >= 0 else -1
        SubElement(self._joints[twins[0]], "mimic", joint=name, multiplier=str(sign))
        self._notes.append(f"{twins[0]} is taken to move with {name}, as the other finger")
        return twins

    def _hold_still(self, moving: set[str]) -> None:
        """Fix the joints that neither arm nor gripper has."""
        still = []
        for name, joint in self._joints.items():
            if name in moving:
                self._give_mass(self._links[_end(joint, "child")])
            else:
                still += [name] if joint.get("type") != "fixed" else []
                _fix(joint)
        if still:
            self._notes.append(f"{_names(still)} stand still at 0: they belong to neither arm nor gripper")

    @staticmethod
    def _give_mass(link: Element) -> None:
        inertial = link.find("inertial")
        if inertial is not None:
            mass, inertia = inertial.find("mass"), inertial.find("inertia")
            values = [float(inertia.get(key, 0)) for key in ("ixx", "iyy", "izz")] if inertia is not None else [0.0]
            if mass is not None and float(mass.get("value", 0)) > LEAST_MASS and min(values) > 0:
                return
            link.remove(inertial)
        inertial = SubElement(link, "inertial")
        SubElement(inertial, "mass", value=str(MASS))
        zero = dict.fromkeys(("ixy", "ixz", "iyz"), "0")
        SubElement(inertial, "inertia", {f"i{axis}{axis}": str(INERTIA) for axis in "xyz"} | zero)

    def _below(self, joints: list[str]) -> list[str]:
        """The links that `joints` move."""
        found = [_end(self._joints[name], "child") for name in joints]
        for link in found:
            found += [end for joint in self._children(link) if (end := _end(joint, "child")) not in found]
        return found

    def _children(self, link: str) -> Iterator[Element]:
        return (joint for joint in self._joints.values() if _end(joint, "parent") == link)

    # Shapes

    def _take_shapes(self, name: str, link: Element, touches: bool) -> None:
        """Keep what can be drawn and, where the link touches something, what can collide."""
        visuals, solid = link.findall("visual"), link.findall("collision")
        drawn = [shape for shape in visuals if self._load(link, shape, drawn=True)]
        if not drawn:
            copies = [_copy(link, shape, "visual") for shape in solid]
            drawn = [shape for shape in copies if self._load(link, shape, drawn=True)]
        if not drawn and (visuals or solid):
            self._stand_in(name, link)
        if touches:
            solid = [shape for shape in solid if self._load(link, shape, drawn=False)]
            for shape in [] if solid else drawn:
                _copy(link, shape, "collision")
        else:  # a mesh that touches nothing is left out
            for shape in [shape for shape in solid if shape.find("geometry/mesh") is not None]:
                link.remove(shape)

    def _load(self, link: Element, shape: Element, drawn: bool) -> bool:
        """Whether a visual or collision element can be taken; its mesh is read, one that cannot be is removed."""
        mesh = shape.find("geometry/mesh")
        if mesh is None:
            return True
        try:
            scale = np.array(mesh.attrib.pop("scale", "1 1 1").split(), float)
            path = find_mesh(mesh.get("filename", ""), find_file(self._profile.urdf))
            vertices, faces = read_mesh(path, scale)
        except MeshError as error:
            self._lost.append(str(error))
            link.remove(shape)
            return False
        file = f"shape_{len(self._meshes)}.obj"
        self._meshes[file] = to_obj(*(coarse(vertices, faces) if drawn else (vertices, faces)))
        mesh.set("filename", file)
        return True

    def _stand_in(self, name: str, link: Element) -> None:
        """A cylinder from the link's origin to each joint that it carries."""
        for joint in self._children(name):
            origin = joint.find("origin")
            end = np.array((origin.get("xyz", "0 0 0") if origin is not None else "0 0 0").split(), float)
            length = float(np.linalg.norm(end))
            if length > STAND_IN_RADIUS / 2:
                tilt, turn = np.arctan2(np.hypot(*end[:2]), end[2]), np.arctan2(end[1], end[0])
                visual = SubElement(link, "visual")
                SubElement(visual, "origin", xyz=" ".join(map(str, (end / 2).tolist())), rpy=f"0 {tilt} {turn}")
                geometry = SubElement(visual, "geometry")
                SubElement(geometry, "cylinder", radius=str(STAND_IN_RADIUS), length=str(length))

    # Gripper

    def _own_gripper(self, joints: list[str]) -> CellUrdf | None:
        """The gripper of the description; None where its fingers cannot be simulated."""
        if len(joints) < 2 or not all(self._solid(name) for name in joints):
            return None
        palm = _end(self._joints[joints[0]], "parent")
        return CellUrdf("", joints[0], palm, tuple(self._below(joints)))

    def _solid(self, joint: str) -> bool:
        """Whether what a joint moves can touch something."""
        return any(self._links[name].find("collision") is not None for name in self._below([joint]))

    def _package_gripper(self, joints: list[str]) -> CellUrdf:
        """The package's own gripper in the place of one that there is not, or that cannot be simulated."""
        profile, gripper = self._profile, self._profile.gripper
        for name in joints:
            _fix(self._joints[name])
        for link in (self._links[name] for name in self._below(joints)):
            for shape in [*link.findall("visual"), *link.findall("collision")]:
                link.remove(shape)
        length = package_parts.add_gripper(self._root, profile)
        stroke = package_parts.package_stroke(profile)
        why = "moves no two fingers with shapes" if joints else "is not in its description"
        self._notes.append(
            f"gripper.joint {gripper.joint!r} {why}: the package's parallel gripper is mounted at {profile.tip_frame}, "
            f"its fingers moving {stroke:g} m each"
        )
        flange = _end(self._joints[profile.joints[-1]], "child")
        room = float(np.linalg.norm(Kinematics(profile).from_tip(flange)[0]))
        if room < length:
            self._notes.append(
                f"{profile.tip_frame} is {room:.2f} m from the last joint, nearer than the {length:g} m of that "
                "gripper, which is inside the wrist: name a link between the finger tips as tip_frame"
            )
        left, right = (package_parts.PREFIX + name for name in package_parts.FINGERS)
        scale = stroke / (gripper.open_position - gripper.closed_position)
        palm = package_parts.PREFIX + package_parts.PALM
        return CellUrdf("", f"{left}_joint", palm, (left, right), gripper.closed_position, scale)


def _end(joint: Element, tag: str) -> str:
    """The parent or child link of a joint."""
    found = joint.find(tag)
    return "" if found is None else str(found.get("link"))


def _copy(link: Element, shape: Element, tag: str) -> Element:
    """A visual or collision element once more, as the other one."""
    copy = fromstring(tostring(shape))
    copy.tag = tag
    link.append(copy)
    return copy


def _fix(joint: Element) -> None:
    joint.set("type", "fixed")
    for mimic in joint.findall("mimic"):
        joint.remove(mimic)


def _middle(joint: Element) -> float:
    """Of a joint's range."""
    limit = joint.find("limit")
    return 0.0 if limit is None else float(limit.get("lower", 0)) + float(limit.get("upper", 0))


def _names(names: Iterable[str]) -> str:
    given = list(names)
    more = f" and {len(given) - SHOWN_NAMES} more" if len(given) > SHOWN_NAMES else ""
    return ", ".join(given[:SHOWN_NAMES]) + more
