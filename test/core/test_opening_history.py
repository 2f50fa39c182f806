"""The gripper's opening at a time, whatever the publishers of joint states do."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_finetune.perception import opening_history
from robot_finetune.perception.opening_history import OpeningHistory
from robot_finetune.robot.interfaces import RobotError
from robot_finetune.robot.profile import RobotProfile

GRIPPER = RobotProfile().gripper
STROKE = GRIPPER.open_position - GRIPPER.closed_position


def position(opening):
    return GRIPPER.closed_position + opening * STROKE


@pytest.fixture
def history():
    return OpeningHistory(GRIPPER, 120.0)


def test_the_first_measurement_since_a_time_else_the_last(history):
    for stamp, opening in ((10.0, 0.1), (10.1, 0.2), (10.2, 0.3)):
        history.add(stamp, position(opening))
    assert history.at(9.99) is None
    assert history.at(10.05) == pytest.approx(0.2) and history.at(10.5) == pytest.approx(0.3)


def test_what_was_measured_long_before_says_nothing(history):
    history.add(10.0, position(0.5))
    history.add(20.0, position(0.5))
    assert history.at(12.0) is None and history.at(25.0) is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_position_that_is_none_is_refused(history, value):
    history.add(10.0, position(0.5))
    with pytest.raises(ValueError, match="gripper's joint is at"):
        history.add(10.1, value)
    assert history.at(10.1) == pytest.approx(0.5)


def test_two_publishers_a_little_apart_empty_nothing(history):
    for tick in range(100):
        history.add(10.0 + 0.03 * tick, position(0.5), "arm", tick * 0.03)
        history.add(9.97 + 0.03 * tick, position(0.5), "gripper", tick * 0.03)
    assert history.at(11.0) == pytest.approx(0.5)


def test_late_messages_of_one_publisher_empty_nothing(history):
    for tick in range(100):
        history.add(10.0 + 0.03 * tick, position(0.5))
        history.add(9.97 + 0.03 * tick, position(0.9))
    assert history.at(11.0) == pytest.approx(0.5)


def test_publishers_that_contradict_each_other_are_no_evidence(history):
    for tick in range(20):
        history.add(10.0 + 0.1 * tick, position(0.5), "gripper", 0.1 * tick)
        history.add(10.0 + 0.1 * tick, position(0.0), "zeros", 0.1 * tick)
    with pytest.raises(RobotError, match="contradict each other about the gripper"):
        history.at(11.0)


def test_a_clock_that_was_set_back_begins_anew(history):
    history.add(500.0, position(0.9), "old", 0.0)
    history.add(5.0, position(0.2), "old", 0.1)
    assert history.at(5.0) == pytest.approx(0.2) and history.at(500.0) is None


def test_a_publisher_that_is_gone_contradicts_nobody(history):
    history.add(5.0, position(0.9), "old", 0.0)
    history.add(5.0, position(0.2), "new", 10.0)
    assert history.at(5.0) == pytest.approx(0.2)


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(allow_nan=True), st.integers(0, 20)), max_size=200))
@settings(max_examples=100, deadline=None)
def test_memory_is_bounded_and_openings_are_openings(messages):
    history = OpeningHistory(GRIPPER, 120.0)
    for stamp, value, publisher in messages:
        try:
            history.add(stamp, value, str(publisher))
        except ValueError:
            assert not math.isfinite(value)
    assert len(history._tracks) <= opening_history.PUBLISHERS
    for stamp, *_ in messages:
        try:
            opening = history.at(stamp)
        except RobotError:
            continue
        assert opening is None or 0.0 <= opening <= 1.0
