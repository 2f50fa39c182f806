import numpy as np
import pytest

from robot_finetune.perception.preprocess import preprocess


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
