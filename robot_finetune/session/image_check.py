"""How many images reach the policy's topic, and how late: timed on the resting robot, at the camera's own rate."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import Image

from robot_finetune.ros.node.guarded import listen
from robot_finetune.ros.node.qos import SENSOR
from robot_finetune.stats import percentile


class ImageCheck:
    """Counts from its creation to `finish`.

    Latency is wall time on one computer: from the camera driver's publication of an image to the arrival of the
    observation that was made of it. Lost are images that the driver published and of which no observation came.
    """

    def __init__(self, node: Node, image_topic: str) -> None:
        self._node = node
        self._published: dict[tuple[int, int], tuple[int, int]] = {}  # by stamp: publisher's number and time [ns]
        self._arrived: dict[tuple[int, int], int] = {}  # by stamp: time of the observation's arrival [ns]
        self._subscriptions = [
            listen(node, Image, image_topic, self._on_image, SENSOR),
            listen(node, Image, "observation", self._on_observation, SENSOR),
        ]

    @property
    def observations(self) -> int:
        """Observations so far."""
        return len(self._arrived)

    def finish(self) -> dict[str, float]:
        """hz, lost, p50_ms and p95_ms; empty if fewer than two images came through."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        return image_figures(self._published, self._arrived)

    def _on_image(self, message: Image, info: Mapping[str, Any]) -> None:
        number = info.get("publication_sequence_number") or 0
        self._published[_stamp(message)] = (number, info["source_timestamp"])

    def _on_observation(self, message: Image, _: Mapping[str, Any]) -> None:
        self._arrived[_stamp(message)] = time.time_ns()


def image_figures(
    published: Mapping[tuple[int, int], tuple[int, int]], arrived: Mapping[tuple[int, int], int]
) -> dict[str, float]:
    """hz, lost, p50_ms, p95_ms between the first and the last image that came through, by their stamps.

    published: number and time [ns] of publication; arrived: time [ns] of arrival. Numbers of images that this process
    itself did not hear still count as published.
    """
    both = sorted(stamp for stamp in arrived if stamp in published)
    if len(both) < 2:
        return {}
    numbers = [published[stamp][0] for stamp in both]
    latencies = [(arrived[stamp] - published[stamp][1]) * 1e-6 for stamp in both]
    seconds = (arrived[both[-1]] - arrived[both[0]]) * 1e-9
    sent = numbers[-1] - numbers[0] + 1
    came = sum(both[0] <= stamp <= both[-1] for stamp in arrived)
    return {
        "hz": round((came - 1) / seconds, 2) if seconds > 0 else 0.0,
        "lost": max(0, sent - came),
        "p50_ms": round(percentile(latencies, 50), 3),
        "p95_ms": round(percentile(latencies, 95), 3),
    }


def _stamp(message: Image) -> tuple[int, int]:
    return message.header.stamp.sec, message.header.stamp.nanosec
