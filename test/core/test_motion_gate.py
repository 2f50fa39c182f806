"""The last gate before the devices, and that nothing in the chain before it makes what it has to refuse."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_finetune.robot.interfaces import RobotError
from robot_finetune.robot.joint_trajectory import JointTrajectory
from robot_finetune.robot.kinematics import Kinematics, Unreachable
from robot_finetune.robot.motion_gate import CommandRefused, MotionGate, check_opening
from robot_finetune.robot.profile import load_robot

PROFILE = load_robot("sim")
KINEMATICS = Kinematics(PROFILE)
GATE = MotionGate(PROFILE, KINEMATICS.low, KINEMATICS.high, KINEMATICS.velocity_limits)
HOME = np.array(PROFILE.home_joints)
START = np.array(PROFILE.start_pose)


def trajectory(*points, spans=None):
    """Through joint positions, each `spans` seconds (1 s) after the one before."""
    return JointTrajectory(np.cumsum(spans or [1.0] * len(points)), np.array(points))


def test_a_sound_trajectory_passes():
    GATE.trajectory(trajectory(HOME, HOME + 0.1, HOME), HOME + 0.04)
    GATE.trajectory(trajectory(HOME), None)


BEYOND = KINEMATICS.high + [0.01, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (trajectory(HOME, HOME * np.nan), "not a number"),
        (trajectory(HOME, spans=[np.inf]), "do not rise"),
        (trajectory(HOME, HOME, spans=[1.0, 0.0]), "do not rise"),
        (trajectory(HOME, spans=[-1.0]), "do not rise"),
        (trajectory(KINEMATICS.high, BEYOND, spans=[5.0, 5.0]), "beyond the joint limits"),
        (trajectory(HOME, spans=[15.1]), "motion.longest allows 15 s"),
        (trajectory(*[HOME] * 20_001, spans=[1e-3] * 20_001), "20001 points"),
        (JointTrajectory(np.zeros(0), np.zeros((0, 7))), "0 points"),
        (JointTrajectory(np.ones(1), np.zeros((2, 7))), "1 times and 2 points"),
        (trajectory(HOME, HOME + 0.1, spans=[1.0, 0.01]), "times the joints' scaled velocity limit"),
        (trajectory(HOME + 0.5, spans=[0.1]), "begins 0.3. rad from where the arm is"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_reason(sent, why):
    with pytest.raises(CommandRefused, match=why):
        GATE.trajectory(sent, HOME)


def test_an_arm_that_is_measured_beyond_its_limits_may_stay_and_come_back():
    outside = KINEMATICS.high + 0.03
    GATE.trajectory(trajectory(outside, spans=[0.1]), outside)
    GATE.trajectory(trajectory(outside, KINEMATICS.high - 0.1), outside)
    with pytest.raises(CommandRefused):
        GATE.trajectory(trajectory(outside + 0.01), outside)


def test_targets_are_numbers_within_the_workspace_or_on_the_way_back_to_it():
    inside = np.array([0.6, 0.0, 0.1, 0.0])
    GATE.pose(inside, START)
    outside = inside + [0.0, 0.0, 2.0, 0.0]
    with pytest.raises(CommandRefused, match="outside of the workspace"):
        GATE.pose(outside, START)
    GATE.pose(outside - [0, 0, 0.1, 0], outside)
    with pytest.raises(CommandRefused, match="not a number"):
        GATE.pose(inside * np.nan, START)


@pytest.mark.parametrize("opening", [np.nan, np.inf, -0.01, 1.01])
def test_an_opening_is_between_closed_and_open(opening):
    check_opening(0.0)
    check_opening(1.0)
    with pytest.raises(CommandRefused, match="gripper opening"):
        check_opening(opening)


BOX = zip(PROFILE.workspace.low, PROFILE.workspace.high, strict=True)
poses = st.tuples(*(st.floats(low, high) for low, high in BOX))
yaws = st.floats(-1.5, 1.5)


@settings(max_examples=60, deadline=None)
@given(poses, yaws, poses, yaws, st.floats(-0.04, 0.04))
def test_every_line_that_is_planned_passes(begin, begin_yaw, end, end_yaw, moved):
    """moved: how far the arm was pushed since it was measured [rad]."""
    try:
        q = KINEMATICS.inverse(np.array([*begin, begin_yaw]))
        line = KINEMATICS.line(q, np.array([*end, end_yaw]))
        joints = KINEMATICS.joint_line(q, HOME)
    except Unreachable:
        return
    GATE.trajectory(line, q + moved)
    GATE.trajectory(joints, q + moved)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-4, 4), min_size=7, max_size=7), st.lists(st.floats(-4, 4), min_size=7, max_size=7))
def test_every_joint_move_between_any_positions_is_refused_or_passes(begin, end):
    begin = np.clip(begin, KINEMATICS.low, KINEMATICS.high)
    try:
        GATE.trajectory(KINEMATICS.joint_line(begin, np.array(end)), begin)
    except Unreachable:
        assert (np.abs(end) > np.minimum(KINEMATICS.high, -KINEMATICS.low)).any()


def test_a_motion_that_would_take_too_long_is_not_even_planned():
    slow = replace(PROFILE, motion=replace(PROFILE.motion, tip_speed=0.01, longest=2.0))
    kinematics = Kinematics(slow)
    with pytest.raises(RobotError, match="motion.longest allows 2 s; raise it or the speed"):
        kinematics.joint_line(HOME, HOME + [1.5, 0, 0, 0, 0, 0, 0])
    with pytest.raises(RobotError, match="motion.longest"):
        kinematics.line(kinematics.inverse(START), START - [0, 0, 0.1, 0])


def test_a_joint_without_an_end_turns_the_short_way(tmp_path):
    """joint_7 of the cell as a continuous joint, as some wrists are."""
    from robot_finetune.robot.description import load_urdf

    urdf = tmp_path / "endless.urdf"
    text = load_urdf(PROFILE)
    before, joint = text.split('<joint name="joint_7" type="revolute"', 1)
    urdf.write_text(before + '<joint name="joint_7" type="continuous"' + joint)
    kinematics = Kinematics(replace(PROFILE, urdf=str(urdf)))
    turned = HOME + [0, 0, 0, 0, 0, 0, 4 * np.pi]
    back = kinematics.joint_line(turned, HOME + [0, 0, 0, 0, 0, 0, 0.1])
    assert np.ptp(back.positions[:, 6]) < 0.11 and abs(back.positions[-1, 6] - turned[6] - 0.1) < 1e-9
    start = kinematics.forward(turned)
    line = kinematics.line(turned, start + [0.03, 0, 0, 0])
    assert np.abs(line.positions - turned).max() < 0.3 and len(line.times) < 30
