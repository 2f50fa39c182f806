"""What is believed of joint_states: a message that cannot be true is refused, with the reason, and nothing else is."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_finetune.robot.joint_intake import CONFIRM, BadJointState, JointIntake
from robot_finetune.robot.joint_limits import JointLimit, measured_limits
from robot_finetune.robot.profile import load_robot

PROFILE = load_robot("sim")
LIMITS = measured_limits(PROFILE)
HOME = np.array(PROFILE.home_joints)
TICK = 0.01


def hear(intake, positions, stamp, names=PROFILE.joints, **more):
    return intake.accept(list(names), list(positions), stamp, **more)


def refusal(intake, *arguments, **more):
    with pytest.raises(BadJointState) as refused:
        hear(intake, *arguments, **more)
    return str(refused.value)


@pytest.fixture
def intake():
    """One that has heard a second of an arm at rest."""
    made = JointIntake(LIMITS)
    for tick in range(100):
        hear(made, HOME, 1.0 + tick * TICK)
    return made


def test_the_limits_are_those_of_the_description():
    assert LIMITS["joint_1"].high == pytest.approx(2.967, abs=1e-3) and LIMITS["joint_1"].velocity > 1
    assert LIMITS[PROFILE.gripper.joint].high == pytest.approx(0.06)


def test_what_is_legal_is_taken(intake):
    assert hear(intake, HOME, 2.0) == pytest.approx(dict(zip(PROFILE.joints, HOME, strict=True)))
    assert hear(intake, HOME + 0.02, 2.0 + TICK)
    for tick in range(CONFIRM):
        found = hear(intake, [0.01], 2.0 + tick * TICK, ["left_finger_joint"])
    assert found == {"left_finger_joint": 0.01}
    assert hear(intake, [], 2.1) == {}, "efforts alone"
    assert hear(intake, [1.0], 2.1, ["wheel"]) == {}, "of another robot"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_position_that_is_no_number_is_named(intake, value):
    assert refusal(intake, [value, *HOME[1:]], 2.0) == f"joint_1 is {value}"


def test_a_position_beyond_the_limits_is_named(intake):
    assert refusal(intake, [1e6, *HOME[1:]], 2.0) == "joint_1 is at 1e+06, its limits are -2.967 to 2.967"
    assert hear(intake, HOME, 2.0 + TICK), "the next one is taken"


def test_a_jump_is_passed_over_and_the_arm_is_believed_again(intake):
    assert refusal(intake, [1.56, *HOME[1:]], 2.0).startswith("joint_1 jumped 1.56 rad in 10 ms: do two publishers")
    for tick in range(1, 1 + CONFIRM):
        assert "joint_1 jumped" in refusal(intake, HOME, 2.0 + tick * TICK), "until it is confirmed"
    assert hear(intake, HOME, 2.0 + (1 + CONFIRM) * TICK)


def test_nothing_is_believed_before_it_is_confirmed():
    intake = JointIntake(LIMITS)
    for tick in range(CONFIRM - 1):
        assert hear(intake, HOME, 1.0 + tick * TICK) == {}
    assert hear(intake, HOME, 1.0 + CONFIRM * TICK)


@pytest.mark.parametrize("names", [PROFILE.joints, (*PROFILE.joints, "left_finger_joint")])
def test_of_two_publishers_none_is_believed_until_one_has_gone(names):
    intake, zeros = JointIntake(LIMITS), np.zeros(len(names))
    for tick in range(CONFIRM):
        hear(intake, zeros, 0.9 + tick * TICK, names)
    believed = 0
    for tick in range(100):
        for positions, joints in ((HOME + [0.5, 0, 0, 0, 0, 0, 0], PROFILE.joints), (zeros, names)):
            try:
                believed += bool(hear(intake, positions, 1.0 + tick * TICK, joints))
            except BadJointState as error:
                assert "two publishers" in str(error)
    assert believed == 0
    outcomes = []
    for tick in range(20):
        try:
            outcomes.append(bool(hear(intake, HOME, 3.0 + tick * TICK)))
        except BadJointState:
            outcomes.append(False)
    assert outcomes[-1] and sorted(outcomes) == outcomes


def test_stamps_of_a_publisher_rise(intake):
    assert "before the message that came earlier" in refusal(intake, HOME, 1.5)
    assert hear(intake, HOME, 1.99), "the same stamp again"
    hear(intake, [0.01], 1.5, ["left_finger_joint"])  # of another publisher


def test_a_clock_that_was_set_back_begins_anew(intake):
    assert hear(intake, HOME + 0.5, 0.5 - 1.0) == {} and intake.restarts == 1
    for tick in range(CONFIRM):
        hear(intake, HOME + 0.5, 0.5 + tick * TICK)
    assert hear(intake, HOME + 0.5, 0.6)


def test_a_stamp_of_the_future_is_refused(intake):
    assert "stamped 8.0 s ahead of this node's clock" in refusal(intake, HOME, 10.0, now=2.0)
    assert hear(intake, HOME, 2.0, now=2.0)


def test_unstamped_messages_may_come_in_bursts(intake):
    for shift in (0.1, 0.2):
        assert hear(intake, HOME + shift, 2.0, stamped=False)
    assert "jumped" in refusal(intake, HOME + 0.3, 2.0)


def test_a_joint_without_an_end_may_be_counted_anew():
    intake = JointIntake({"wrist": JointLimit(velocity=1.0)})
    for tick in range(CONFIRM):
        hear(intake, [3.14], 0.9 + tick * TICK, ["wrist"])
    assert hear(intake, [-3.14], 1.01, ["wrist"])
    assert "wrist jumped" in refusal(intake, [0.0], 1.02, ["wrist"])


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_what_is_believed_is_finite_within_the_limits_and_moves_no_faster_than_it_can(data):
    intake, seen = JointIntake(LIMITS), {}
    number = st.one_of(st.floats(allow_nan=True), st.floats(-3, 3))
    for _ in range(data.draw(st.integers(1, 12))):
        names = data.draw(st.lists(st.sampled_from([*LIMITS, "other"]), max_size=9))
        positions = data.draw(st.lists(number, max_size=9))
        stamp = data.draw(st.floats(0, 3))
        try:
            believed = intake.accept(names, positions, stamp)
        except BadJointState:
            continue
        for name, position in believed.items():
            limit = LIMITS[name]
            assert limit.low - 0.05 <= position <= limit.high + 0.05
            if name in seen and math.isfinite(limit.velocity) and seen[name][2] == intake.restarts:
                before, then, _ = seen[name]
                assert abs(position - before) <= 12 * (1.5 * limit.velocity * 3.0 + 0.05)
            seen[name] = position, stamp, intake.restarts


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=2, max_size=40), st.floats(0.002, 0.1))
def test_every_motion_within_the_velocity_limits_is_believed(speeds, period):
    """speeds: shares of the limits, one a message."""
    intake, position, stamp = JointIntake(LIMITS), HOME.copy(), 5.0
    velocity = np.array([LIMITS[name].velocity for name in PROFILE.joints])
    low, high = (np.array([getattr(LIMITS[name], end) for name in PROFILE.joints]) for end in ("low", "high"))
    for share in speeds:
        position = np.clip(position + share * velocity * period, low, high)
        stamp += period
        hear(intake, position, stamp)
    assert len(speeds) < CONFIRM or len(hear(intake, position, stamp)) == len(HOME)
