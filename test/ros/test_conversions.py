"""Messages to the core's types and back: nothing that was measured or commanded may change on the way."""

import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from builtin_interfaces.msg import Duration, Time
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage, Image
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from robot_finetune.msg import GraspOutcome as GraspOutcomeMsg
from robot_finetune.msg import PolicyStep
from robot_finetune.ros import images
from robot_finetune.ros.conversions import (
    message_to_outcome,
    message_to_step,
    message_to_trajectory,
    outcome_to_message,
    step_to_message,
)
from robot_finetune.ros.images import ENCODINGS, compressed_to_rgb, image_to_numpy, image_to_rgb, numpy_to_image
from robot_finetune.ros.node.stamps import to_seconds, to_stamp
from robot_finetune.types import SIDES, Action, GraspOutcome, Observation, Step

encodings = st.sampled_from(sorted(ENCODINGS))
sizes = st.integers(1, 9)
seeds = st.integers(0, 2**32 - 1)


def pixels_of(encoding, height, width, seed):
    element, channels = ENCODINGS[encoding]
    shape = (height, width) if channels == 1 else (height, width, channels)
    return (np.random.default_rng(seed).random(shape) * 250).astype(element)


def over_the_wire(message):
    return deserialize_message(serialize_message(message), type(message))


@given(encodings, sizes, sizes, seeds)
def test_images_come_back_as_they_were(encoding, height, width, seed):
    pixels = pixels_of(encoding, height, width, seed)
    message = over_the_wire(numpy_to_image(pixels, encoding, Time(sec=3, nanosec=7), "lens"))
    assert (message.header.stamp, message.header.frame_id) == (Time(sec=3, nanosec=7), "lens")
    back = image_to_numpy(message)
    assert back.dtype == pixels.dtype
    np.testing.assert_array_equal(back, pixels)


@given(encodings, sizes, sizes, seeds, st.integers(0, 5), st.booleans())
def test_padded_rows_and_foreign_byte_order_are_understood(encoding, height, width, seed, padding, last_padded):
    pixels = pixels_of(encoding, height, width, seed)
    message = numpy_to_image(pixels, encoding, Time(), "")
    rows = np.frombuffer(message.data, np.uint8).reshape(height, -1)
    swapped = pixels.byteswap().view(np.uint8).reshape(height, -1) if pixels.itemsize > 1 else rows
    padded = np.pad(swapped, ((0, 0), (0, padding)), constant_values=255)
    data = padded.tobytes()
    message.data = data if last_padded or not padding else data[:-padding]
    message.step += padding
    message.is_bigendian = sys.byteorder == "little"
    np.testing.assert_array_equal(image_to_numpy(message), pixels)


def test_colours_become_rgb():
    rgb = pixels_of("rgb8", 4, 5, 0)
    alpha = np.full((4, 5, 1), 255, np.uint8)
    same = {
        "rgb8": rgb,
        "bgr8": rgb[:, :, ::-1],
        "rgba8": np.dstack([rgb, alpha]),
        "bgra8": np.dstack([rgb[:, :, ::-1], alpha]),
    }
    for encoding, pixels in same.items():
        np.testing.assert_array_equal(image_to_rgb(numpy_to_image(pixels, encoding, Time(), "")), rgb)
    grey = image_to_rgb(numpy_to_image(rgb[:, :, 0], "mono8", Time(), ""))
    np.testing.assert_array_equal(grey, np.repeat(rgb[:, :, :1], 3, axis=2))


@pytest.mark.parametrize(
    ("message", "part"),
    [
        (Image(encoding="nv21", height=1, width=1), "image encoding 'nv21': known are rgb8"),
        (Image(encoding="yuyv", height=1, width=1, step=2, data=bytes(2)), "1x1 yuyv cannot be converted"),
        (Image(encoding="rgb8", height=2, width=2, step=6, data=bytes(7)), "2x2 rgb8 with step 6 has only 7 bytes"),
        (Image(encoding="rgb8", height=2, width=2, step=5, data=bytes(12)), "step 5"),
        (Image(encoding="16UC1", height=1, width=1, step=2, data=bytes(2)), "holds no colours"),
    ],
)
def test_an_unreadable_image_is_told_in_one_line(message, part):
    with pytest.raises(ValueError, match=part) as error:
        image_to_rgb(message)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("encoding", ["yuv422", "uyvy", "yuv422_yuy2", "yuyv"])
def test_yuv_becomes_rgb(encoding):
    rgb = np.repeat(np.repeat(pixels_of("rgb8", 4, 4, 3), 3, axis=0), 4, axis=1)  # two pixels share a colour
    red, _, blue = np.moveaxis(rgb.astype(float), 2, 0)
    luma = rgb @ np.array([0.299, 0.587, 0.114])
    y = np.round(16 + luma * 219 / 255)
    u, v = np.round(128 + (blue - luma) * 0.564 * 224 / 255), np.round(128 + (red - luma) * 0.713 * 224 / 255)
    chroma = np.where(np.arange(rgb.shape[1]) % 2 == 0, u, v)
    pixels = np.stack([chroma, y] if encoding in ("yuv422", "uyvy") else [y, chroma], axis=2).astype(np.uint8)
    seen = image_to_rgb(numpy_to_image(pixels, encoding, Time(), ""))
    np.testing.assert_allclose(seen, rgb, atol=4)


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer_becomes_rgb(pattern):
    color = np.array([200, 120, 40], np.uint8)
    tile = np.array([color["rgb".index(letter)] for letter in pattern], np.uint8).reshape(2, 2)
    seen = image_to_rgb(numpy_to_image(np.tile(tile, (4, 4)), f"bayer_{pattern}8", Time(), ""))
    np.testing.assert_array_equal(seen, np.broadcast_to(color, (8, 8, 3)))


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_compressed_images_become_rgb(kind):
    rgb = np.full((8, 10, 3), (200, 120, 40), np.uint8)
    data = cv2.imencode(f".{kind}", rgb[:, :, ::-1])[1].tobytes()
    message = over_the_wire(CompressedImage(format=f"rgb8; {kind} compressed bgr8", data=data))
    np.testing.assert_allclose(compressed_to_rgb(message), rgb, atol=3)


@pytest.mark.parametrize(
    ("message", "part"),
    [
        (CompressedImage(format="jpeg", data=b"no image"), "'jpeg' and 8 bytes cannot be decoded; check the camera"),
        (CompressedImage(format="jpeg"), "0 bytes"),
        (CompressedImage(format="16UC1; compressedDepth png"), "holds no colours: choose the colour topic"),
    ],
)
def test_an_unreadable_compressed_image_is_told_in_one_line(message, part):
    with pytest.raises(ValueError, match=part) as error:
        compressed_to_rgb(message)
    assert "\n" not in str(error.value)


def test_pixels_that_do_not_fit_the_encoding_are_refused():
    for pixels in (
        np.zeros((2, 2, 3)),
        np.zeros((2, 2, 4), np.uint8),
        np.zeros((2, 2), np.uint8),
        np.zeros(3, np.uint8),
    ):
        with pytest.raises(ValueError, match="rgb8"):
            numpy_to_image(pixels, "rgb8", Time(), "")


def test_equal_to_cv_bridge_where_that_works():
    cv_bridge = pytest.importorskip("cv_bridge")
    bridge = cv_bridge.CvBridge()
    for encoding in ENCODINGS:
        message = numpy_to_image(pixels_of(encoding, 3, 4, 1), encoding, Time(), "")
        try:
            theirs = bridge.imgmsg_to_cv2(message, desired_encoding="passthrough")
        except Exception:
            pytest.skip("cv_bridge is installed but does not work here")
        np.testing.assert_array_equal(np.squeeze(theirs), image_to_numpy(message))
        if encoding not in ("16UC1", "32FC1"):
            np.testing.assert_array_equal(bridge.imgmsg_to_cv2(message, desired_encoding="rgb8"), image_to_rgb(message))


def test_other_encodings_are_left_to_cv_bridge_where_that_works(monkeypatch):
    class Bridge:  # cv_bridge 4.1: imgmsg_to_cv2(img_msg, desired_encoding="passthrough")
        def imgmsg_to_cv2(self, img_msg, desired_encoding="passthrough"):
            if img_msg.encoding == "unknown":
                raise RuntimeError("[unknown] is not a color format.")
            return np.full((img_msg.height, img_msg.width, 3), 7, np.uint8)

    monkeypatch.setitem(sys.modules, "cv_bridge", SimpleNamespace(CvBridge=Bridge))
    images._cv_bridge.cache_clear()
    try:
        np.testing.assert_array_equal(image_to_rgb(Image(encoding="nv21", height=2, width=2)), np.full((2, 2, 3), 7))
        with pytest.raises(ValueError, match=r"cv_bridge cannot convert it to rgb8 \(\[unknown\].*set the camera"):
            image_to_rgb(Image(encoding="unknown", height=2, width=2))
    finally:
        images._cv_bridge.cache_clear()


@given(st.floats(0, 2**31 - 2))
def test_stamps_keep_seconds_to_the_nanosecond(seconds):
    stamp = to_stamp(seconds)
    assert 0 <= stamp.nanosec < 10**9
    assert to_seconds(stamp) == pytest.approx(seconds, rel=0, abs=1e-9)
    assert to_stamp(to_seconds(stamp)) == stamp


@given(st.integers(0, 2**31 - 2), st.integers(0, 10**9 - 1))
def test_a_stamp_is_recognised_after_any_number_of_conversions(sec, nanosec):
    seconds = to_seconds(Time(sec=sec, nanosec=nanosec))
    assert to_seconds(to_stamp(seconds)) == seconds


@given(seeds)
def test_a_step_keeps_what_the_network_saw_and_what_was_commanded(seed):
    rng = np.random.default_rng(seed)
    pose = np.array([*rng.normal(size=3), rng.uniform(-np.pi, np.pi)])
    observation = Observation(pixels_of("rgb8", 8, 8, seed), pose, 0.25, 3, 12.5)
    asked, commanded = (Action(rng.uniform(-1, 1, 8).astype(np.float32)) for _ in range(2))
    side = SIDES[rng.integers(len(SIDES))]
    step = Step(observation, asked, commanded, 0.5, 7, tuple(rng.normal(size=7).tolist()), side)
    sent = step_to_message(
        step, episode_id="e1", variation="base", mode="explore", frame_id="base_link", decision_ms=4.0
    )
    message = over_the_wire(sent)
    assert isinstance(message, PolicyStep)
    assert (message.episode_id, message.variation, message.mode, message.step) == ("e1", "base", PolicyStep.EXPLORE, 3)
    assert message.header.frame_id == "base_link" and to_seconds(message.header.stamp) == 12.5
    back = message_to_step(message)
    np.testing.assert_array_equal(back.observation.image, observation.image)
    np.testing.assert_allclose(back.observation.pose, observation.pose, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(back.asked.vector, asked.vector)
    np.testing.assert_array_equal(back.commanded.vector, commanded.vector)
    assert (back.observation.opening, back.observation.step, back.observation.stamp) == (0.25, 3, 12.5)
    assert (back.q, back.policy_version, back.joint_positions) == (0.5, 7, step.joint_positions)
    assert back.side == side


def test_an_outcome_keeps_its_evidence():
    outcome = GraspOutcome(True, 0.75, True, {"opening_closed": 0.3, "disappeared_cm2": 12.0})
    context = {"episode_id": "e1", "policy_version": 2, "variation": "base", "mode": PolicyStep.EXPLORE, "steps": 4}
    message = over_the_wire(outcome_to_message(outcome, to_stamp(5.0), **context, end_reason="closed"))
    assert isinstance(message, GraspOutcomeMsg) and message.steps == 4 and to_seconds(message.header.stamp) == 5.0
    assert message_to_outcome(message) == outcome


def point(positions, seconds):
    return JointTrajectoryPoint(positions=positions, time_from_start=Duration(sec=seconds))


def test_a_trajectory_is_read_in_the_order_of_the_arm():
    message = JointTrajectory(joint_names=["b", "a"], points=[point([2.0, 1.0], 1), point([4.0, 3.0], 2)])
    trajectory = message_to_trajectory(message, ("a", "b"))
    np.testing.assert_array_equal(trajectory.positions, [[1, 2], [3, 4]])
    np.testing.assert_array_equal(trajectory.times, [1, 2])


@pytest.mark.parametrize(
    ("names", "points", "part"),
    [
        (["a"], [point([1.0], 1)], "this arm has a, b"),
        (["a", "b"], [], "0 points"),
        (["a", "b"], [point([1.0], 1)], "needs 2 positions"),
        (["a", "b"], [point([1.0, 1.0], 1), point([1.0, 1.0], 1)], "does not rise"),
    ],
)
def test_a_trajectory_that_no_controller_takes_is_refused(names, points, part):
    with pytest.raises(ValueError, match=part):
        message_to_trajectory(JointTrajectory(joint_names=names, points=points), ("a", "b"))
