"""The node camera: what the network sees has the stamp of the driver's image, and a silent camera is reported."""

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from sensor_msgs.msg import Image

from robot_finetune.perception.preprocess import preprocess
from robot_finetune.ros.conversions import image_to_numpy, numpy_to_image, to_stamp
from robot_finetune.ros.qos import COMMAND, SENSOR

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
    assert "no image on /image_raw for 2 s, nobody publishes there: start the camera driver" in health().message
    seen = len(process.output.splitlines())
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
