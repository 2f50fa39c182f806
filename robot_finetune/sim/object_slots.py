"""Object slots: bodies of the compiled cell whose shapes change at run time, without compiling it again."""

from __future__ import annotations

import mujoco
import numpy as np

from robot_finetune.sim.appearance import VISUAL_GROUP
from robot_finetune.sim.families import FAMILIES, Hull, hulls
from robot_finetune.sim.objects import PlacedObject
from robot_finetune.sim.shapes import RING_SIDES, ObjectShape, Part, mass_properties
from robot_finetune.sim.variations import Objects

CONTACTS = (2, 1 | 2 | 4)  # contype, conaffinity
GEOM_TYPES = {
    "box": mujoco.mjtGeom.mjGEOM_BOX,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
    "capsule": mujoco.mjtGeom.mjGEOM_CAPSULE,
    "ellipsoid": mujoco.mjtGeom.mjGEOM_ELLIPSOID,
    "hull": mujoco.mjtGeom.mjGEOM_MESH,
}
UNUSED = Part("cylinder", (1e-4, 1e-4, 1e-4))
"""In the place of a part that an object does not have; drawn and touched by nothing."""
SIMPLE, MOST_PARTS = 2, RING_SIDES + 1


def add_slots(spec: mujoco.MjSpec, wanted: Objects) -> None:
    """Bodies object_<i> with room for any shape that `wanted` may mean, and the meshes of its hulls."""
    for hull in _hulls(wanted):
        mesh = spec.add_mesh()
        mesh.name, mesh.uservert = hull.name, hull.vertices.ravel()
    for index in range(wanted.count):
        _add_slot(spec, f"object_{index}", _several_parts(wanted), wanted.friction)


def place_objects(model: mujoco.MjModel, data: mujoco.MjData, objects: list[PlacedObject], alpha: float) -> None:
    """Turn the object slots of `model` into `objects` and put them there, at rest; the other joints are kept."""
    for i, placed in enumerate(objects):
        _shape_slot(model, model.body(f"object_{i}").id, placed.shape, alpha)
    state = data.qpos.copy(), data.qvel.copy(), data.act.copy(), data.ctrl.copy(), data.time
    mujoco.mj_setConst(model, data)
    data.qpos[:], data.qvel[:], data.act[:], data.ctrl[:], data.time = state
    for i, placed in enumerate(objects):
        joint = model.joint(f"object_{i}")
        data.qpos[joint.qposadr[0] : joint.qposadr[0] + 7] = [*placed.position, *placed.quaternion]
        data.qvel[joint.dofadr[0] : joint.dofadr[0] + 6] = 0.0
    data.qacc_warmstart[:] = 0.0


def _several_parts(wanted: Objects) -> bool:
    return wanted.family not in ("mixed", "bottles") or bool(wanted.kinds.total)


def _hulls(wanted: Objects) -> list[Hull]:
    if wanted.family == "hulls":
        return [hull for family in FAMILIES for hull in hulls(family, wanted.seed)]
    return list(hulls("varied", wanted.seed)) if wanted.kinds.hulls else []


def _add_slot(spec: mujoco.MjSpec, name: str, several_parts: bool, friction: float) -> None:
    body = spec.worldbody.add_body()
    body.name = name
    body.mass, body.inertia, body.explicitinertial = 0.05, [1e-5] * 3, True
    body.add_freejoint().name = name
    for part in range(MOST_PARTS if several_parts else SIMPLE):
        geom = body.add_geom()
        geom.name, geom.type, geom.size = f"{name}_{part}", mujoco.mjtGeom.mjGEOM_BOX, [0.01] * 3
        geom.pos, geom.group, geom.condim = (0.0, 0.0, 0.02 * part), VISUAL_GROUP, 4
        geom.contype, geom.conaffinity = CONTACTS
        geom.friction = (friction, 0.01, 0.0002)
        if several_parts:  # the compiler notes, and relies on it, where frames of geoms are those of their bodies
            geom.pos, geom.quat = (0.01, 0.0, 0.0), (0.6, 0.0, 0.0, 0.8)
    if several_parts:
        body.ipos = (0.01, 0.0, 0.0)


def _shape_slot(model: mujoco.MjModel, body: int, shape: ObjectShape, alpha: float) -> None:
    first, parts = model.body_geomadr[body], shape.solids
    for index in range(model.body_geomnum[body]):
        used = index < len(parts)
        part, geom = parts[index] if used else UNUSED, first + index
        _shape_geom(model, geom, part)
        model.geom_contype[geom], model.geom_conaffinity[geom] = CONTACTS if used else (0, 0)
        model.geom_rgba[geom] = [*(part.shade * np.array(shape.color)), alpha if used else 0.0]
    model.body_mass[body], model.body_ipos[body], model.body_inertia[body] = mass_properties(shape)


def _shape_geom(model: mujoco.MjModel, geom: int, part: Part) -> None:
    half = np.array(part.half)
    size = half
    if part.kind == "cylinder":
        size = np.array([half[0], half[2], 0.0])
    elif part.kind == "capsule":
        size = np.array([half[0], half[2] - half[0], 0.0])
    place, turn = np.array(part.position), np.array([np.cos(part.yaw / 2), 0.0, 0.0, np.sin(part.yaw / 2)])
    middle, radius, mesh = np.zeros(3), float(np.linalg.norm(half)), -1
    if part.kind == "hull":
        mesh = model.mesh(part.mesh).id
        place, turn = model.mesh_pos[mesh], model.mesh_quat[mesh]
        start = model.mesh_vertadr[mesh]
        vertices = model.mesh_vert[start : start + model.mesh_vertnum[mesh]]
        low, high = vertices.min(axis=0), vertices.max(axis=0)
        middle, size, radius = (low + high) / 2, (high - low) / 2, float(np.linalg.norm(vertices, axis=1).max())
        half = size
    model.geom_type[geom], model.geom_dataid[geom], model.geom_size[geom] = GEOM_TYPES[part.kind], mesh, size
    model.geom_pos[geom], model.geom_quat[geom] = place, turn
    model.geom_aabb[geom] = [*middle, *half]
    model.geom_rbound[geom] = radius
