"""What a camera's images go through before the network: reading, rectification, and the watch over its exposure."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_finetune.config import ConfigError
from robot_finetune.perception.brightness import STILL_IMAGES, BrightnessWatch
from robot_finetune.perception.camera_model import CameraModel
from robot_finetune.perception.image_source import ImageSource
from robot_finetune.perception.rectification import Rectification
from robot_finetune.robot.profile import CameraConfig

SCENE = np.random.default_rng(0).integers(30, 180, (64, 64, 3)).astype(np.float32)


def watched(images, tolerance=0.05):
    watch = BrightnessWatch(tolerance)
    for image in images:
        watch.add(np.clip(image, 0, 255).astype(np.uint8))
    return watch


def noisy(gain=(1, 1, 1), seed=0):
    return SCENE * np.float32(gain) + np.random.default_rng(seed).normal(0, 2, SCENE.shape)


def test_a_steady_image_with_noise_is_no_reason_to_complain():
    assert watched(noisy(seed=i) for i in range(50)).complaint == ""


def test_slow_automatic_exposure_is_noticed():
    watch = watched(noisy([1 + 0.004 * i] * 3, i) for i in range(50))
    assert watch.complaint == "brightness went to 120% of what it was"


def test_automatic_white_balance_is_noticed():
    assert watched(noisy([1 + 0.003 * i, 1, 1 - 0.003 * i], i) for i in range(50)).complaint.startswith("colours")


def test_motion_is_not_taken_for_exposure():
    watch = watched(np.roll(noisy(seed=i), i, axis=1) * (1 + 0.01 * i) for i in range(50))
    assert watch.complaint == ""


def test_what_was_noticed_is_said_until_the_camera_is_still_and_steady_again():
    wandering = [noisy([1 + 0.01 * i] * 3) for i in range(STILL_IMAGES + 5)]
    moving = [np.roll(SCENE, i, axis=0) for i in range(1, 20)]
    assert watched([*wandering, *moving]).complaint
    assert not watched([*wandering, *moving, *[noisy(seed=i) for i in range(2 * STILL_IMAGES)]]).complaint


@pytest.mark.parametrize(
    ("model", "distortion"), [("plumb_bob", (-0.25, 0.1, 0.001, -0.002, 0.0)), ("equidistant", (-0.02, 0.01, 0.0, 0.0))]
)
def test_a_rectified_image_is_the_one_of_the_profiles_pinhole(model, distortion):
    target = CameraModel.from_config(CameraConfig(width=320, height=240, focal=300.0))
    lens = np.array([[410.0, 0, 330], [0, 420, 250], [0, 0, 1]])
    rectify = Rectification(640, 480, lens, distortion, model, target)
    for point in np.random.default_rng(1).uniform((0.5, -0.1, 0), (0.7, 0.1, 0.1), (10, 3)):
        seen = target.rotation.T @ (point - target.position)
        project = cv2.fisheye.projectPoints if model == "equidistant" else cv2.projectPoints
        pixel = project(seen.reshape(1, 1, 3), np.zeros(3), np.zeros(3), lens, np.array(distortion))[0].ravel()
        rows, columns = np.mgrid[:480, :640]
        spot = 255 * np.exp(-((columns - pixel[0]) ** 2 + (rows - pixel[1]) ** 2) / 50)
        straight = rectify(np.repeat(spot.astype(np.uint8)[..., None], 3, 2))[..., 0].astype(float)
        assert straight.shape == (240, 320)
        centre = [(straight * axis).sum() / straight.sum() for axis in np.mgrid[:240, :320][::-1]]
        np.testing.assert_allclose(centre, target.project(point[None])[0], atol=0.3)


@pytest.mark.parametrize(
    ("matrix", "model", "part"),
    [(np.zeros((3, 3)), "", "calibrate the camera"), (np.eye(3), "thin_prism", "plumb_bob")],
)
def test_what_is_no_calibration_is_refused(matrix, model, part):
    with pytest.raises(ValueError, match=part):
        Rectification(640, 480, matrix, [0.0] * 5, model, CameraModel.from_config(CameraConfig()))


numbers = st.floats(width=32) | st.floats(-2, 2) | st.sampled_from([0.0, 1e300, float("nan"), float("inf"), 320.0])


@settings(deadline=None, max_examples=200)
@given(
    st.integers(0, 2000),
    st.integers(0, 2000) | st.just(100_000),
    st.lists(numbers, min_size=9, max_size=9) | st.just([300.0, 0, 160, 0, 300, 120, 0, 0, 1]),
    st.lists(numbers, max_size=15),
    st.sampled_from(["", "plumb_bob", "rational_polynomial", "equidistant", "other"]),
)
def test_any_camera_info_is_a_calibration_or_a_value_error(width, height, matrix, distortion, model):
    target = CameraModel.from_config(CameraConfig(width=32, height=24, focal=30.0))
    try:
        rectify = Rectification(width, height, matrix, distortion, model, target)
    except ValueError as error:
        assert "camera_info" in str(error) and "\n" not in str(error)
    else:
        assert rectify(np.zeros((height, width, 3), np.uint8)).shape == (24, 32, 3)


def test_a_camera_that_looks_at_itself_is_refused():
    with pytest.raises(ConfigError, match="two points apart"):
        CameraModel.from_config(CameraConfig(position=(0.6, 0.0, 0.5), target=(0.6, 0.0, 0.5)))


def test_an_image_of_another_size_than_calibrated_is_refused():
    rectify = Rectification(64, 48, np.diag([50.0, 50.0, 1.0]), [0.0] * 5, "", CameraModel.from_config(CameraConfig()))
    with pytest.raises(ValueError, match="image of 640x480, but camera_info is for 64x48: set the camera driver"):
        rectify(np.zeros((480, 640, 3), np.uint8))


@pytest.fixture
def pictures():
    """Three RGB pictures that differ and survive a video codec."""
    return [np.full((48, 64, 3), color, np.uint8) for color in ([200, 40, 40], [40, 200, 40], [40, 40, 200])]


def test_a_folder_of_images_is_read_in_order_and_again(tmp_path, pictures):
    for i, picture in enumerate(pictures):
        cv2.imwrite(str(tmp_path / f"{i}.png"), picture[:, :, ::-1])
    (tmp_path / "notes.txt").write_text("not an image")
    images = iter(ImageSource(str(tmp_path), 64, 48, 30.0))
    for expected in [*pictures, *pictures]:
        np.testing.assert_array_equal(next(images), expected)


def test_a_video_is_read_and_again(tmp_path, pictures):
    file = str(tmp_path / "video.avi")
    writer = cv2.VideoWriter(file, cv2.VideoWriter.fourcc(*"MJPG"), 30.0, (64, 48))
    for picture in pictures:
        writer.write(picture[:, :, ::-1])
    writer.release()
    source = ImageSource(file, 64, 48, 30.0)
    images = iter(source)
    for expected in [*pictures, *pictures]:
        assert np.abs(next(images).astype(int) - expected).mean() < 6
    source.close()
    assert not source.live


def test_what_cannot_be_read_is_told_in_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "0.png").write_text("no image")
    (tmp_path / "text.mp4").write_text("no video")
    for name, part in (("none", "no such device"), ("empty", "no images"), ("text.mp4", "is it a video")):
        with pytest.raises(OSError, match=part):
            ImageSource(str(tmp_path / name), 64, 48, 30.0)
    with pytest.raises(OSError, match="cannot read this image"):
        next(iter(ImageSource(str(tmp_path / "broken"), 64, 48, 30.0)))
