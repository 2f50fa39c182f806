"""What a camera adds to a scene: nothing unless asked, what was asked, and the same again for the same seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_finetune.config import from_mapping
from robot_finetune.robot.profile import load_robot
from robot_finetune.sim.cell import Cell
from robot_finetune.sim.imaging import photograph
from robot_finetune.sim.variations import Imaging, Scene, Variation


def flat(level, size=96):
    return np.full((size, size, 3), level, np.uint8)


def take(scene, seed=0, **faults):
    return photograph(scene, Imaging(**faults), np.random.default_rng(seed)).astype(float)


def test_a_perfect_camera_shows_the_scene_as_it_is():
    scene = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    assert np.array_equal(take(scene), scene)


@given(
    faults=st.fixed_dictionaries(
        {
            "defocus": st.floats(0.0, 0.05),
            "motion": st.floats(0.0, 0.2),
            "motion_angle": st.floats(-180.0, 180.0),
            "exposure": st.floats(0.1, 4.0),
            "shot": st.floats(0.0, 60.0),
            "read": st.floats(0.0, 60.0),
            "jpeg": st.integers(0, 100),
        }
    ),
    size=st.tuples(st.integers(16, 70), st.integers(16, 70)),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=60)
def test_whatever_the_faults_it_is_an_image_of_that_size_and_the_same_again(faults, size, seed):
    scene = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    images = [photograph(scene, from_mapping(Imaging, faults), np.random.default_rng(seed)) for _ in range(2)]
    assert images[0].dtype == np.uint8 and images[0].shape == scene.shape
    assert np.array_equal(*images)


def test_noise_is_as_strong_as_asked_and_that_of_light_grows_with_the_root_of_brightness():
    assert take(flat(128), read=6.0).std() == pytest.approx(6.0, rel=0.05)
    for level in (50, 200):
        noisy = take(flat(level), shot=8.0)
        assert noisy.std() == pytest.approx(8.0 * np.sqrt(level / 255), rel=0.05)
        assert noisy.mean() == pytest.approx(level, abs=0.3)


def test_noise_of_one_seed_differs_from_image_to_image():
    rng = np.random.default_rng(3)
    one, two = (photograph(flat(128), Imaging(read=6.0), rng).astype(float) - 128 for _ in range(2))
    assert abs((one * two).mean()) < 2.0 < one.std()


def test_exposure_and_white_balance_are_factors():
    assert np.array_equal(take(flat(80), exposure=1.5, balance=(1.0, 0.5, 2.0))[0, 0], [120, 60, 240])
    assert (take(flat(200), exposure=2.0) == 255).all()


def test_streaks_lie_along_their_angle():
    rows, columns = flat(40), flat(40)
    rows[48:], columns[:, 48:] = 200, 200
    inside = slice(24, -24)
    assert np.array_equal(take(rows, motion=0.1)[inside, inside], rows[inside, inside])
    across = np.abs(np.diff(take(columns, motion=0.1)[48, :, 0])).max()
    assert across < 30, "the edge is spread over ten pixels"
    assert np.array_equal(take(columns, motion=0.1, motion_angle=90.0)[inside, inside], columns[inside, inside])
    half = take(np.kron(columns[::2, ::2], np.ones((2, 2, 1), np.uint8)), defocus=0.02)
    assert np.abs(np.diff(half[48, :, 0])).max() < 60 and half.mean() == pytest.approx(columns.mean(), abs=2.0)


def test_a_low_quality_leaves_less_of_the_details():
    scene = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    lost = [np.abs(take(scene, jpeg=quality) - scene).mean() for quality in (95, 50, 5)]
    assert 0 < lost[0] < lost[1] < lost[2]


def test_a_cell_with_a_noisy_camera_shows_a_new_image_each_time_and_the_same_ones_again():
    cell = Cell(load_robot("sim"), Variation(scene=Scene(image=Imaging(read=10.0))), seed=2)
    seen = cell.in_view()
    one, two = cell.render(), cell.render()
    cell.reset(2, at_start=True)
    again = cell.render()
    cell.set_variation(Variation())
    clean = cell.render()
    in_view = cell.in_view()
    cell.close()
    assert not np.array_equal(one, two) and np.array_equal(one, again)
    assert 5 < (one.astype(float) - clean).std() < 12
    assert seen == in_view, "noise is no object"
