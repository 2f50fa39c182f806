"""The cell as a MuJoCo model: the robot (robot_model.py) plus floor and slots for objects (object_slots.py);
appearance.py paints it."""

from __future__ import annotations

import mujoco

from robot_finetune.robot.profile import CameraConfig, RobotProfile
from robot_finetune.sim import appearance, object_slots
from robot_finetune.sim.robot_model import BIN_CONTACTS, change_gripper, drive, robot_model, set_contacts
from robot_finetune.sim.variations import Variation

TIMESTEP = 0.004  # s


def build_model(profile: RobotProfile, variation: Variation, camera: CameraConfig | None = None) -> mujoco.MjModel:
    """The compiled cell in the state that `variation` describes, with empty object slots named object_<i>.

    camera: calibrated elsewhere than in the profile. Raises ConfigError for a robot that it cannot be built for."""
    robot = robot_model(profile)
    spec = robot.new_spec()
    _set_options(spec)
    set_contacts(spec, robot)
    change_gripper(spec, robot, variation.gripper)
    drive(spec, robot, profile)
    floor = appearance.add_floor(spec, profile, variation.scene.floor)
    floor.condim, floor.contype, floor.conaffinity = 4, *BIN_CONTACTS
    appearance.add_lights(spec, profile, variation.scene.light)
    appearance.add_camera(spec, camera or profile.camera, variation.scene.camera)
    appearance.tint(spec, variation.scene.tints, robot.gripper_links)
    object_slots.add_slots(spec, variation.scene.objects)
    return spec.compile()


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
