"""Node `camera`: from the camera driver's images, or a camera of its own, to what the Q-network sees.

The observation has the stamp of the image that it was made of. Where the driver's images are not taken as they are, the
node publishes the full images as well: see `CameraConfig.published`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from robot_finetune.config import setting
from robot_finetune.perception.brightness import BrightnessWatch
from robot_finetune.perception.camera_model import CameraModel
from robot_finetune.perception.frame_watch import blank
from robot_finetune.perception.image_source import SourceReader
from robot_finetune.perception.rectification import Rectification
from robot_finetune.robot.preprocess import preprocess
from robot_finetune.robot.profile import load_robot
from robot_finetune.ros.image_statistics import ImageStatistics
from robot_finetune.ros.images import camera_info, compressed_to_rgb, image_to_rgb, numpy_to_image
from robot_finetune.ros.node.diagnostics import Health, Level
from robot_finetune.ros.node.guarded import listen
from robot_finetune.ros.node.managed_node import ManagedNode, run_managed_node
from robot_finetune.ros.node.parameters import read_parameters
from robot_finetune.ros.node.qos import SENSOR
from robot_finetune.ros.node.spin import until_shutdown

KINDS = {"sensor_msgs/msg/Image": "raw", "sensor_msgs/msg/CompressedImage": "compressed"}
"""camera.transport by the type of the driver's topic."""


FIRST_IMAGE = 10.0
"""Wall seconds that the first image may take: a driver, or a simulated cell, is still starting."""


@dataclass(frozen=True)
class CameraParameters:
    """Parameters of the node."""

    robot: str = setting("sim", "robot: a name in config/robots or a YAML file")
    image_size: int = setting(64, "edge of the square image that the policy sees", unit="px", low=16, high=1024)
    brightness_tolerance: float = setting(
        0.05, "change of brightness or colour of a still image that is warned of, as a fraction", low=0.01, high=1.0
    )


class CameraNode(ManagedNode):
    """Preprocesses each image as it arrives; says so when none does, or when the camera changes its exposure."""

    NAME, PARAMETERS = "camera", CameraParameters
    HEALTH_PERIOD = 0.5

    def configure(self) -> None:
        self._config = read_parameters(self, CameraParameters)
        self._camera = load_robot(self._config.robot).camera
        self._lock = threading.Lock()  # between the reader's thread and the callbacks
        self._rectification: Rectification | None = None
        self._calibration: CameraInfo | None = None
        self._observations = self.create_publisher(Image, "observation", SENSOR)
        seen = CameraModel.from_config(self._camera).seen_by_policy(self._config.image_size)
        self._observation_info = camera_info(seen, self._camera.optical_frame)
        self._observation_infos = self.create_publisher(CameraInfo, "observation/camera_info", SENSOR)
        topic = self._camera.published
        self._images = self.create_publisher(Image, topic, SENSOR) if topic else None
        self._reader: SourceReader | None = None
        if self._camera.source:
            self._topic = self._camera.source
            self._info = camera_info(CameraModel.from_config(self._camera), self._camera.optical_frame)
            self._infos = self.create_publisher(CameraInfo, "camera_info", SENSOR)
            self.at_close(self.deactivate)
        else:
            compressed = self._camera.transport == "compressed"
            kind, self._decode = (CompressedImage, compressed_to_rgb) if compressed else (Image, image_to_rgb)
            on_image = self.while_active(self._on_image)
            self._topic = listen(self, kind, "image_raw", on_image, SENSOR).topic_name
            if self._camera.rectify:
                self._info_topic = listen(self, CameraInfo, "camera_info", self._on_info, SENSOR).topic_name

    def activate(self) -> None:
        self._statistics = ImageStatistics()
        self._brightness = BrightnessWatch(self._config.brightness_tolerance)
        self._error = self._blank = ""
        if self._camera.source:
            self._reader = SourceReader(self._camera, self.while_active(self._on_source))

    def deactivate(self) -> None:
        """Let go of the camera."""
        if self._reader is not None:
            self._reader.close()

    def _on_info(self, message: CameraInfo) -> None:
        known = self._calibration
        if known is not None and (known.k == message.k).all() and known.d == message.d:
            return
        target = CameraModel.from_config(self._camera)
        try:
            self._rectification = Rectification(
                message.width, message.height, message.k, message.d, message.distortion_model, target
            )
            self._calibration = message
        except ValueError as error:
            self._error = f"{self._info_topic}: {error}"
            raise

    def _on_image(self, message: Any, info: Mapping[str, Any]) -> None:
        if self._camera.rectify and self._rectification is None:
            self._error = self._error or f"no calibration on {self._info_topic}: does the driver know its camera_info?"
            return
        try:
            image = self._decode(message)
            self._show(self._rectification(image) if self._rectification else image, message.header)
        except ValueError as error:
            self._error = f"{self._topic}: {error}"
            raise
        self._error = ""
        self._statistics.add(info)

    def _on_source(self, image: np.ndarray) -> None:
        taken = time.time_ns()
        self._info.header.stamp = self.get_clock().now().to_msg()
        try:
            with self._lock, until_shutdown():
                self._show(image, self._info.header)
                self._statistics.add({"source_timestamp": taken})
                self._error = ""
            with until_shutdown():
                self._infos.publish(self._info)
        except ValueError as error:
            self._error = f"{self._topic}: {error}"

    def _show(self, image: np.ndarray, header: Header) -> None:
        """Publish what was made of an image. Raises ValueError for one that cannot be used."""
        seen = preprocess(image, self._config.image_size, self._camera.crop)
        if self._images is not None:
            self._images.publish(numpy_to_image(image, "rgb8", header.stamp, header.frame_id))
        self._observations.publish(numpy_to_image(seen, "rgb8", header.stamp, header.frame_id))
        if self._observation_infos.get_subscription_count():
            self._observation_info.header = header
            self._observation_infos.publish(self._observation_info)
        self._brightness.add(seen)
        self._blank = blank(seen)

    def health(self) -> Health:
        with self._lock:
            values = self._statistics.values()
        error = (self._reader.error if self._reader else "") or self._error or self._silence() or self._blank
        if error:
            return Health(Level.ERROR, error, values)
        if self._brightness.complaint:
            cure = (
                "fix exposure, gain and white balance in the camera driver (their automatic modes off), and keep "
                "daylight out"
            )
            return Health(Level.WARN, f"{self._brightness.complaint} while nothing moved: {cure}", values)
        return Health(Level.OK, "images arrive", values)

    def _silence(self) -> str:
        """Why no image has come for too long, or ""; a simulation that has not begun has no time yet."""
        timeout = self._camera.timeout if self._statistics.received else max(self._camera.timeout, FIRST_IMAGE)
        simulated, now = self.get_parameter("use_sim_time").value, self.get_clock().now().nanoseconds
        if (simulated and not now) or self._statistics.age <= timeout:
            return ""
        missing = f"no image on {self._topic} for {timeout:g} s"
        if self._reader:
            return f"{missing}: check the camera and its cable"
        drivers = self.get_publishers_info_by_topic(self._topic)
        if not drivers:
            return f"{missing}, nobody publishes there: start the camera driver, or remap image_raw to its topic"
        transports = {KINDS.get(driver.topic_type, "") for driver in drivers}
        if transports <= {*KINDS.values()} and self._camera.transport not in transports:
            other = f"{drivers[0].topic_type}: set camera.transport to {transports.pop()} in the robot profile"
            return f"{missing}, its publisher sends {other}"
        return f"{missing}, its {len(drivers)} publisher sends nothing: check its camera and cable"


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until it is stopped. Returns the exit code."""
    return run_managed_node(CameraNode, args)
