"""The cell as a MuJoCo model: the robot (robot_model.py) plus floor and object slots; appearance.py paints it."""

from __future__ import annotations

import mujoco
import numpy as np

from robot_finetune.robot.profile import RobotProfile
from robot_finetune.sim import appearance
from robot_finetune.sim.appearance import VISUAL_GROUP
from robot_finetune.sim.objects import ObjectShape, PlacedObject, mass_properties
from robot_finetune.sim.robot_model import (
    BIN_CONTACTS,
    OBJECT_CONTACTS,
    change_gripper,
    drive,
    robot_model,
    set_contacts,
)
from robot_finetune.sim.variations import Variation

TIMESTEP = 0.004  # s
GEOM_TYPES = {
    "box": mujoco.mjtGeom.mjGEOM_BOX,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
    "capsule": mujoco.mjtGeom.mjGEOM_CAPSULE,
    "ellipsoid": mujoco.mjtGeom.mjGEOM_ELLIPSOID,
    "bottle": mujoco.mjtGeom.mjGEOM_CYLINDER,
}
UNUSED = 1e-4  # m, size of a neck that is not there


def build_model(profile: RobotProfile, variation: Variation) -> mujoco.MjModel:
    """The compiled cell in the state that `variation` describes, with empty object slots named object_<i>.

    Raises ConfigError for a robot that it cannot be built for."""
    robot = robot_model(profile)
    spec = robot.new_spec()
    _set_options(spec)
    set_contacts(spec, robot)
    change_gripper(spec, robot, variation.gripper)
    drive(spec, robot, profile)
    floor = appearance.add_floor(spec, profile, variation.scene.floor)
    floor.condim, floor.contype, floor.conaffinity = 4, *BIN_CONTACTS
    appearance.add_lights(spec, profile, variation.scene.light)
    appearance.add_camera(spec, profile.camera, variation.scene.camera)
    appearance.tint(spec, variation.scene.tints, robot.gripper_links)
    for i in range(variation.scene.objects.count):
        _add_object(spec, i, variation.scene.objects.friction)
    return spec.compile()


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
