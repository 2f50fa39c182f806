"""Calls of a service by a worker thread while another thread spins the node."""

from __future__ import annotations

import threading
import time
from typing import Any

from rclpy.node import Node

from robot_finetune.robot.interfaces import RobotError
from robot_finetune.ros.node.waiting import POLL, Check, no_check

SERVICE_TIMEOUT = 2.0
"""Wall seconds in which a service has to be found, and in which it has to answer."""


class ServiceCaller:
    """Calls one service."""

    def __init__(self, node: Node, kind: Any, name: str, cure: str) -> None:
        """kind: the service type. cure: what to look after if it does not answer."""
        self._client: Any = node.create_client(kind, name)
        self.name, self._kind, self._cure = name, kind, cure

    def send(self, **fields: Any) -> Any:
        """Send a request and return the future of its response at once. For any thread."""
        return self._client.call_async(self._kind.Request(**fields))

    def call(self, check: Check = no_check, timeout: float = SERVICE_TIMEOUT, **fields: Any) -> Any:
        """The response to a request, which may take `timeout` wall seconds. Raises RobotError if there is no service or
        it does not answer."""
        deadline = time.monotonic() + SERVICE_TIMEOUT
        while not self._client.service_is_ready():
            check()
            if time.monotonic() > deadline:
                raise RobotError(f"no service {self.name}: {self._cure}")
            time.sleep(0.01)
        answered = threading.Event()
        future = self.send(**fields)
        future.add_done_callback(lambda _: answered.set())
        deadline = time.monotonic() + timeout
        while not answered.wait(POLL):
            check()
            if time.monotonic() > deadline:
                raise RobotError(f"service {self.name} does not answer: {self._cure}")
        return future.result()
