"""Decisions to look at: an image (`~/overlay`) and markers (`~/markers`), made only while somebody listens."""

from __future__ import annotations

import math

import numpy as np
from geometry_msgs.msg import Point
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from robot_finetune.learning.q_policy import QPolicy
from robot_finetune.perception.overlay import Marks, draw_decision
from robot_finetune.robot.interfaces import EpisodeObserver, Frame
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.ros.images import CAMERA_FRAME, numpy_to_image
from robot_finetune.ros.node.qos import VIEW
from robot_finetune.ros.node.stamps import to_stamp
from robot_finetune.types import Step

SAMPLE, LINE = 0.008, 0.006
"""Diameter of a sample and width of a line [m]."""


class DecisionView:
    """Implements `interfaces.EpisodeObserver`: shows each decision of `policy`, and passes everything on."""

    def __init__(self, node: Node, profile: RobotProfile, policy: QPolicy, observer: EpisodeObserver) -> None:
        self._profile, self._policy, self._observer = profile, policy, observer
        self._images = node.create_publisher(Image, "~/overlay", VIEW)
        self._markers = node.create_publisher(MarkerArray, "~/markers", VIEW)
        policy.watched = self._watched

    def on_phase(self, phase: str, frame: Frame | None, end_reason: str = "") -> None:
        """As `interfaces.EpisodeObserver`."""
        self._observer.on_phase(phase, frame, end_reason)

    def on_step(self, step: Step) -> None:
        """As `interfaces.EpisodeObserver`."""
        self._observer.on_step(step)
        if not self._watched():
            return
        decided = not math.isnan(step.q)  # else the samples are those of an earlier decision
        marks = Marks.of(step, self._policy.samples if decided else None, self._profile)
        stamp = to_stamp(step.observation.stamp)
        if self._images.get_subscription_count():
            drawn = draw_decision(step, marks, self._profile)
            self._images.publish(numpy_to_image(drawn, "rgb8", stamp, CAMERA_FRAME))
        if self._markers.get_subscription_count():
            shown = decision_markers(marks)
            for marker in shown.markers:
                marker.header.stamp, marker.header.frame_id = stamp, self._profile.base_frame
            self._markers.publish(shown)

    def _watched(self) -> bool:
        return bool(self._images.get_subscription_count() or self._markers.get_subscription_count())


def decision_markers(marks: Marks) -> MarkerArray:
    """A decision as markers, without header: the way and the fingers at its end, and the samples in their colours."""
    lines = Marker(ns="target", type=Marker.LINE_LIST, action=Marker.ADD)
    lines.scale.x = LINE
    lines.color = ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0)
    lines.points = [_point(end) for end in (marks.here, marks.target, *marks.jaw)]
    samples = Marker(ns="samples", type=Marker.SPHERE_LIST, action=Marker.ADD if len(marks.samples) else Marker.DELETE)
    samples.scale.x = samples.scale.y = samples.scale.z = SAMPLE
    samples.points = [_point(sample) for sample in marks.samples]
    samples.colors = [ColorRGBA(r=r, g=g, b=b, a=1.0) for r, g, b in (marks.colours / 255.0).tolist()]
    for marker in (lines, samples):
        marker.pose.orientation.w = 1.0
    return MarkerArray(markers=[lines, samples])


def _point(position: np.ndarray) -> Point:
    x, y, z = map(float, position[:3])
    return Point(x=x, y=y, z=z)
