"""What only the camera notices: the floor's pattern, lamps, colours, and the camera itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import cv2
import mujoco
import numpy as np

from robot_finetune.perception.camera_model import CameraModel
from robot_finetune.robot.profile import CameraConfig, RobotProfile
from robot_finetune.sim.variations import CameraShift, Floor, Light, Tints

VISUAL_GROUP = 1  # of the geoms that are drawn
TEXELS = 128  # along the bin
OPTICAL = np.array([1.0, -1.0, -1.0])
"""Signs between the axes of MuJoCo's cameras (right, up, back) and optical ones (right, down, forward)."""
PATCHES = 0.5  # m2 of patches for each m2 of a patched floor


def add_floor(spec: mujoco.MjSpec, profile: RobotProfile, floor: Floor) -> mujoco.MjsGeom:
    """The bin's floor, a plane; what touches it is for the caller to say."""
    material = spec.add_material()
    material.name, material.specular = "floor", 0.1
    if floor.pattern == "plain":
        material.rgba = (*floor.color, 1.0)
    else:
        texture = spec.add_texture()
        texture.name, texture.type = floor.pattern, mujoco.mjtTexture.mjTEXTURE_2D
        texture.width = texture.height = TEXELS
        material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = floor.pattern
        if floor.pattern == "checkerboard":
            texture.builtin = mujoco.mjtBuiltin.mjBUILTIN_CHECKER
            texture.rgb1, texture.rgb2 = floor.color, floor.color2
            material.texuniform, material.texrepeat = True, (0.5 / floor.square, 0.5 / floor.square)
        else:
            draw = _mottled if floor.pattern == "mottled" else _patched
            texture.nchannel, texture.data = 3, draw(floor, 2 * max(profile.bin_half)).tobytes()
    geom = spec.worldbody.add_geom()
    geom.name, geom.type, geom.group = "floor", mujoco.mjtGeom.mjGEOM_PLANE, VISUAL_GROUP
    geom.pos = (*profile.bin_center, profile.floor_z)
    geom.size = (*profile.bin_half, 0.01)
    geom.material = "floor"
    return geom


def add_lights(spec: mujoco.MjSpec, profile: RobotProfile, light: Light) -> None:
    """The even light, the main lamp, and a second one if it shines."""
    headlight = spec.visual.headlight
    headlight.ambient = [light.ambient] * 3
    headlight.diffuse = headlight.specular = [0.0] * 3
    center = np.array([*profile.bin_center, profile.floor_z])
    lamps = [(light.direction, light.intensity, light.color, light.shadows)]
    if light.second:
        lamps.append((light.second_direction, light.second * light.intensity, light.color, False))
    for direction, intensity, color, shadows in lamps:
        towards = np.array(direction) / np.linalg.norm(direction)
        lamp = spec.worldbody.add_light()
        lamp.type, lamp.dir, lamp.pos = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL, towards, center - 1.0 * towards
        lamp.diffuse = [intensity * part for part in color]
        lamp.ambient, lamp.specular = [0.0] * 3, [0.2 * intensity] * 3
        lamp.castshadow = shadows


def add_camera(spec: mujoco.MjSpec, config: CameraConfig, shift: CameraShift) -> None:
    """The calibrated camera, moved, turned and zoomed by `shift`, of which the calibration knows nothing."""
    model = shifted_camera(config, shift)
    camera = spec.worldbody.add_camera()
    camera.name, camera.pos = "camera", model.position
    quaternion = np.empty(4)
    mujoco.mju_mat2Quat(quaternion, (model.rotation * OPTICAL).ravel())
    camera.quat, camera.fovy = quaternion, field_of_view(config, shift.zoom)


def shifted_camera(config: CameraConfig, shift: CameraShift) -> CameraModel:
    """Where that camera really is."""
    model = CameraModel.from_config(config)
    turned, _ = cv2.Rodrigues(np.radians(shift.turn))
    rotation = (model.rotation * OPTICAL) @ np.asarray(turned) * OPTICAL
    matrix = model.matrix @ np.diag([shift.zoom, shift.zoom, 1.0])
    return replace(model, matrix=matrix, rotation=rotation, position=model.position + np.array(shift.offset))


def bin_in_view(profile: RobotProfile, shift: CameraShift) -> float:
    """The part of the bin's floor that the policy sees in the image of that camera."""
    across = np.linspace(-1.0, 1.0, 21)
    places = np.stack(np.meshgrid(across, across), axis=-1).reshape(-1, 2) * profile.bin_half + profile.bin_center
    floor = np.column_stack([places, np.full(len(places), profile.floor_z)])
    pixels = shifted_camera(profile.camera, shift).seen_by_policy(1).project(floor)
    return float((np.abs(pixels) <= 0.5).all(axis=1).mean())


def tint(spec: mujoco.MjSpec, tints: Tints, gripper: Iterable[str]) -> None:
    """Multiply the colours of table, bin and the links of the gripper."""
    colors = {"table": tints.table, "bin": tints.bin} | dict.fromkeys(gripper, tints.gripper)
    for body, color in colors.items():
        for geom in (geom for geom in spec.body(body).geoms if geom.group == VISUAL_GROUP):
            geom.rgba = [*np.clip(np.array(geom.rgba[:3]) * color, 0.0, 1.0), geom.rgba[3]]


def field_of_view(camera: CameraConfig, zoom: float = 1.0) -> float:
    """Vertical opening angle of the camera [degrees] at `zoom` times its calibrated focal length."""
    return float(np.degrees(2 * np.arctan(camera.height / 2 / (camera.focal * zoom))))


def _mottled(floor: Floor, width: float) -> np.ndarray:
    """uint8 (TEXELS, TEXELS, 3): soft spots of random shades between the floor's two colours, over `width` [m]."""
    spots = max(2, round(width / floor.square))
    shade = np.random.default_rng(floor.seed).random((spots, spots))
    smooth = np.asarray(cv2.resize(shade, (TEXELS, TEXELS), interpolation=cv2.INTER_LINEAR))[..., None]
    return np.asarray(255 * (np.array(floor.color) * (1 - smooth) + np.array(floor.color2) * smooth), np.uint8)


def _patched(floor: Floor, width: float) -> np.ndarray:
    """uint8 (TEXELS, TEXELS, 3): rectangles of any turn and shade between the floor's two colours, thrown on `color`
    until they would cover half of it."""
    rng, scale = np.random.default_rng(floor.seed), TEXELS / width
    image = np.tile(np.float32(255) * np.array(floor.color, np.float32), (TEXELS, TEXELS, 1))
    area = 0.0
    while area < PATCHES * width * width:
        size = floor.square * rng.uniform(0.5, 2.0, 2)
        center, angle, share = rng.uniform(0, TEXELS, 2), rng.uniform(0, 180), rng.uniform(0.3, 1.0)
        shade = 255 * (np.array(floor.color) * (1 - share) + np.array(floor.color2) * share)
        corners = cv2.boxPoints((center.tolist(), (size * scale).tolist(), float(angle)))
        cv2.fillConvexPoly(image, corners.astype(np.int32), shade.tolist())
        area += float(size.prod())
    return image.astype(np.uint8)
