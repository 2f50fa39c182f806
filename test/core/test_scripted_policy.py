"""The policy without a network: within the workspace on any cell, and aimed at what was moved."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_finetune.perception.camera_model import CameraModel
from robot_finetune.perception.scripted_policy import ENOUGH, ScriptedConfig, ScriptedPolicy
from robot_finetune.robot.action_space import ActionSpace
from robot_finetune.robot.approach import Approach
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.robot.workspace import Workspace
from robot_finetune.types import Observation

PROFILE = RobotProfile()
SIZE = 64
FLOOR = np.full((SIZE, SIZE, 3), 120, np.uint8)


def at(place):
    """An image of the floor with a bright spot where an object at `place` (2,) [m] would be."""
    image = FLOOR.copy()
    pixel = CameraModel.from_config(PROFILE.camera).seen_by_policy(SIZE).project(np.array([[*place, 0.02]]))[0]
    column, row = np.round(pixel).astype(int)
    image[row - 2 : row + 3, column - 2 : column + 3] = 250
    return image


def attempt(policy, image, profile=PROFILE, steps=12):
    """Poses (n, 4) of one grasp of an arm that goes where it is asked to, up to the closing."""
    policy.begin_episode("scripted")
    workspace, actions = Workspace(profile), ActionSpace(profile.workspace)
    poses = [np.array(profile.start_pose)]
    for step in range(steps):
        action = policy.act(Observation(image, poses[-1], 1.0, step)).action
        if action.closes:
            return np.stack(poses)
        poses.append(workspace.clip(poses[-1], actions.target(poses[-1], action)))
    pytest.fail("it never closes")


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), yaw=st.floats(-1.5, 1.5), max_yaw=st.floats(0.3, 1.6), height=st.floats(0, 0.3))
def test_every_grasp_stays_within_the_workspace_and_ends_by_closing_in_the_bin(seed, yaw, max_yaw, height):
    profile = replace(PROFILE, start_pose=(0.6, 0.0, 0.2, yaw), workspace=replace(PROFILE.workspace, max_yaw=max_yaw))
    policy = ScriptedPolicy(profile, ScriptedConfig(look=0.0, height=height), seed)
    poses = attempt(policy, FLOOR, profile)
    low, high = profile.workspace.low, profile.workspace.high
    assert (poses[:, :3] >= np.array(low) - 1e-9).all() and (poses[:, :3] <= np.array(high) + 1e-9).all()
    assert np.abs(poses[:, 3] - yaw).max() <= max_yaw + 1e-9
    assert np.abs(poses[-1, :2] - profile.bin_center).max() <= profile.bin_half_width


def test_without_looking_grasps_are_spread_over_the_bin_and_all_yaws():
    policy = ScriptedPolicy(PROFILE, ScriptedConfig(look=0.0))
    ends = np.stack([attempt(policy, FLOOR)[-1] for _ in range(300)])
    reach = PROFILE.bin_half_width - ScriptedConfig().wall
    for axis, centre in enumerate(PROFILE.bin_center):
        counts, _ = np.histogram(ends[:, axis], 4, (centre - reach, centre + reach))
        assert counts.min() > 40
    counts, _ = np.histogram(ends[:, 3], 4, (-PROFILE.workspace.max_yaw, PROFILE.workspace.max_yaw))
    assert counts.min() > 40


@pytest.mark.parametrize("place", [(0.5, -0.1), (0.7, 0.08), (0.6, 0.0)])
def test_looking_aims_at_what_was_not_there_before(place):
    policy = ScriptedPolicy(PROFILE, ScriptedConfig(look=1.0))
    for number in range(ENOUGH):  # what lies now here, now there is not what the image usually shows
        attempt(policy, at((0.48 + 0.03 * number, 0.1)))
    ends = np.stack([attempt(policy, at(place))[-1] for _ in range(5)])
    assert np.linalg.norm(ends[:, :2] - place, axis=1).max() < 0.035


def test_where_nothing_is_new_it_still_grasps():
    policy = ScriptedPolicy(PROFILE, ScriptedConfig(look=1.0))
    ends = np.stack([attempt(policy, FLOOR)[-1] for _ in range(60)])
    assert ends[:, :2].std(0).min() > 0.04


@given(yaw=st.floats(-1.4, 1.4), target=st.floats(-10, 10))
def test_the_turn_to_a_grasp_is_at_most_a_quarter_or_stays_within_the_yaw_range(yaw, target):
    approach = Approach(PROFILE, np.array([0.6, 0.0, 0.05, target]))
    _, turn = approach.way(np.array([0.6, 0.1, 0.2, yaw]))
    assert abs(turn) <= np.pi / 2 + 1e-9 or abs(yaw + turn) <= PROFILE.workspace.max_yaw + 1e-9
    assert np.sin(yaw + turn - target) == pytest.approx(0.0, abs=1e-6)  # the same, or half a turn away
