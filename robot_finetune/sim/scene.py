"""The cell as a MuJoCo model: the URDF plus actuators, contacts and object slots; appearance.py paints it."""

from __future__ import annotations

from functools import lru_cache
from xml.etree import ElementTree

import mujoco
import numpy as np

from robot_finetune.config import ConfigError
from robot_finetune.robot.description import load_urdf
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.sim import appearance
from robot_finetune.sim.appearance import VISUAL_GROUP
from robot_finetune.sim.objects import ObjectShape, PlacedObject, mass_properties
from robot_finetune.sim.variations import Variation

TIMESTEP = 0.004  # s
ARM_STIFFNESS = (6000.0, 6000.0, 6000.0, 6000.0, 3000.0, 3000.0, 3000.0)  # Nm/rad
ARM_DAMPING_RATIO = 1 / 40  # s, damping over stiffness
ARMATURE = 0.1  # kg m2
FINGER_STIFFNESS, FINGER_DAMPING, FINGER_FORCE = 1000.0, 12.0, 40.0  # N/m, Ns/m, N
PAD_FRICTION = (1.5, 0.02, 0.0001)
PAD_IMPEDANCE = (0.95, 0.98, 0.001, 0.5, 2.0)  # hard enough that the opening tells a held object's width
GEOM_TYPES = {
    "box": mujoco.mjtGeom.mjGEOM_BOX,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
    "capsule": mujoco.mjtGeom.mjGEOM_CAPSULE,
    "ellipsoid": mujoco.mjtGeom.mjGEOM_ELLIPSOID,
    "bottle": mujoco.mjtGeom.mjGEOM_CYLINDER,
}
GRIPPER_CONTACTS, OBJECT_CONTACTS, BIN_CONTACTS = (1, 2 | 4), (2, 1 | 2 | 4), (4, 1 | 2)  # contype, conaffinity
CONTACTS = {
    "gripper": GRIPPER_CONTACTS,
    "left_finger": GRIPPER_CONTACTS,
    "right_finger": GRIPPER_CONTACTS,
    "bin": BIN_CONTACTS,
}
LINKS = ("link_7", "gripper", "left_finger", "right_finger", "bin", "table")
"""What the cell is made of, besides joints, camera and objects."""
UNUSED = 1e-4  # m, size of a neck that is not there


def build_model(profile: RobotProfile, variation: Variation) -> mujoco.MjModel:
    """The compiled cell in the state that `variation` describes, with empty object slots named object_<i>.

    Raises ConfigError for a robot that it cannot be built for."""
    spec = mujoco.MjSpec.from_string(_cell_xml(profile))
    _check_links(spec, profile)
    _set_options(spec)
    _prepare_links(spec)
    _change_gripper(spec, variation)
    _add_actuators(spec, profile)
    floor = appearance.add_floor(spec, profile, variation.scene.floor)
    floor.condim, floor.contype, floor.conaffinity = 4, *BIN_CONTACTS
    appearance.add_lights(spec, profile, variation.scene.light)
    appearance.add_camera(spec, profile.camera, variation.scene.camera)
    appearance.tint(spec, variation.scene.tints)
    for i in range(variation.scene.objects.count):
        _add_object(spec, i, variation.scene.objects.friction)
    return spec.compile()


@lru_cache(maxsize=2)
def _cell_xml(profile: RobotProfile) -> str:
    """The robot description as MuJoCo reads it; xacro takes longer than the rest of building a cell."""
    return _for_mujoco(load_urdf(profile))


def place_objects(model: mujoco.MjModel, data: mujoco.MjData, objects: list[PlacedObject], alpha: float) -> None:
    """Turn the object slots of `model` into `objects` and put them there, at rest; the other joints are kept."""
    for i, placed in enumerate(objects):
        _shape_slot(model, i, placed.shape, alpha)
    state = data.qpos.copy(), data.qvel.copy(), data.act.copy(), data.ctrl.copy(), data.time
    mujoco.mj_setConst(model, data)
    data.qpos[:], data.qvel[:], data.act[:], data.ctrl[:], data.time = state
    for i, placed in enumerate(objects):
        joint = model.joint(f"object_{i}")
        data.qpos[joint.qposadr[0] : joint.qposadr[0] + 7] = [*placed.position, *placed.quaternion]
        data.qvel[joint.dofadr[0] : joint.dofadr[0] + 6] = 0.0
    data.qacc_warmstart[:] = 0.0


def _for_mujoco(urdf: str) -> str:
    root = ElementTree.fromstring(urdf)
    settings = ElementTree.SubElement(root, "mujoco")
    ElementTree.SubElement(settings, "compiler", {"fusestatic": "false", "discardvisual": "false"})
    return ElementTree.tostring(root, encoding="unicode")


def _check_links(spec: mujoco.MjSpec, profile: RobotProfile) -> None:
    missing = [name for name in LINKS if spec.body(name) is None]
    if missing or len(profile.joints) != len(ARM_STIFFNESS):
        found = f"has no link {missing[0]!r}" if missing else f"has {len(profile.joints)} joints, not 7"
        raise ConfigError(
            f"{profile.name}: the simulated cell cannot be built from {profile.urdf}, which {found}. It is built from "
            "the arm and gripper of urdf/cell.urdf.xacro: take the profile sim, with your bin, workspace and camera"
        )


def _set_options(spec: mujoco.MjSpec) -> None:
    option = spec.option
    option.timestep = TIMESTEP
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    option.iterations, option.impratio = 20, 10
    option.disableflags = mujoco.mjtDisableBit.mjDSBL_MIDPHASE  # slots change size at run time, bounding trees do not
    spec.visual.quality.offsamples = 0
    spec.visual.quality.shadowsize = 512
    spec.visual.quality.numslices, spec.visual.quality.numstacks = 16, 10
    spec.visual.global_.offwidth, spec.visual.global_.offheight = 1280, 1024
    spec.visual.map.znear = 0.05
    spec.stat.extent, spec.stat.center = 1.0, (0.6, 0.0, 0.1)


def _prepare_links(spec: mujoco.MjSpec) -> None:
    """Visuals are drawn, collisions are not; of the robot only the gripper touches anything."""
    for body in spec.bodies:
        if body.name != "world":
            body.gravcomp = 1.0
        for geom in body.geoms:
            if geom.group == VISUAL_GROUP:
                continue
            geom.contype, geom.conaffinity = CONTACTS.get(body.name, (0, 0))
            geom.condim = 4
            if body.name.endswith("_finger"):
                geom.friction, geom.priority, geom.solimp = PAD_FRICTION, 1, PAD_IMPEDANCE


def _change_gripper(spec: mujoco.MjSpec, variation: Variation) -> None:
    """What the controller is not told: longer fingers, and the whole gripper moved along the tool's y axis."""
    change = variation.gripper
    gripper = spec.body("gripper")
    # the mount turns the tool's axes by half a turn about z: the tool's y is the flange's -y
    gripper.pos = gripper.pos + np.array([0.0, -change.offset_m, 0.0])
    for name in ("left_finger", "right_finger"):
        for geom in spec.body(name).geoms:
            geom.size = geom.size + np.array([0.0, 0.0, change.extension_m / 2])
            geom.pos = geom.pos + np.array([0.0, 0.0, change.extension_m / 2])
    if change.offset_m:
        bracket = spec.body("link_7").add_geom()
        bracket.type, bracket.group = mujoco.mjtGeom.mjGEOM_BOX, VISUAL_GROUP
        bracket.contype = bracket.conaffinity = 0
        bracket.size = (0.02, abs(change.offset_m) / 2 + 0.02, 0.008)
        bracket.pos = (0.0, -change.offset_m / 2, 0.04)
        bracket.rgba, bracket.mass = (0.42, 0.44, 0.48, 1.0), 0.0


def _add_actuators(spec: mujoco.MjSpec, profile: RobotProfile) -> None:
    """Position servos whose set-point is an activation, so that it moves evenly through several physics steps."""
    for name, stiffness in zip(profile.joints, ARM_STIFFNESS, strict=True):
        joint = spec.joint(name)
        joint.armature = ARMATURE
        effort = float(np.max(np.abs(joint.actfrcrange))) or 300.0
        _add_servo(spec, name, stiffness, stiffness * ARM_DAMPING_RATIO, effort, joint.range + np.array([-0.2, 0.2]))
    finger = spec.joint(profile.gripper.joint)
    _add_servo(spec, profile.gripper.joint, FINGER_STIFFNESS, FINGER_DAMPING, FINGER_FORCE, finger.range)


def _add_servo(
    spec: mujoco.MjSpec, joint: str, stiffness: float, damping: float, force: float, limits: np.ndarray
) -> None:
    servo = spec.add_actuator()
    servo.name = servo.target = joint
    servo.trntype = mujoco.mjtTrn.mjTRN_JOINT
    servo.dyntype, servo.gaintype, servo.biastype = (
        mujoco.mjtDyn.mjDYN_INTEGRATOR,
        mujoco.mjtGain.mjGAIN_FIXED,
        mujoco.mjtBias.mjBIAS_AFFINE,
    )
    servo.gainprm[0] = stiffness
    servo.biasprm[1], servo.biasprm[2] = -stiffness, -damping
    servo.forcelimited, servo.forcerange = 1, (-force, force)
    servo.actlimited, servo.actrange = 1, limits


def _add_object(spec: mujoco.MjSpec, index: int, friction: float) -> None:
    body = spec.worldbody.add_body()
    body.name = f"object_{index}"
    body.mass, body.inertia, body.explicitinertial = 0.05, [1e-5] * 3, True
    body.add_freejoint().name = body.name
    for part, height in (("body", 0.0), ("neck", 0.02)):
        geom = body.add_geom()
        geom.name, geom.type, geom.size = f"{body.name}_{part}", mujoco.mjtGeom.mjGEOM_BOX, [0.01] * 3
        geom.pos, geom.group, geom.condim = (0.0, 0.0, height), VISUAL_GROUP, 4
        geom.contype, geom.conaffinity = OBJECT_CONTACTS
        geom.friction = (friction, 0.01, 0.0002)


def _shape_slot(model: mujoco.MjModel, index: int, shape: ObjectShape, alpha: float) -> None:
    half = np.array(shape.half)
    size = half
    if shape.kind in ("cylinder", "bottle"):
        size = np.array([half[0], half[2], 0.0])
    elif shape.kind == "capsule":
        size = np.array([half[0], half[2] - half[0], 0.0])
    _shape_geom(model, f"object_{index}_body", GEOM_TYPES[shape.kind], size, half, 0.0)
    radius, length = shape.neck if shape.neck[0] else (UNUSED, UNUSED)
    neck_half = np.array([radius, radius, length])
    offset = half[2] + length if shape.neck[0] else 0.0
    neck_size = np.array([radius, length, 0.0])
    _shape_geom(model, f"object_{index}_neck", mujoco.mjtGeom.mjGEOM_CYLINDER, neck_size, neck_half, offset)
    neck = model.geom(f"object_{index}_neck").id
    model.geom_contype[neck], model.geom_conaffinity[neck] = OBJECT_CONTACTS if shape.neck[0] else (0, 0)
    body = model.body(f"object_{index}").id
    model.geom_rgba[model.geom(f"object_{index}_body").id] = [*shape.color, alpha]
    model.geom_rgba[neck] = [*(0.6 * np.array(shape.color)), alpha if shape.neck[0] else 0.0]
    model.body_mass[body], model.body_inertia[body] = mass_properties(shape)


def _shape_geom(model: mujoco.MjModel, name: str, kind: int, size: np.ndarray, half: np.ndarray, offset: float) -> None:
    geom = model.geom(name).id
    model.geom_type[geom], model.geom_size[geom] = kind, size
    model.geom_pos[geom] = [0.0, 0.0, offset]
    model.geom_aabb[geom] = [0.0, 0.0, 0.0, *half]
    model.geom_rbound[geom] = float(np.linalg.norm(half))
