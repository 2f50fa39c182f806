"""Joint trajectories: a cubic spline between points with velocities, a line between points without."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_finetune.robot.joint_trajectory import JointTrajectory, smooth

REST = np.zeros(1)


def test_between_points_with_velocities_it_is_a_cubic_and_without_a_line():
    times, positions = np.array([2.0]), np.array([[1.0]])
    cubic = JointTrajectory(times, positions, np.zeros((1, 1)))
    np.testing.assert_allclose(cubic.at(0.5, REST), [[3 / 4**2 - 2 / 4**3], [6 * 0.25 * 0.75 / 2]])
    np.testing.assert_allclose(cubic.at(1.0, REST), [[0.5], [0.75]])
    np.testing.assert_allclose(JointTrajectory(times, positions).at(0.5, REST), [[0.25], [0.5]])
    np.testing.assert_allclose(cubic.speeds(REST), [0.75])
    np.testing.assert_allclose(JointTrajectory(times, positions).speeds(REST), [0.5])


def test_before_and_after_it_the_arm_is_where_it_begins_and_ends():
    made = smooth(REST, np.array([1.0, 2.0]), np.array([[1.0], [3.0]]))
    np.testing.assert_allclose(made.velocities, [[1.5], [0.0]])
    np.testing.assert_allclose(made.at(0.0, REST, np.ones(1)), [[0.0], [1.0]])
    np.testing.assert_allclose(made.at(9.0, REST), [[3.0], [0.0]])


numbers = st.floats(-3, 3, allow_subnormal=False)
paths = st.lists(st.tuples(st.floats(0.1, 2.0), numbers), min_size=1, max_size=8)


@given(paths, numbers, st.booleans(), st.floats(1.0, 5.0))
def test_speeds_are_the_largest_on_the_way_and_slower_is_slower(path, start, lines, factor):
    spans, positions = (np.array(column) for column in zip(*path, strict=True))
    made = smooth(np.array([start]), np.cumsum(spans), positions[:, None])
    if lines:
        made = JointTrajectory(made.times, made.positions)
    begin = np.array([start])
    instants = np.linspace(0.0, made.times[-1], 400)
    sampled = max(abs(made.at(time, begin)[1][0]) for time in instants)
    (largest,) = made.speeds(begin)
    assert sampled <= largest * (1 + 1e-9) + 1e-9
    assert largest <= sampled * 1.2 + 1e-6 or lines or len(path) > 2, "it is reached"
    slow = made.slower(factor)
    np.testing.assert_allclose(slow.speeds(begin), largest / factor, rtol=1e-9)
    np.testing.assert_allclose(slow.at(made.times[-1] * factor / 3, begin)[0], made.at(made.times[-1] / 3, begin)[0])


@given(paths, numbers)
def test_the_spline_is_smooth_at_its_points(path, start):
    spans, positions = (np.array(column) for column in zip(*path, strict=True))
    made, begin = smooth(np.array([start]), np.cumsum(spans), positions[:, None]), np.array([start])
    for i, time in enumerate(made.times):
        before, after = made.at(time - 1e-9, begin), made.at(time + 1e-9, begin)
        np.testing.assert_allclose(before, after, atol=1e-4)
        np.testing.assert_allclose(made.at(time, begin)[0], made.positions[i], atol=1e-9)


@pytest.mark.parametrize("time", [-1.0, 0.0])
def test_before_its_start_the_arm_is_at_rest(time):
    np.testing.assert_array_equal(smooth(REST, np.ones(1), np.ones((1, 1))).at(time, REST), [[0.0], [0.0]])
