"""The newest message of a topic, for a worker thread."""

from __future__ import annotations

import threading
from typing import Any

from rclpy.node import Node

from robot_finetune.robot.interfaces import RobotError
from robot_finetune.ros.node.guarded import listen
from robot_finetune.ros.node.qos import SENSOR
from robot_finetune.ros.node.waiting import wait_for


class Newest:
    """Keeps the newest message of a sensor's topic; another thread spins the node."""

    def __init__(self, node: Node, kind: Any, topic: str, timeout: float) -> None:
        """timeout: longest wall seconds until a next message."""
        self._condition = threading.Condition()
        self._count, self._message = 0, None
        self._timeout = timeout
        self._subscription = listen(node, kind, topic, self._store, SENSOR)

    def next(self, cure: str) -> Any:
        """A message that comes after the call. Raises RobotError, ending with `cure`, if none does in time."""
        with self._condition:
            before = self._count
            wait_for(self._condition, lambda: self._count > before, self._timeout)
            if self._count == before:
                raise RobotError(f"nothing on {self._subscription.topic_name} for {self._timeout:.0f} s: {cure}")
            return self._message

    def newest(self) -> Any:
        """The newest message so far; None if there was none."""
        with self._condition:
            wait_for(self._condition, lambda: self._message is not None, self._timeout)
            return self._message

    def _store(self, message: Any) -> None:
        with self._condition:
            self._count, self._message = self._count + 1, message
            self._condition.notify_all()
