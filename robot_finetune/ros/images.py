"""Between image messages and arrays; no other module reads or fills image data.

`Image.data` is set from an `array`, which rclpy takes over without looking at each byte (an ndarray takes 50 ms).
"""

from __future__ import annotations

import functools
import sys
from array import array
from typing import Any

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from robot_finetune.perception.camera_model import CameraModel
from robot_finetune.ros.checked import shown

CAMERA_FRAME = "camera_optical_frame"

ENCODINGS: dict[str, tuple[type, int]] = {
    "rgb8": (np.uint8, 3),
    "bgr8": (np.uint8, 3),
    "rgba8": (np.uint8, 4),
    "bgra8": (np.uint8, 4),
    "mono8": (np.uint8, 1),
    "yuv422": (np.uint8, 2),
    "uyvy": (np.uint8, 2),
    "yuv422_yuy2": (np.uint8, 2),
    "yuyv": (np.uint8, 2),
    "bayer_rggb8": (np.uint8, 1),
    "bayer_bggr8": (np.uint8, 1),
    "bayer_gbrg8": (np.uint8, 1),
    "bayer_grbg8": (np.uint8, 1),
    "16UC1": (np.uint16, 1),
    "32FC1": (np.float32, 1),
}
"""Element type and channels of the encodings that are understood."""

_TO_RGB = {
    "bgr8": cv2.COLOR_BGR2RGB,
    "rgba8": cv2.COLOR_RGBA2RGB,
    "bgra8": cv2.COLOR_BGRA2RGB,
    "mono8": cv2.COLOR_GRAY2RGB,
    "yuv422": cv2.COLOR_YUV2RGB_UYVY,
    "uyvy": cv2.COLOR_YUV2RGB_UYVY,
    "yuv422_yuy2": cv2.COLOR_YUV2RGB_YUY2,
    "yuyv": cv2.COLOR_YUV2RGB_YUY2,
    "bayer_rggb8": cv2.COLOR_BayerBG2RGB,  # OpenCV names the pattern by its second row, backwards
    "bayer_bggr8": cv2.COLOR_BayerRG2RGB,
    "bayer_gbrg8": cv2.COLOR_BayerGR2RGB,
    "bayer_grbg8": cv2.COLOR_BayerGB2RGB,
}


def image_to_numpy(message: Image) -> np.ndarray:
    """The pixels as they are encoded: (height, width) or (height, width, channels), without a copy where possible.

    Raises ValueError for an encoding that is not in ENCODINGS, for an image without pixels and for too little data.
    """
    element, channels = _layout(message.encoding)
    kind = np.dtype(element).newbyteorder(">" if message.is_bigendian else "<")
    height, width, row = message.height, message.width, message.width * channels * kind.itemsize
    step = (message.step or row) if height > 1 else row
    data: np.ndarray = np.frombuffer(message.data, np.uint8)
    if not height or not width:
        raise ValueError(f"image of {width}x{height} pixels; check the camera driver")
    if step < row or data.size < step * (height - 1) + row:
        size = f"{width}x{height} {message.encoding}"
        raise ValueError(f"image {size} with step {step} has only {data.size} bytes; check the camera driver")
    if data.size < step * height:  # the last row without its padding
        data = np.pad(data, (0, step * height - data.size))
    rows = data[: step * height].reshape(height, step)[:, :row]
    pixels = rows if step == row else np.ascontiguousarray(rows)
    pixels = pixels.view(kind).reshape(height, width, channels)
    if not kind.isnative:
        pixels = pixels.astype(element)
    return pixels[:, :, 0] if channels == 1 else pixels


def image_to_rgb(message: Image) -> np.ndarray:
    """A colour or grey image as uint8 RGB (height, width, 3). Raises ValueError for depth images.

    Encodings that are not in ENCODINGS are left to cv_bridge, where that is installed and works.
    """
    bridge = _cv_bridge() if message.encoding not in ENCODINGS else None
    if bridge is not None:
        try:
            return np.asarray(bridge.imgmsg_to_cv2(message, desired_encoding="rgb8"))
        except Exception as error:  # of OpenCV or its own
            raise ValueError(
                f"image encoding {shown(message.encoding)}: cv_bridge cannot convert it to rgb8 ({error}); set the "
                "camera driver to rgb8"
            ) from error
    pixels = image_to_numpy(message)
    if message.encoding == "rgb8":
        return pixels
    if message.encoding not in _TO_RGB:
        raise ValueError(f"image encoding {message.encoding!r} holds no colours: choose the colour topic of the camera")
    try:
        return cv2.cvtColor(np.ascontiguousarray(pixels), _TO_RGB[message.encoding])
    except cv2.error as error:
        size = f"{message.width}x{message.height} {message.encoding}"
        raise ValueError(f"image {size} cannot be converted to rgb8 ({error.err}); check the camera driver") from error


def compressed_to_rgb(message: CompressedImage) -> np.ndarray:
    """A JPEG or PNG image as uint8 RGB (height, width, 3). Raises ValueError for depth images and broken data."""
    if "compressedDepth" in message.format:
        raise ValueError(
            f"image format {shown(message.format)} holds no colours: choose the colour topic of the camera"
        )
    data = np.frombuffer(message.data, np.uint8)
    try:
        pixels = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except cv2.error:  # more pixels than fit into memory
        pixels = None
    if pixels is None:
        raise ValueError(
            f"compressed image of format {shown(message.format)} and {data.size} bytes cannot be decoded; check the "
            "camera driver, or set camera.transport to raw"
        )
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def numpy_to_image(pixels: np.ndarray, encoding: str, stamp: Time, frame_id: str) -> Image:
    """An Image message of (height, width) or (height, width, channels) pixels. Raises ValueError if they do not fit."""
    element, channels = _layout(encoding)
    if pixels.dtype != element or pixels.ndim not in (2, 3) or np.atleast_3d(pixels).shape[2] != channels:
        raise ValueError(f"pixels {pixels.shape} {pixels.dtype} are no {encoding} image")
    message = Image(height=pixels.shape[0], width=pixels.shape[1], encoding=encoding)
    message.header.stamp = stamp
    message.header.frame_id = frame_id
    message.is_bigendian = sys.byteorder == "big"
    message.step = pixels.shape[1] * channels * pixels.itemsize
    data = array("B")
    data.frombytes(np.ascontiguousarray(pixels).data.cast("B"))
    message.data = data
    return message


def camera_info(camera: CameraModel, frame_id: str) -> CameraInfo:
    """The calibration of a pinhole camera, without a stamp."""
    message = CameraInfo(width=camera.width, height=camera.height, distortion_model="plumb_bob", d=[0.0] * 5)
    message.header.frame_id = frame_id
    message.k = camera.matrix.ravel()
    message.r = np.eye(3).ravel()
    message.p = np.hstack([camera.matrix, np.zeros((3, 1))]).ravel()
    return message


@functools.cache
def _cv_bridge() -> Any:
    """cv_bridge's converter, or None where it is not installed or does not work (built for another NumPy, say)."""
    try:
        from cv_bridge import CvBridge

        bridge = CvBridge()
        bridge.imgmsg_to_cv2(numpy_to_image(np.zeros((2, 2), np.uint8), "mono8", Time(), ""), desired_encoding="rgb8")
    except Exception:
        return None
    return bridge


def _layout(encoding: str) -> tuple[type, int]:
    if encoding not in ENCODINGS:
        raise ValueError(
            f"image encoding {shown(encoding)}: known are {', '.join(ENCODINGS)}; set the camera driver to rgb8"
        )
    return ENCODINGS[encoding]
