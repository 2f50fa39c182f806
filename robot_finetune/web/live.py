"""A running graph, listened to: the session's own monitor under another name, beside it images and diagnostics."""

from __future__ import annotations

import math
import struct
import threading
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import cv2
import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image

from robot_finetune.config import shown
from robot_finetune.msg import EpisodePhase, PolicyStep
from robot_finetune.robot.interfaces import RobotError
from robot_finetune.ros.checked import plain_text
from robot_finetune.ros.constants import GATE_STATE, MODE, PHASE, Constants
from robot_finetune.ros.images import image_to_rgb
from robot_finetune.ros.node.guarded import listen
from robot_finetune.ros.node.qos import COMMAND, EPISODE, SENSOR, STEP
from robot_finetune.ros.node.spin import InvalidHandle, RCLError
from robot_finetune.ros.node.stamps import to_seconds
from robot_finetune.session.monitor import Monitor
from robot_finetune.types import AUTO, EVALUATE, EXPLORE, MOST_STEPS
from robot_finetune.web.judged_images import JudgedImages
from robot_finetune.web.live_state import SERVICES, VARIATION, LiveState, NodeHealth, buttons

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

    def __init__(self, domain_id: int, image_topic: str, variations: Sequence[str] = ()) -> None:
        """image_topic: of the camera. variations: that the cell may be switched to."""
        self._monitor = Monitor(domain_id, lambda: None, NODE)
        self._nodes: dict[str, tuple[float, NodeHealth]] = {}
        self._images: dict[str, tuple[float, bytes]] = {}
        self._count = 0
        self._lock, self._closed = threading.Lock(), False
        node = self._monitor.node
        listen(node, DiagnosticArray, "/diagnostics", self._on_health, COMMAND)
        for topic in (OVERLAY, image_topic):  # raw: only what somebody looks at is taken apart
            listen(node, Image, topic, partial(self._on_image, topic), SENSOR, raw=True)
        listen(node, EpisodePhase, "episode_phase", self._on_phase, EPISODE)
        listen(node, PolicyStep, "policy_step", self._on_step, STEP)
        self._judged, self.variations = JudgedImages(), list(variations)
        self._deciding, self._q = "", dict[int, float | None]()
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

    def do(self, name: str, value: str = "") -> str:
        """What the button `name` does; returns what the node answers. Raises RobotError where it refuses."""
        try:
            if name in self._modes:
                return self._modes[name]()
            if name == VARIATION:
                return self._switch(value)
            return self._monitor.trigger(buttons(LiveState())[name].service, timeout=5.0)
        except (RCLError, InvalidHandle) as error:
            raise RobotError(ENDED) from error

    def jpeg(self) -> bytes | None:
        """The newest image; None if there is none that can be shown."""
        _, data = self._images.get(self._shown(), (0.0, None))
        return _jpeg(data, WIDEST)

    def judged_jpeg(self, episode_id: str, place: str) -> bytes | None:
        """The image of a grasp that its judgement looked at, `place` one of PLACES; None if it is not here."""
        return _jpeg(self._judged.get(episode_id, place), WIDEST // 2)

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
            q=tuple(self._q.values()),
            judged=self._judged.known(),
            offered=frozenset(service for service in SERVICES if monitor.offers(service)),
        )

    def _set_mode(self, mode: str) -> str:
        self._monitor.set_policy(mode=mode)
        return f"{mode} from the next grasp on"

    def _switch(self, variation: str) -> str:
        if variation not in self.variations:
            raise RobotError(f"no variation {shown(variation)}: there are {', '.join(self.variations)}")
        self._monitor.set_policy(variation=variation)
        return f"{variation} from the next grasp on"

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
        if topic == self._camera:
            self._judged.frame(_stamp(data), data)
        if topic == self._shown():
            self._count += 1

    def _on_phase(self, message: EpisodePhase) -> None:
        name = plain_text(message.episode_id, "episode_id")
        self._judged.phase(name, PHASE.name(message.phase), to_seconds(message.image_stamp))

    def _on_step(self, message: PolicyStep) -> None:
        if message.step >= MOST_STEPS:
            raise ValueError(f"step {message.step}: allowed are 0 to {MOST_STEPS - 1}")
        if message.episode_id != self._deciding:
            self._deciding, self._q = message.episode_id, {}
        value = float(message.q)
        self._q = {**self._q, message.step: value if math.isfinite(value) else None}


def _stamp(data: bytes) -> float:
    """The stamp [s] at the head of a serialised message (CDR), which need not be taken apart for it."""
    seconds, nanoseconds = struct.unpack_from("<iI" if data[1] & 1 else ">iI", data, 4)
    return float(seconds + nanoseconds * 1e-9)


def _jpeg(data: bytes | None, widest: int) -> bytes | None:
    """A serialised image as a JPEG file at most so wide [px]; None for none, and for damaged bytes."""
    try:
        rgb = image_to_rgb(deserialize_message(data, Image)) if data else None
    except Exception:  # the deserialiser raises nearly anything
        return None
    if rgb is None:
        return None
    if rgb.shape[1] > widest:
        rgb = cv2.resize(rgb, (widest, rgb.shape[0] * widest // rgb.shape[1]), interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode(".jpg", np.ascontiguousarray(rgb[..., ::-1]))[1])


def _name(constants: Constants, number: int) -> str:
    """The name of a constant, "" for a number that is none."""
    try:
        return constants.name(number)
    except ValueError:
        return ""
