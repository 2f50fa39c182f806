"""The cell as a MuJoCo model: the URDF plus actuators and contacts; appearance.py paints it, object_slots.py fills
it."""

from __future__ import annotations

from functools import lru_cache
from xml.etree import ElementTree

import mujoco
import numpy as np

from robot_finetune.config import ConfigError
from robot_finetune.robot.description import load_urdf
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.sim import appearance, object_slots
from robot_finetune.sim.appearance import VISUAL_GROUP
from robot_finetune.sim.variations import Variation

TIMESTEP = 0.004  # s
ARM_STIFFNESS = (6000.0, 6000.0, 6000.0, 6000.0, 3000.0, 3000.0, 3000.0)  # Nm/rad
ARM_DAMPING_RATIO = 1 / 40  # s, damping over stiffness
ARMATURE = 0.1  # kg m2
FINGER_STIFFNESS, FINGER_DAMPING, FINGER_FORCE = 1000.0, 12.0, 40.0  # N/m, Ns/m, N
PAD_FRICTION = (1.5, 0.02, 0.0001)
PAD_IMPEDANCE = (0.95, 0.98, 0.001, 0.5, 2.0)  # hard enough that the opening tells a held object's width
GRIPPER_CONTACTS, BIN_CONTACTS = (1, 2 | 4), (4, 1 | 2)  # contype, conaffinity
CONTACTS = {
    "gripper": GRIPPER_CONTACTS,
    "left_finger": GRIPPER_CONTACTS,
    "right_finger": GRIPPER_CONTACTS,
    "bin": BIN_CONTACTS,
}
LINKS = ("link_7", "gripper", "left_finger", "right_finger", "bin", "table")
"""What the cell is made of, besides joints, camera and objects."""


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
    object_slots.add_slots(spec, variation.scene.objects)
    return spec.compile()


@lru_cache(maxsize=2)
def _cell_xml(profile: RobotProfile) -> str:
    """The robot description as MuJoCo reads it; xacro takes longer than the rest of building a cell."""
    return _for_mujoco(load_urdf(profile))


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
    """What the controller is not told: fingers of another size, whose inner faces stay, and the whole gripper moved
    along the tool's y axis."""
    change = variation.gripper
    gripper = spec.body("gripper")
    # the mount turns the tool's axes by half a turn about z: the tool's y is the flange's -y
    gripper.pos = gripper.pos + np.array([0.0, -change.offset_m, 0.0])
    for name in ("left_finger", "right_finger"):
        for geom in spec.body(name).geoms:
            longer = np.array([0.0, 0.0, change.extension_m / 2])
            geom.size = geom.size * np.array([change.finger_width, change.finger_thickness, 1.0]) + longer
            geom.pos = geom.pos * np.array([1.0, change.finger_thickness, 1.0]) + longer
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
