"""The robot's side of the cell's model: servos, fingers, and of the robot's links which touch what."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import mujoco
import numpy as np

from robot_finetune.config import ConfigError
from robot_finetune.files import one_line
from robot_finetune.robot.kinematics import fixed_axes
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.sim.appearance import VISUAL_GROUP
from robot_finetune.sim.cell_urdf import CellUrdf, cell_urdf
from robot_finetune.sim.variations import GripperChange

STIFFNESS, STIFF_EFFORT = (3000.0, 6000.0), 150.0  # Nm/rad, of joints below and from an effort limit [Nm] on
ARM_DAMPING_RATIO = 1 / 40  # s, damping over stiffness
ARMATURE = 0.1  # kg m2
DEFAULT_EFFORT = 300.0  # Nm, of a joint whose description has none
OVERSHOOT = 0.2  # rad by which a set-point may be beyond a joint's range
FINGER_STIFFNESS, FINGER_DAMPING, FINGER_FORCE = 1000.0, 12.0, 40.0  # N/m, Ns/m, N, at the fingers
PAD_FRICTION = (1.5, 0.02, 0.0001)
PAD_IMPEDANCE = (0.95, 0.98, 0.001, 0.5, 2.0)  # hard enough that the opening tells a held object's width
GRIPPER_CONTACTS, BIN_CONTACTS = (1, 2 | 4), (4, 1 | 2)  # contype, conaffinity
LEAST_WAY = 0.002  # m by which fingers have to move
ALONG_BOX = 0.99  # cosine from which on a box counts as lying along the tool
ALONG_Y = np.cos(np.radians(30))  # least part of the fingers' way that has to be along the base's y axis


@dataclass(frozen=True)
class RobotModel:
    """What building a cell needs to know of its robot, besides the URDF.

    coupled: (offset, multiplier) by which each joint of the gripper follows its commanded one. sides: the links of one
    finger and of the other. lever: way of the middle of a finger [m] for one unit of the commanded joint. mount: the
    link that carries the palm. axes: (3, 3) in the mount's frame, z where the tool points and y against the tool's y
    axis. approach, outward: (3,) where the tool points, and away from the other finger, in the frame of each finger
    link, closed. base: position and quaternion of the base frame in the description's root."""

    urdf: CellUrdf
    coupled: dict[str, tuple[float, float]]
    sides: tuple[tuple[str, ...], tuple[str, ...]]
    lever: float
    mount: str
    axes: np.ndarray
    approach: dict[str, np.ndarray]
    outward: dict[str, np.ndarray]
    base: tuple[np.ndarray, np.ndarray]

    @property
    def gripper_links(self) -> tuple[str, ...]:
        """The palm and all that moves."""
        return (self.urdf.palm, *self.urdf.fingers)

    def new_spec(self) -> mujoco.MjSpec:
        """Robot, bin and table in the base frame, as described: nothing drives them yet."""
        spec = _spec(self.urdf)
        position, quaternion = self.base
        if position.any() or quaternion[0] != 1.0:
            turn = quaternion * [1, -1, -1, -1]
            for item in (*spec.worldbody.bodies, *spec.worldbody.geoms):
                place, turned = np.empty(3), np.empty(4)
                mujoco.mju_rotVecQuat(place, item.pos - position, turn)
                mujoco.mju_mulQuat(turned, turn, item.quat)
                item.pos, item.quat = place, turned
        return spec


@lru_cache(maxsize=2)
def robot_model(profile: RobotProfile) -> RobotModel:
    """The robot of `profile`. Raises ConfigError where no cell can be built for it."""
    urdf = cell_urdf(profile)
    try:
        model = _spec(urdf).compile()
    except ValueError as error:
        raise ConfigError(f"{profile.urdf}: MuJoCo cannot build it ({one_line(error)}); correct it") from error
    return _Gripper(profile, urdf, model).measured()


class _Gripper:
    """The gripper of a compiled robot, looked at closed and open."""

    def __init__(self, profile: RobotProfile, urdf: CellUrdf, model: mujoco.MjModel) -> None:
        self._profile, self._urdf, self._model = profile, urdf, model
        self._coupled = _coupling(model, urdf.gripper_joint)
        config = profile.gripper
        ends = [(end - urdf.zero) * urdf.scale for end in (config.closed_position, config.open_position)]
        self._travel = abs(ends[1] - ends[0])
        self._closed, self._opened = (self._at(end) for end in ends)
        self._base = self._rotation(profile.tip_frame) @ fixed_axes(profile.tool_orientation).T  # its axes at yaw 0

    def measured(self) -> RobotModel:
        mount = self._model.body(self._model.body(self._urdf.palm).parentid[0]).name
        down = self._base @ [0.0, 0.0, -1.0]
        base = self._closed.body(self._profile.base_frame)
        sides, across, lever = self._sides(down)
        signs = dict.fromkeys(sides[0], 1.0) | dict.fromkeys(sides[1], -1.0)
        return RobotModel(
            urdf=self._urdf,
            coupled=self._coupled,
            sides=sides,
            lever=lever,
            mount=mount,
            axes=(self._rotation(mount).T @ self._base @ np.diag([-1.0, 1.0, -1.0])).round(12) + 0.0,
            approach={name: (self._rotation(name).T @ down).round(12) for name in self._urdf.fingers},
            outward={name: (self._rotation(name).T @ across * sign).round(12) for name, sign in signs.items()},
            base=(base.xpos.copy(), base.xquat.copy()),
        )

    def _sides(self, down: np.ndarray) -> tuple[tuple[tuple[str, ...], tuple[str, ...]], np.ndarray, float]:
        """The links of each finger, told apart by where they are when open; (3,) from the second to the first; and the
        way of the middle of one for one unit of the joint.

        Raises ConfigError where they do not move, along the base's y axis at yaw 0, beside the tip frame."""
        shapes = {
            name: [i for i in range(self._model.ngeom) if self._model.geom_bodyid[i] == self._model.body(name).id]
            for name in self._urdf.fingers
        }
        centers = {name: self._opened.geom_xpos[ids].mean(axis=0) for name, ids in shapes.items() if ids}
        ways = {name: centers[name] - self._closed.geom_xpos[shapes[name]].mean(axis=0) for name in centers}
        flat = {name: way - down * (way @ down) for name, way in ways.items()}
        farthest = max(flat, key=lambda name: float(np.linalg.norm(flat[name])))
        size = float(np.linalg.norm(flat[farthest]))
        if size < LEAST_WAY:
            raise ConfigError(
                f"{self._profile.urdf}: the fingers do not move apart between gripper.closed_position and "
                f"gripper.open_position; correct these or gripper.joint in the profile of {self._profile.name}"
            )
        across = flat[farthest] / size
        self._check_direction(self._base.T @ across)
        tip = self._opened.body(self._profile.tip_frame).xpos
        sides: tuple[list[str], list[str]] = ([], [])
        for name, center in centers.items():
            sides[int((center - tip) @ across < 0)].append(name)
        if not all(sides):
            raise ConfigError(
                f"{self._profile.urdf}: {self._profile.tip_frame!r} is not between the fingers; correct tip_frame in "
                f"the profile of {self._profile.name}"
            )
        slides = self._model.joint(self._urdf.gripper_joint).type[0] == mujoco.mjtJoint.mjJNT_SLIDE
        lever = 1.0 if slides else float(np.linalg.norm(ways[farthest])) / self._travel
        return (tuple(sides[0]), tuple(sides[1])), across, lever

    def _check_direction(self, across: np.ndarray) -> None:
        if abs(across[1]) < ALONG_Y:
            turn = (np.pi / 2 - np.arctan2(across[1], across[0]) + np.pi / 2) % np.pi - np.pi / 2
            raise ConfigError(
                f"{self._profile.name}: with tool_orientation = {list(self._profile.tool_orientation)} the fingers do "
                f"not open along the base's y axis at yaw 0: add {turn:.4f} to its third angle"
            )

    def _at(self, position: float) -> mujoco.MjData:
        """The robot at home with its gripper's joint at a position."""
        data = mujoco.MjData(self._model)
        joints = dict(zip(self._profile.joints, self._profile.home_joints, strict=True))
        joints |= {name: offset + factor * position for name, (offset, factor) in self._coupled.items()}
        for name, value in joints.items():
            data.joint(name).qpos[0] = value
        mujoco.mj_kinematics(self._model, data)
        return data

    def _rotation(self, link: str) -> np.ndarray:
        """(3, 3) of a link in the model, closed."""
        return self._closed.body(link).xmat.reshape(3, 3)


def drive(spec: mujoco.MjSpec, robot: RobotModel, profile: RobotProfile) -> None:
    """Position servos, of the arm's joints and then of the gripper's. Their set-points are activations, so that they
    move evenly through several physics steps."""
    for name in profile.joints:
        joint = spec.joint(name)
        joint.armature = ARMATURE
        joint.damping, joint.frictionloss = np.zeros(3), 0.0
        effort = float(np.max(np.abs(joint.actfrcrange))) or DEFAULT_EFFORT
        stiffness = STIFFNESS[effort >= STIFF_EFFORT]
        _add_servo(spec, joint, stiffness, stiffness * ARM_DAMPING_RATIO, effort, OVERSHOOT)
    for name in robot.coupled:
        spec.joint(name).damping, spec.joint(name).frictionloss = np.zeros(3), 0.0
    finger, lever = spec.joint(robot.urdf.gripper_joint), robot.lever
    _add_servo(spec, finger, FINGER_STIFFNESS * lever**2, FINGER_DAMPING * lever**2, FINGER_FORCE * lever, 0.0)


def set_contacts(spec: mujoco.MjSpec, robot: RobotModel) -> None:
    """Visuals are drawn, collisions are not; of the robot only the gripper touches anything."""
    contacts = {"bin": BIN_CONTACTS} | dict.fromkeys(robot.gripper_links, GRIPPER_CONTACTS)
    for body in spec.bodies:
        if body.name != "world":
            body.gravcomp = 1.0
        for geom in body.geoms:
            if geom.group == VISUAL_GROUP:
                continue
            geom.contype, geom.conaffinity = contacts.get(body.name, (0, 0))
            geom.condim = 4
            if body.name in robot.urdf.fingers:
                geom.friction, geom.priority, geom.solimp = PAD_FRICTION, 1, PAD_IMPEDANCE


def change_gripper(spec: mujoco.MjSpec, robot: RobotModel, change: GripperChange) -> None:
    """What the controller is not told: fingers of another size, whose inner faces stay, and the whole gripper moved
    along the tool's y axis. Boxes change their size; fingers of other shapes are moved out as they are."""
    palm = spec.body(robot.urdf.palm)
    mounted = palm.pos.copy()
    palm.pos = mounted - change.offset_m * robot.axes[:, 1]
    for name, outward in robot.outward.items():
        approach = robot.approach[name]
        for geom in spec.body(name).geoms:
            along, across = (np.abs(_matrix(geom.quat).T @ axis) for axis in (approach, outward))
            if geom.type != mujoco.mjtGeom.mjGEOM_BOX or min(along.max(), across.max()) < ALONG_BOX:
                geom.pos = geom.pos + approach * change.extension_m
                continue
            scale = np.full(3, change.finger_width)
            scale[along.argmax()], scale[across.argmax()] = 1.0, change.finger_thickness
            thicker = geom.size[across.argmax()] * (change.finger_thickness - 1.0)
            geom.pos = geom.pos + approach * change.extension_m / 2 + outward * thicker
            geom.size = geom.size * scale + np.eye(3)[along.argmax()] * change.extension_m / 2
    if change.offset_m:
        bracket = spec.body(robot.mount).add_geom()
        bracket.type, bracket.group = mujoco.mjtGeom.mjGEOM_BOX, VISUAL_GROUP
        bracket.contype = bracket.conaffinity = 0
        bracket.size = (0.02, abs(change.offset_m) / 2 + 0.02, 0.008)
        bracket.pos = ((mounted + palm.pos) / 2 - 0.005 * robot.axes[:, 2]).round(12)
        mujoco.mju_mat2Quat(bracket.quat, robot.axes.ravel())
        bracket.rgba, bracket.mass = (0.42, 0.44, 0.48, 1.0), 0.0


def _spec(urdf: CellUrdf) -> mujoco.MjSpec:
    spec = mujoco.MjSpec.from_string(urdf.xml, assets=dict(urdf.meshes))
    for mesh in spec.meshes:  # links have inertias of their own, and meshes that are drawn need not be closed
        mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL
    return spec


def _coupling(model: mujoco.MjModel, commanded: str) -> dict[str, tuple[float, float]]:
    """(offset, multiplier) of every joint that moves with the `commanded` one, itself included."""
    found = {}
    for i in range(model.neq):
        if model.eq_type[i] == mujoco.mjtEq.mjEQ_JOINT:
            follower, leader = (model.joint(j[i]).name for j in (model.eq_obj1id, model.eq_obj2id))
            found[follower] = leader, *model.eq_data[i, :2].tolist()
    leader, offset, factor = found.get(commanded, (commanded, 0.0, 1.0))
    back = -offset / factor, 1 / factor  # the leader by the commanded joint
    follow = {name: (a + b * back[0], b * back[1]) for name, (of, a, b) in found.items() if of == leader}
    return {leader: back} | follow | {commanded: (0.0, 1.0)}


def _add_servo(
    spec: mujoco.MjSpec, joint: mujoco.MjsJoint, stiffness: float, damping: float, force: float, overshoot: float
) -> None:
    servo = spec.add_actuator()
    servo.name = servo.target = joint.name
    servo.trntype = mujoco.mjtTrn.mjTRN_JOINT
    servo.dyntype, servo.gaintype, servo.biastype = (
        mujoco.mjtDyn.mjDYN_INTEGRATOR,
        mujoco.mjtGain.mjGAIN_FIXED,
        mujoco.mjtBias.mjBIAS_AFFINE,
    )
    servo.gainprm[0] = stiffness
    servo.biasprm[1], servo.biasprm[2] = -stiffness, -damping
    servo.forcelimited, servo.forcerange = 1, (-force, force)
    if joint.range[0] < joint.range[1]:  # a continuous joint has none
        servo.actlimited, servo.actrange = 1, joint.range + np.array([-overshoot, overshoot])


def _matrix(quaternion: np.ndarray) -> np.ndarray:
    matrix = np.empty(9)
    mujoco.mju_quat2Mat(matrix, quaternion)
    return matrix.reshape(3, 3)
