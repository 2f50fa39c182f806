import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_finetune.robot.profile import RobotProfile
from robot_finetune.robot.workspace import Workspace

PROFILE = RobotProfile()
LIMITS = PROFILE.workspace
SPACE = Workspace(PROFILE)
HIGHEST_STEP = np.array([LIMITS.max_step_xy, LIMITS.max_step_xy, LIMITS.max_step_z, LIMITS.max_step_yaw])
anywhere = st.tuples(*[st.floats(-5, 5)] * 3, st.floats(-10, 10)).map(np.array)
unit = st.floats(0, 1)
inside = st.tuples(unit, unit, unit, st.floats(-1, 1)).map(
    lambda u: np.array([*(SPACE.low + np.array(u[:3]) * (SPACE.high - SPACE.low)), u[3] * LIMITS.max_yaw])
)


def assert_in_box(pose):
    assert (pose[:3] >= SPACE.low).all() and (pose[:3] <= SPACE.high).all()
    assert abs(pose[3] - PROFILE.start_pose[3]) <= LIMITS.max_yaw + 1e-9


@given(anywhere, anywhere)
def test_clip_never_leaves_the_box(pose, target):
    assert_in_box(SPACE.clip(pose, target))


@given(inside, anywhere)
def test_clip_never_exceeds_the_step_limits(pose, target):
    assert (np.abs(SPACE.clip(pose, target) - pose) <= HIGHEST_STEP + 1e-9).all()


@given(inside, st.tuples(*[st.floats(-1, 1)] * 4))
def test_clip_keeps_what_is_allowed(pose, fraction):
    target = pose + HIGHEST_STEP * fraction
    allowed = SPACE.inside(target)
    np.testing.assert_allclose(SPACE.clip(pose, allowed), allowed, atol=1e-9)


@given(anywhere)
def test_inside_is_in_the_box_and_keeps_poses_that_are(pose):
    nearest = SPACE.inside(pose)
    assert_in_box(nearest)
    np.testing.assert_allclose(SPACE.inside(nearest), nearest, atol=1e-9)


def test_height_floor_holds():
    low = np.array([0.6, 0.0, 0.03, 0.0])
    assert SPACE.clip(low, low - [0, 0, 0.09, 0])[2] == LIMITS.low[2]


def test_a_broken_target_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        SPACE.clip(np.array(PROFILE.start_pose), np.array([0.6, np.nan, 0.1, 0.0]))
