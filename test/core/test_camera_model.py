import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_finetune.perception.camera_model import CameraModel
from robot_finetune.robot.preprocess import preprocess
from robot_finetune.robot.profile import CameraConfig

CONFIG = CameraConfig()
in_bin = st.tuples(st.floats(0.45, 0.75), st.floats(-0.15, 0.15), st.floats(0.0, 0.15)).map(np.array)


def normalised(config, point):
    homogeneous = CameraModel.from_config(config).normalised_matrix() @ np.append(point, 1.0)
    return homogeneous[:2] / homogeneous[2]


def test_axes_are_right_down_forward():
    camera = CameraModel.from_config(CONFIG)
    np.testing.assert_allclose(camera.rotation.T @ camera.rotation, np.eye(3), atol=1e-12)
    assert np.linalg.det(camera.rotation) == pytest.approx(1)
    centre, above, left = camera.project(
        [CONFIG.target, np.add(CONFIG.target, (0, 0, 0.05)), np.add(CONFIG.target, (0, -0.05, 0))]
    )
    np.testing.assert_allclose(centre, [(CONFIG.width - 1) / 2, (CONFIG.height - 1) / 2])
    assert above[1] < centre[1] and above[0] == pytest.approx(centre[0])
    assert left[0] < centre[0]  # it looks along -x: the base frame's -y is at the left


def test_a_camera_that_looks_straight_down_has_x_upwards():
    camera = CameraModel.from_config(CameraConfig(position=(0.6, 0.0, 0.8), target=(0.6, 0.0, 0.0)))
    centre, further = camera.project([(0.6, 0, 0), (0.7, 0, 0)])
    assert further[1] < centre[1] and further[0] == pytest.approx(centre[0])


@pytest.mark.parametrize("crop", [None, (100, 20, 200)])
def test_the_camera_of_the_observation_sees_points_where_preprocess_puts_them(crop):
    config = dataclasses.replace(CONFIG, width=640, height=480, focal=900.0, crop=crop)
    camera = CameraModel.from_config(config)
    seen = camera.seen_by_policy(64)
    left, top, side = crop or (80, 0, 480)
    point = np.array([[0.6, 0.05, 0.02]])
    (column, row), scale = camera.project(point)[0], 64 / side
    expected = [(column - left + 0.5) * scale - 0.5, (row - top + 0.5) * scale - 0.5]
    np.testing.assert_allclose(seen.project(point)[0], expected)
    assert (seen.width, seen.height) == (64, 64)


def test_points_behind_the_camera_have_no_pixel():
    assert np.isnan(CameraModel.from_config(CONFIG).project([(2.0, 0.0, 1.5)])).all()


@given(in_bin, st.integers(1, 8))
def test_normalised_coordinates_do_not_depend_on_resolution(point, factor):
    finer = dataclasses.replace(
        CONFIG, width=CONFIG.width * factor, height=CONFIG.height * factor, focal=CONFIG.focal * factor
    )
    np.testing.assert_allclose(normalised(finer, point), normalised(CONFIG, point), atol=1e-5)


@pytest.mark.parametrize("width, height", [(128, 128), (640, 480), (321, 240), (240, 321)])
def test_projection_finds_in_the_preprocessed_image_what_is_in_the_camera_image(width, height):
    config = CameraConfig(width=width, height=height, focal=1.2 * min(width, height))
    for point in np.random.default_rng(0).uniform((0.5, -0.1, 0), (0.7, 0.1, 0.1), (20, 3)):
        column, row = CameraModel.from_config(config).project(point[None])[0]
        rows, columns = np.mgrid[:height, :width]
        spot = np.exp(-((columns - column) ** 2 + (rows - row) ** 2) / (2 * (0.03 * height) ** 2))
        small = preprocess(np.repeat((255 * spot).astype(np.uint8)[..., None], 3, 2), 64)[..., 0].astype(float)
        centre = np.array([(small * axis).sum() / small.sum() for axis in np.mgrid[:64, :64][::-1]])
        np.testing.assert_allclose((2 * centre + 1) / 64 - 1, normalised(config, point), atol=0.01)
