"""The node camera: what the network sees has the stamp of the driver's image, and a silent camera is reported."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import yaml
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from robot_finetune.config import to_mapping
from robot_finetune.perception.camera_model import CameraModel
from robot_finetune.perception.rectification import Rectification
from robot_finetune.robot.preprocess import preprocess
from robot_finetune.robot.profile import CameraConfig, RobotProfile
from robot_finetune.ros.images import camera_info, image_to_numpy, numpy_to_image
from robot_finetune.ros.node.qos import COMMAND, SENSOR
from robot_finetune.ros.node.stamps import to_stamp

PICTURE = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)


@pytest.fixture
def health(ros):
    """Newest DiagnosticStatus of the node."""
    arrays = ros.collect(DiagnosticArray, "/diagnostics", COMMAND)
    return lambda: next((array.status[0] for array in reversed(arrays) if array.status[0].name == "camera"), None)


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8"])
def test_observation_is_the_preprocessed_image_with_its_header(spawn_node, ros, encoding):
    process = spawn_node("camera", {"image_size": 32})
    observations = ros.collect(Image, "observation", SENSOR)
    driver = ros.publisher(Image, "image_raw", SENSOR)
    pixels = PICTURE if encoding == "rgb8" else np.ascontiguousarray(PICTURE[:, :, ::-1])
    sent = []

    def publish():
        sent.append(to_stamp(100.0 + len(sent)))
        driver.publish(numpy_to_image(pixels, encoding, sent[-1], "lens"))
        return observations

    ros.wait_until(publish, "an observation")
    seen = observations[0]
    assert seen.header.stamp in sent and seen.header.frame_id == "lens" and seen.encoding == "rgb8"
    np.testing.assert_array_equal(image_to_numpy(seen), preprocess(PICTURE, 32))
    assert process.stop() == 0


def test_a_silent_camera_is_one_error_line_with_a_cure(spawn_node, ros, health):
    process = spawn_node("camera")
    ros.wait_until(lambda: health() and health().level == DiagnosticStatus.ERROR, "the error")
    assert "no image on /image_raw for 10 s, nobody publishes there: start the camera driver" in health().message
    seen = process.output.count("[ERROR]")
    driver = ros.publisher(Image, "image_raw", SENSOR)
    ros.wait_until(lambda: health().message.endswith("check its camera and cable"), "a driver that sends nothing")
    image = numpy_to_image(PICTURE, "rgb8", to_stamp(1.0), "lens")
    ros.wait_until(lambda: driver.publish(image) or health().level == DiagnosticStatus.OK, "images again")
    values = {value.key: value.value for value in health().values}
    assert int(values["received"]) > 0 and values["lost"] == "0" and float(values["latency_p95_ms"]) > 0
    assert seen == 1 and process.running


def test_an_encoding_without_colours_is_reported(spawn_node, ros, health):
    spawn_node("camera")
    driver = ros.publisher(Image, "image_raw", SENSOR)
    depth = numpy_to_image(PICTURE[:, :, 0].astype(np.uint16), "16UC1", to_stamp(1.0), "lens")
    ros.wait_until(lambda: driver.publish(depth) or (health() and "16UC1" in health().message), "the error")
    assert health().level == DiagnosticStatus.ERROR
    assert "'16UC1' holds no colours: choose the colour topic" in health().message


@pytest.fixture
def profile_file(tmp_path):
    """profile_file(**camera) writes the simulated cell's profile with another camera; returns profile and path."""

    def write(**camera):
        profile = replace(RobotProfile(), camera=CameraConfig(width=640, height=480, focal=600.0, **camera))
        path = tmp_path / "robot.yaml"
        path.write_text(yaml.safe_dump(to_mapping(profile)))
        return profile, str(path)

    return write


def jpeg(pixels, stamp):
    encoded = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
    message = CompressedImage(format="rgb8; jpeg compressed bgr8", data=encoded.tobytes())
    message.header.stamp, message.header.frame_id = stamp, "lens"
    return message


def smooth_picture():
    return cv2.GaussianBlur(PICTURE, (0, 0), 15)


def test_compressed_images_are_decoded_for_everybody(spawn_node, ros, profile_file):
    _, path = profile_file(transport="compressed", crop=(100, 20, 400))
    spawn_node("camera", {"robot": path})
    observations, full = ros.collect(Image, "observation", SENSOR), ros.collect(Image, "image_decompressed", SENSOR)
    driver = ros.publisher(CompressedImage, "image_raw", SENSOR)
    message = jpeg(smooth_picture(), to_stamp(7.0))
    ros.wait_until(lambda: driver.publish(message) or (observations and full), "an observation")
    decoded = image_to_numpy(full[0])
    assert np.abs(decoded.astype(int) - smooth_picture()).mean() < 2
    np.testing.assert_array_equal(image_to_numpy(observations[0]), preprocess(decoded, 64, (100, 20, 400)))
    assert observations[0].header.stamp == full[0].header.stamp == to_stamp(7.0)
    assert full[0].header.frame_id == "lens"


def test_the_wrong_transport_is_named(spawn_node, ros, health):
    spawn_node("camera")
    driver = ros.publisher(CompressedImage, "image_raw", SENSOR, listened=False)
    message = jpeg(PICTURE, to_stamp(1.0))
    ros.wait_until(
        lambda: driver.publish(message) or (health() and "set camera.transport to compressed" in health().message),
        "the error",
    )


def test_images_are_rectified_by_the_drivers_camera_info(spawn_node, ros, health, profile_file):
    profile, path = profile_file(rectify=True)
    target = CameraModel.from_config(profile.camera)
    spawn_node("camera", {"robot": path})
    full = ros.collect(Image, "image_rect", SENSOR)
    driver = ros.publisher(Image, "image_raw", SENSOR)
    message = numpy_to_image(smooth_picture(), "rgb8", to_stamp(7.0), "lens")
    ros.wait_until(
        lambda: driver.publish(message) or (health() and "no calibration on /camera_info" in health().message),
        "an error",
    )
    infos = ros.publisher(CameraInfo, "camera_info", SENSOR)
    info = camera_info(target, "lens")
    info.d = [-0.2, 0.05, 0.0, 0.0, 0.0]
    ros.wait_until(lambda: infos.publish(info) or driver.publish(message) or full, "a rectified image")
    straight = Rectification(640, 480, info.k, info.d, "plumb_bob", target)(smooth_picture())
    np.testing.assert_array_equal(image_to_numpy(full[0]), straight)
    ros.wait_until(lambda: driver.publish(message) or health().level == DiagnosticStatus.OK, "good health")


def test_a_folder_of_images_is_a_camera(spawn_node, ros, manage, health, profile_file, tmp_path):
    folder = tmp_path / "images"
    _, path = profile_file(source=str(folder))
    process = spawn_node("camera", {"robot": path})
    ros.wait_until(lambda: health() and "no such device" in health().message, "the error")
    folder.mkdir()
    cv2.imwrite(str(folder / "0.png"), PICTURE[:, :, ::-1])
    observations, full = ros.collect(Image, "observation", SENSOR), ros.collect(Image, "image_raw", SENSOR)
    infos = ros.collect(CameraInfo, "camera_info", SENSOR)
    of_observation = ros.collect(CameraInfo, "observation/camera_info", SENSOR)
    ros.wait_until(lambda: len(observations) > 3 and full and infos and of_observation, "images")
    assert (of_observation[0].width, of_observation[0].header.frame_id) == (64, "camera_optical_frame")
    assert of_observation[0].k[0] == pytest.approx(600.0 * 64 / min(PICTURE.shape[:2]))
    np.testing.assert_array_equal(image_to_numpy(full[0]), PICTURE)
    np.testing.assert_array_equal(image_to_numpy(observations[0]), preprocess(PICTURE, 64))
    assert full[0].header.frame_id == infos[0].header.frame_id == "camera_optical_frame"
    assert infos[0].k[0] == 600.0 and full[0].header.stamp.sec > 0
    ros.wait_until(lambda: health().level == DiagnosticStatus.OK, "good health")
    node = manage("camera")
    node.go("deactivate")
    node.rest()
    observations.clear()
    node.rest()
    assert not observations
    node.go("activate")
    ros.wait_until(lambda: observations, "images of the active camera")
    assert process.stop() == 0


def test_automatic_exposure_is_warned_of(spawn_node, ros, health):
    spawn_node("camera")
    driver = ros.publisher(Image, "image_raw", SENSOR)
    sent = []

    def publish():
        sent.append(np.clip(smooth_picture() * (0.7 + 0.001 * min(len(sent), 300)), 0, 255).astype(np.uint8))
        driver.publish(numpy_to_image(sent[-1], "rgb8", to_stamp(1.0 + len(sent)), "lens"))
        return health() and health().level == DiagnosticStatus.WARN

    ros.wait_until(publish, "the warning")
    assert "while nothing moved: fix exposure, gain and white balance" in health().message
