import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from robot_finetune.robot.action_space import ActionSpace, wrap_angle
from robot_finetune.robot.profile import WorkspaceConfig
from robot_finetune.types import Action

SPACE = ActionSpace(WorkspaceConfig(max_step_xy=0.08, max_step_z=0.10))
coordinate = st.floats(-1, 1)
angle = st.floats(-3.1, 3.1)
poses = st.tuples(coordinate, coordinate, coordinate, angle).map(np.array)
START = np.array([0.6, 0.0, 0.2, 0.0])


def test_a_full_action_is_one_step_of_each_axis_in_the_base_frame():
    target = SPACE.target(START, Action.move((1, -1, -0.5), 0.3))
    np.testing.assert_allclose(target, [0.68, -0.08, 0.15, 0.3], atol=1e-6)


def test_closing_and_terminating_stay_where_they_are():
    terminate = Action.move((1, 1, 1), 0.5).vector.copy()
    terminate[7] = 1
    for action in (Action.close(), Action(terminate)):
        np.testing.assert_array_equal(SPACE.target(START, action), START)


@given(poses, poses)
def test_from_poses_inverts_target(pose, target):
    reached = SPACE.target(pose, SPACE.from_poses(pose, target))
    np.testing.assert_allclose(reached[:3], target[:3], atol=1e-6)
    assert abs(wrap_angle(reached[3] - target[3])) < 1e-5


@given(st.tuples(coordinate, coordinate, coordinate), st.floats(-3.1, 3.1), poses)
def test_target_inverts_from_poses(translation, yaw_change, pose):
    action = Action.move(translation, yaw_change)
    same = SPACE.from_poses(pose, SPACE.target(pose, action))
    np.testing.assert_allclose(same.vector, action.vector, atol=1e-5)


@given(st.floats(-100, 100))
def test_wrapped_angles_are_the_same_direction(value):
    wrapped = wrap_angle(value)
    assert -np.pi <= wrapped <= np.pi
    np.testing.assert_allclose([np.sin(wrapped), np.cos(wrapped)], [np.sin(value), np.cos(value)], atol=1e-9)
