"""What the overlay draws is where the calibrated camera sees it."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_finetune.learning.cem import move_actions
from robot_finetune.perception.camera_model import CameraModel
from robot_finetune.perception.overlay import CHOSEN, EDGE, WORKSPACE, Marks, draw_decision
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.types import Action, Observation, Samples, Step

PROFILE = RobotProfile()
CAMERA = CameraModel.from_config(PROFILE.camera).seen_by_policy(EDGE)
unit = st.floats(-1, 1)


def step_of(action, pose=PROFILE.start_pose, q=0.5):
    seen = Observation(np.full((64, 64, 3), 90, np.uint8), np.array(pose), 1.0, 2)
    return Step(seen, action, action, q, 7)


def column_row(point):
    return np.round(CAMERA.project(np.asarray(point)[None]))[0].astype(int)


@settings(max_examples=25, deadline=None)
@given(st.tuples(unit, unit, st.floats(-1, 0)), st.floats(-0.7, 0.7))
def test_the_mark_and_the_fingers_are_drawn_where_the_camera_would_see_them(translation, turn):
    step = step_of(Action.move(translation, turn))
    marks = Marks.of(step, None, PROFILE)
    drawn = draw_decision(step, marks, PROFILE)
    scale = np.array([PROFILE.workspace.max_step_xy] * 2 + [PROFILE.workspace.max_step_z])
    target = np.array(PROFILE.start_pose[:3]) + scale * np.array(translation)
    yaw = PROFILE.start_pose[3] + turn
    closing = 0.04 * np.array([-np.sin(yaw), np.cos(yaw), 0.0])  # the fingers move along the tool's y axis
    np.testing.assert_allclose(np.abs(marks.jaw - target), np.abs([closing, closing]), atol=1e-6)
    for point in (target, *marks.jaw):
        column, row = column_row(point)
        if 0 <= column < EDGE and 25 <= row < EDGE:  # above is the line of text
            assert tuple(drawn[row, column]) == CHOSEN


def test_samples_have_the_colour_of_their_q_at_the_place_that_would_be_commanded():
    low = np.array([[0.9, -0.9, -1.0, 0.0], [0.9, 0.9, -1.0, 0.0]], np.float32)
    actions = move_actions(torch.from_numpy(low), PROFILE.workspace.max_step_yaw).numpy()
    pose = (0.6, 0.0, 0.08, 0.0)
    step = step_of(Action.close(), pose)
    marks = Marks.of(step, Samples(actions, np.array([0.0, 1.0], np.float32)), PROFILE)
    assert (marks.samples[:, 2] == PROFILE.workspace.low[2]).all(), "the workspace's floor holds for samples"
    drawn = draw_decision(step, marks, PROFILE)
    for sample, colour in zip(marks.samples, marks.colours, strict=True):
        column, row = column_row(sample)
        assert (drawn[row, column] == colour).all()
    dark, bright = marks.colours.astype(int)
    assert bright.sum() > 1.5 * dark.sum() and bright[0] > 200 > bright[2], "1 is yellow"


def test_the_workspace_is_drawn_and_the_image_itself_stays():
    step = step_of(Action.close())
    drawn = draw_decision(step, Marks.of(step, None, PROFILE), PROFILE)
    assert drawn.shape == (EDGE, EDGE, 3) and (step.observation.image == 90).all()
    middle = (np.array(PROFILE.workspace.low) + np.array((*PROFILE.workspace.high[:1], *PROFILE.workspace.low[1:]))) / 2
    column, row = column_row(middle)  # of an edge
    inside = 0 <= column < EDGE and 0 <= row < EDGE
    assert (drawn == WORKSPACE).all(-1).any() and (not inside or (drawn[row, column] == WORKSPACE).all())
