"""A running graph, listened to: the session's own monitor under another name, beside it images and diagnostics."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import Any

import cv2
import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image

from robot_finetune.robot.interfaces import RobotError
from robot_finetune.ros.checked import plain_text
from robot_finetune.ros.constants import GATE_STATE, MODE, PHASE, Constants
from robot_finetune.ros.images import image_to_rgb
from robot_finetune.ros.node.guarded import listen
from robot_finetune.ros.node.qos import COMMAND, SENSOR
from robot_finetune.ros.node.spin import InvalidHandle, RCLError
from robot_finetune.session.monitor import Monitor
from robot_finetune.types import AUTO, EVALUATE, EXPLORE
from robot_finetune.web.live_state import SERVICES, LiveState, NodeHealth, buttons

NODE = "dashboard"
OVERLAY = "policy/overlay"
"""The observation with the decision drawn in, where the policy node publishes it."""
ENDED = "the session has just ended"
FRESH = 3.0
"""Wall seconds for which the overlay is taken before the camera's image."""
WIDEST = 640
"""Pixels of an image on the page."""
MOST_NODES, MOST_VALUES, LONGEST = 64, 32, 1000
LEVELS = {
    DiagnosticStatus.OK: "ok",
    DiagnosticStatus.WARN: "warn",
    DiagnosticStatus.ERROR: "error",
    DiagnosticStatus.STALE: "stale",
}


class LiveGraph:
    """Follows the graph in a ROS domain, and asks it for what an operator wants. To be closed."""

    def __init__(self, domain_id: int, image_topic: str) -> None:
        """image_topic: of the camera."""
        self._monitor = Monitor(domain_id, lambda: None, NODE)
        self._nodes: dict[str, tuple[float, NodeHealth]] = {}
        self._images: dict[str, tuple[float, bytes]] = {}
        self._count = 0
        self._lock, self._closed = threading.Lock(), False
        node = self._monitor.node
        listen(node, DiagnosticArray, "/diagnostics", self._on_health, COMMAND)
        for topic in (OVERLAY, image_topic):  # raw: only what somebody looks at is taken apart
            listen(node, Image, topic, partial(self._on_image, topic), SENSOR, raw=True)
        self._camera = image_topic
        self._modes = {mode: partial(self._set_mode, mode) for mode in (EXPLORE, EVALUATE, AUTO)}

    def close(self) -> None:
        """Leave the graph."""
        with self._lock:
            self._closed = True
            self._monitor.close()

    @property
    def losses(self) -> list[tuple[float, float]]:
        """Pairs of update and loss since this program listens."""
        return list(self._monitor.losses)

    def state(self) -> LiveState:
        """What is known now."""
        with self._lock:  # its services are looked for: nothing for a graph that is just being left
            return LiveState(ENDED) if self._closed else self._state()

    def do(self, name: str) -> str:
        """What the button `name` does; returns what the node answers. Raises RobotError where it refuses."""
        try:
            if name in self._modes:
                return self._modes[name]()
            return self._monitor.trigger(buttons(LiveState())[name].service, timeout=5.0)
        except (RCLError, InvalidHandle) as error:
            raise RobotError(ENDED) from error

    def jpeg(self) -> bytes | None:
        """The newest image; None if there is none that can be shown."""
        topic = self._shown()
        if topic not in self._images:
            return None
        try:
            rgb = image_to_rgb(deserialize_message(self._images[topic][1], Image))
        except Exception:  # damaged bytes: the deserialiser raises nearly anything
            return None
        if rgb.shape[1] > WIDEST:
            rgb = cv2.resize(rgb, (WIDEST, rgb.shape[0] * WIDEST // rgb.shape[1]), interpolation=cv2.INTER_AREA)
        return bytes(cv2.imencode(".jpg", np.ascontiguousarray(rgb[..., ::-1]))[1])

    def _state(self) -> LiveState:
        monitor, now = self._monitor, time.monotonic()
        heard = dict(self._nodes)
        ages = [monitor.silence, *(now - at for at, _ in heard.values())]
        nodes = [
            NodeHealth(health.name, health.level, health.message, health.values, now - at)
            for at, health in sorted(heard.values(), key=lambda item: item[1].name)
        ]
        return LiveState(
            age=min(ages),
            policy=self._policy(),
            trainer=self._trainer(),
            trial=self._trial(),
            nodes=tuple(nodes),
            image=self._count,
            overlay=self._shown() == OVERLAY,
            offered=frozenset(service for service in SERVICES if monitor.offers(service)),
        )

    def _set_mode(self, mode: str) -> str:
        self._monitor.set_policy(mode=mode)
        return f"{mode} from the next grasp on"

    def _shown(self) -> str:
        at, _ = self._images.get(OVERLAY, (0.0, b""))
        return OVERLAY if at and time.monotonic() - at < FRESH else self._camera

    def _policy(self) -> dict[str, Any]:
        told = self._monitor.policy
        if told is None:
            return {}
        return {
            "state": self._monitor.policy_state,
            "message": told.message[:LONGEST],
            "version": told.policy_version,
            "variation": told.variation[:LONGEST],
            "mode": _name(MODE, told.mode),
            "phase": _name(PHASE, told.phase),
            "episode": told.episode,
            "steps": told.steps,
            "decision_ms": round(told.decision_ms, 1),
            "discarded": told.discarded,
        }

    def _trainer(self) -> dict[str, Any]:
        told = self._monitor.trainer
        if told is None:
            return {}
        return {
            "state": self._monitor.trainer_state,
            "message": told.message[:LONGEST],
            "version": told.version,
            "grasps": told.grasps,
            "updates": told.updates,
            "updates_per_second": round(told.updates_per_second, 1),
            "loss": round(told.loss, 4),
        }

    def _trial(self) -> dict[str, Any]:
        told = self._monitor.promotion
        if told is None:
            return {}
        names = ("incumbent", "candidate", "waiting", "reason", "probability")
        counts = [f"{side}_{what}" for side in ("incumbent", "candidate") for what in ("grasps", "successes")]
        return {"state": _name(GATE_STATE, told.state), **{name: getattr(told, name) for name in (*names, *counts)}}

    def _on_health(self, message: DiagnosticArray) -> None:
        for status in message.status[:MOST_NODES]:
            name = plain_text(status.name, "name of a node")
            if status.level not in LEVELS or (len(self._nodes) >= MOST_NODES and name not in self._nodes):
                raise ValueError(f"diagnostics of {name} with an unknown level, or of too many nodes")
            values = {value.key[:60]: value.value[:200] for value in status.values[:MOST_VALUES]}
            health = NodeHealth(name, LEVELS[status.level], status.message[:LONGEST], values, 0.0)
            self._nodes[name] = time.monotonic(), health

    def _on_image(self, topic: str, data: bytes) -> None:
        self._images[topic] = time.monotonic(), data
        if topic == self._shown():
            self._count += 1


def _name(constants: Constants, number: int) -> str:
    """The name of a constant, "" for a number that is none."""
    try:
        return constants.name(number)
    except ValueError:
        return ""
