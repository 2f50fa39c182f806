"""Node `camera`: from the camera driver's images to what the Q-network sees, with the stamps of the driver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import Image

from robot_finetune.config import setting
from robot_finetune.perception.preprocess import preprocess
from robot_finetune.robot.profile import load_robot
from robot_finetune.ros.conversions import image_to_rgb, numpy_to_image
from robot_finetune.ros.diagnostics import Diagnostics, Health, Level
from robot_finetune.ros.image_statistics import ImageStatistics
from robot_finetune.ros.parameters import declare_parameters
from robot_finetune.ros.qos import SENSOR
from robot_finetune.ros.spin import run_node


@dataclass(frozen=True)
class CameraParameters:
    """Parameters of the node."""

    robot: str = setting("sim", "robot: a name in config/robots or a YAML file")
    image_size: int = setting(64, "edge of the square image that the policy sees", unit="px", low=16, high=1024)


class CameraNode(Node):
    """Preprocesses each image as it arrives; says so when none does."""

    def __init__(self) -> None:
        super().__init__("camera")
        self._config = declare_parameters(self, CameraParameters)
        self._timeout = load_robot(self._config.robot).camera.timeout
        self._statistics = ImageStatistics()
        self._error = ""
        self._publisher = self.create_publisher(Image, "observation", SENSOR)
        self._subscription = self.create_subscription(Image, "image_raw", self._on_image, SENSOR)
        self._diagnostics = Diagnostics(self, self._health, period=0.5)

    def _on_image(self, message: Image, info: Mapping[str, Any]) -> None:
        try:
            image = preprocess(image_to_rgb(message), self._config.image_size)
        except ValueError as error:
            self._error = f"{self._subscription.topic_name}: {error}"
            return
        self._error = ""
        self._publisher.publish(numpy_to_image(image, "rgb8", message.header.stamp, message.header.frame_id))
        self._statistics.add(info)

    def _health(self) -> Health:
        values = self._statistics.values()
        if self._error:
            return Health(Level.ERROR, self._error, values)
        if self._statistics.age > self._timeout:
            topic, drivers = self._subscription.topic_name, self.count_publishers(self._subscription.topic_name)
            cure = (
                "check its camera and cable" if drivers else "start the camera driver, or remap image_raw to its topic"
            )
            publishers = f"its {drivers} publisher sends nothing" if drivers else "nobody publishes there"
            return Health(Level.ERROR, f"no image on {topic} for {self._timeout:g} s, {publishers}: {cure}", values)
        return Health(Level.OK, "images arrive", values)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until it is stopped. Returns the exit code."""
    return run_node(CameraNode, args)
