"""Kinematics of the arm in the URDF."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_finetune.config import ConfigError
from robot_finetune.robot.kinematics import Kinematics, Unreachable, load_urdf
from robot_finetune.robot.profile import load_robot

PROFILE = load_robot("sim")
KINEMATICS = Kinematics(PROFILE)
START = KINEMATICS.inverse(np.array(PROFILE.start_pose))
LOW, HIGH = (
    np.array([*edge, sign * PROFILE.workspace.max_yaw])
    for edge, sign in ((PROFILE.workspace.low, -1), (PROFILE.workspace.high, 1))
)
poses = st.tuples(*[st.floats(float(a), float(b)) for a, b in zip(LOW, HIGH, strict=True)]).map(np.array)


@settings(deadline=None, max_examples=60)
@given(poses)
def test_every_pose_of_the_workspace_is_reached_within_the_joint_limits(pose):
    q = KINEMATICS.inverse(pose, START)
    np.testing.assert_allclose(KINEMATICS.forward(q), pose, atol=1e-3)
    assert np.all(q >= KINEMATICS.low) and np.all(q <= KINEMATICS.high)


@settings(deadline=None, max_examples=40)
@given(poses, poses)
def test_a_line_is_straight_and_keeps_the_limits(begin, end):
    q = KINEMATICS.inverse(begin, START)
    line = KINEMATICS.line(q, end)
    path = np.array([KINEMATICS.forward(point) for point in line.positions])
    np.testing.assert_allclose(path[-1], end, atol=1e-3)
    along = end[:3] - begin[:3]
    along /= max(np.linalg.norm(along), 1e-9)
    away = path[:, :3] - begin[:3]
    assert np.linalg.norm(away - np.outer(away @ along, along), axis=1).max() < 0.001
    assert np.all(line.positions >= KINEMATICS.low) and np.all(line.positions <= KINEMATICS.high)
    assert np.all(np.diff(line.times, prepend=0.0) > 0)
    seconds = np.diff(line.times, prepend=0.0)[:, None]
    joint_speeds = np.abs(np.diff(line.positions, axis=0, prepend=q[None])) / seconds
    assert np.all(joint_speeds <= 1.1 * KINEMATICS.velocity_limits)
    tip_speeds = np.linalg.norm(np.diff(path[:, :3], axis=0, prepend=begin[None, :3]), axis=1) / seconds[:, 0]
    assert tip_speeds.max() < 1.05 * PROFILE.motion.tip_speed + 0.01


def test_a_joint_move_ends_at_its_goal_within_the_velocity_limits():
    goal = np.array(PROFILE.out_of_view_joints)
    move = KINEMATICS.joint_line(START, goal)
    np.testing.assert_allclose(move.positions[-1], goal, atol=1e-9)
    speeds = np.abs(np.diff(move.positions, axis=0, prepend=START[None])) / np.diff(move.times, prepend=0.0)[:, None]
    assert np.all(speeds <= 1.01 * KINEMATICS.velocity_limits)


def test_what_is_out_of_reach_is_refused():
    with pytest.raises(Unreachable, match="cannot reach"):
        KINEMATICS.inverse(np.array([1.5, 0.0, 0.2, 0.0]))
    with pytest.raises(Unreachable, match="cannot reach .* joint_4 at the limit"):
        KINEMATICS.line(START, np.array([0.1, 0.0, 0.1, 0.0]))
    with pytest.raises(Unreachable, match="joint limits"):
        KINEMATICS.joint_line(START, START + [4.0, 0, 0, 0, 0, 0, 0])


def test_limits_are_those_of_the_iiwa_14():
    np.testing.assert_allclose(np.degrees(KINEMATICS.high), [170, 120, 170, 120, 170, 120, 175])
    full_speed = KINEMATICS.velocity_limits / PROFILE.motion.velocity_scaling
    np.testing.assert_allclose(np.degrees(full_speed), [85, 85, 100, 75, 130, 135, 135])
    stretched = KINEMATICS.forward(np.array([0, np.pi / 2, 0, 0, 0, 0, 0]))
    np.testing.assert_allclose(stretched[[0, 2]], [0.42 + 0.40 + 0.126 + 0.12, 0.36], atol=1e-9)


def test_the_description_follows_the_profile_and_errors_name_the_cure():
    moved = replace(PROFILE, bin_center=(0.5, 0.25), camera=replace(PROFILE.camera, position=(1.0, 0.5, 0.9)))
    assert 'xyz="0.5 0.25 0.0"' in load_urdf(moved) and 'xyz="1.0 0.5 0.9"' in load_urdf(moved)
    with pytest.raises(ConfigError, match="no such robot description; correct `urdf`"):
        load_urdf(replace(PROFILE, urdf="urdf/none.urdf"))
    with pytest.raises(ConfigError, match="no joint 'elbow'"):
        Kinematics(replace(PROFILE, joints=("elbow", *PROFILE.joints[1:])))
    with pytest.raises(ConfigError, match="no link 'tool0'"):
        Kinematics(replace(PROFILE, tip_frame="tool0"))


def test_the_tool_may_be_mounted_in_any_way():
    turned = Kinematics(replace(PROFILE, tool_orientation=(np.pi, 0.0, 0.7)))
    pose = np.array([0.6, 0.1, 0.1, 0.4])
    q = turned.inverse(pose)
    np.testing.assert_allclose(turned.forward(q), pose, atol=1e-3)
    np.testing.assert_allclose(KINEMATICS.forward(q), pose + [0, 0, 0, 0.7], atol=1e-3)
    np.testing.assert_allclose(KINEMATICS.rotation(0.0), np.diag([1.0, -1.0, -1.0]), atol=0)


def test_a_link_that_is_fixed_to_the_tip():
    position, rotation = KINEMATICS.from_tip("link_7")
    np.testing.assert_allclose(position, [0.0, 0.0, -0.165], atol=1e-9)
    np.testing.assert_allclose(rotation, np.diag([-1.0, -1.0, 1.0]), atol=1e-6)
    with pytest.raises(ConfigError, match="'link_4' is not fixed to 'tcp'"):
        KINEMATICS.from_tip("link_4")


@pytest.mark.parametrize("mounting", [1.4, 1.6, 1.8])
def test_a_joint_at_its_end_is_made_up_for_by_the_others(mounting):
    """The tool is mounted turned, so that joint 7 alone cannot give the largest yaw: the elbow has to."""
    profile = replace(PROFILE, tool_orientation=(np.pi, 0.0, mounting))
    kinematics = Kinematics(profile)
    q = kinematics.inverse(np.array(profile.start_pose))
    box = profile.workspace
    for x in np.linspace(box.low[0], box.high[0], 4):
        for y in np.linspace(box.low[1], box.high[1], 4):
            pose = np.array([x, y, box.low[2], box.max_yaw])
            low = kinematics.inverse(pose, q)
            np.testing.assert_allclose(kinematics.forward(low), pose, atol=1e-3)
            lift = kinematics.line(low, pose + [0, 0, 0.15, 0])
            assert np.all(lift.positions >= kinematics.low - 1e-9) and np.all(lift.positions <= kinematics.high + 1e-9)
