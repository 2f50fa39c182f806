"""The example's PyBullet world is a cell in which grasping is possible, and its camera is where its profile says."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from robot_finetune.config import SHARE
from robot_finetune.perception.camera_model import CameraModel
from robot_finetune.robot.kinematics import Kinematics
from robot_finetune.robot.profile import load_robot

pytest.importorskip("pybullet")
EXAMPLE = SHARE / "examples" / "pybullet_panda"
PROFILE = load_robot(EXAMPLE / "panda.yaml")
sys.path.insert(0, str(EXAMPLE))


@pytest.fixture(scope="module")
def world():
    from world import World

    made = World(PROFILE, seed=5)
    yield made
    made.close()


def move(world, pose):
    kinematics = Kinematics(PROFILE)
    trajectory = kinematics.line(np.array(world.joints()[0][:7]), np.array(pose))
    world.send(trajectory)
    world.advance(trajectory.times[-1] + 0.2)


def test_what_is_between_the_fingers_is_lifted_and_the_fingers_tell_it(world):
    lifted = []
    for _ in range(6):
        world.refill()
        x, y, _ = world.object_positions()[0]
        world.drive_fingers(PROFILE.gripper.open_position)
        move(world, (x, y, 0.1, 0.0))
        move(world, (x, y, PROFILE.workspace.low[2], 0.0))
        world.drive_fingers(0.0)
        world.advance(0.6)
        move(world, (x, y, 0.17, 0.0))
        opening = world.joints()[0][7] / PROFILE.gripper.open_position
        lifted.append(world.held())
        assert world.held() == (opening > PROFILE.gripper.empty_opening)
    assert sum(lifted) >= 2


def test_the_calibration_finds_objects_in_the_image(world):
    world.refill()
    camera, image = CameraModel.from_config(PROFILE.camera), world.image().astype(int)
    colourful = np.ptp(image, axis=2) > 20
    for place in world.object_positions():
        u, v = camera.project(place[None])[0]
        assert colourful[round(v) - 6 : round(v) + 7, round(u) - 6 : round(u) + 7].any()
