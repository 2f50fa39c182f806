import numpy as np
import pytest

from robot_finetune.robot.preprocess import preprocess


def test_keeps_the_centre_square_and_averages_areas():
    image = np.zeros((64, 96, 3), np.uint8)
    image[:, 16:80] = np.tile(np.uint8([[100], [140]]), (32, 64))[..., None]  # rows of 100 and 140 within the square
    image[:, :16] = image[:, 80:] = 255
    small = preprocess(image, 32)
    assert small.shape == (32, 32, 3) and small.dtype == np.uint8
    assert (small == 120).all()


def test_channels_keep_their_order_and_a_fitting_image_its_values():
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    np.testing.assert_array_equal(preprocess(image), image)


@pytest.mark.parametrize(
    "shape, dtype", [((64, 64), np.uint8), ((64, 64, 4), np.uint8), ((64, 64, 3), np.float32), ((0, 0, 3), np.uint8)]
)
def test_refuses_what_is_not_an_rgb_image(shape, dtype):
    with pytest.raises(ValueError, match="expected uint8 RGB"):
        preprocess(np.zeros(shape, dtype))


def test_a_crop_keeps_its_square_and_is_not_applied_twice():
    image = np.random.default_rng(0).integers(0, 256, (100, 120, 3), dtype=np.uint8)
    small = preprocess(image, 32, (40, 20, 64))
    np.testing.assert_array_equal(small, preprocess(image[20:84, 40:104], 32))
    np.testing.assert_array_equal(preprocess(small, 32, (40, 20, 64)), small)


@pytest.mark.parametrize("crop", [(-1, 0, 10), (0, 0, 0), (100, 0, 21), (0, 90, 11)])
def test_refuses_a_crop_outside_the_image(crop):
    with pytest.raises(ValueError, match="within the image of 120x100; correct camera.crop"):
        preprocess(np.zeros((100, 120, 3), np.uint8), 32, crop)
