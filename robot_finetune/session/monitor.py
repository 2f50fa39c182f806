"""The session's own node: follows what the other nodes tell, and steers the policy node as an operator would."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import rclpy
from rcl_interfaces.srv import SetParameters
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions
from std_srvs.srv import Trigger

from robot_finetune.msg import EpisodeSummary, ModelUpdate, PolicyStatus, TrainerStatus
from robot_finetune.robot.interfaces import RobotError
from robot_finetune.ros.node.qos import EPISODE, LATCHED
from robot_finetune.session.record import Grasp

CALL_TIMEOUT = 20.0
"""Longest wall time [s] for the answer of a service."""


class Monitor:
    """Follows a running graph; messages are handled in a thread of its own. To be closed.

    grasps: by episode id, all that were told of. swap_ms: of each change of the policy's version. losses: update, loss.
    """

    def __init__(self, domain_id: int, idle: Callable[[], None]) -> None:
        """idle: called many times a second while a call waits for its answer; may raise to end the wait."""
        self._idle = idle
        self._context = rclpy.Context()
        rclpy.init(
            args=["--ros-args", "--disable-external-lib-logs"],
            context=self._context,
            domain_id=domain_id,
            signal_handler_options=SignalHandlerOptions.NO,
        )
        self.node = Node("session", context=self._context, enable_rosout=False)
        self.policy: PolicyStatus | None = None
        self.trainer: TrainerStatus | None = None
        self.update: ModelUpdate | None = None
        self.grasps: dict[str, Grasp] = {}
        self.swap_ms: list[float] = []
        self.losses: list[tuple[float, float]] = []
        self._heard = time.monotonic()
        self._clients: dict[str, Any] = {}
        self.node.create_subscription(PolicyStatus, "policy_status", self._on_policy, EPISODE)
        self.node.create_subscription(TrainerStatus, "trainer_status", self._on_trainer, LATCHED)
        self.node.create_subscription(ModelUpdate, "model_update", self._on_update, LATCHED)
        self.node.create_subscription(EpisodeSummary, "episode_summary", self._on_summary, EPISODE)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    @property
    def silence(self) -> float:
        """Wall seconds since the newest PolicyStatus."""
        return time.monotonic() - self._heard

    def close(self) -> None:
        """End the thread and leave the graph."""
        self._context.try_shutdown()
        self._thread.join(timeout=5.0)

    def set_policy(self, **parameters: Any) -> None:
        """Set parameters of the policy node. Raises RobotError where it refuses or does not answer."""
        values = [Parameter(name, value=value).to_parameter_msg() for name, value in parameters.items()]
        response = self._call(SetParameters, "policy/set_parameters", SetParameters.Request(parameters=values))
        refused = [result.reason for result in response.results if not result.successful]
        if refused:
            raise RobotError(f"policy refuses {', '.join(parameters)}: {'; '.join(refused)}")

    def trigger(self, service: str, timeout: float = CALL_TIMEOUT) -> str:
        """Call a Trigger service, such as policy/start; returns its message. Raises RobotError where it refuses."""
        response = self._call(Trigger, service, Trigger.Request(), timeout)
        if not response.success:
            raise RobotError(f"{service} is refused: {response.message}")
        return str(response.message)

    def forget_trainer(self) -> None:
        """Its process was ended on purpose: its last words no longer hold."""
        self.trainer = None

    def _call(self, kind: Any, service: str, request: Any, timeout: float = CALL_TIMEOUT) -> Any:
        if service not in self._clients:
            self._clients[service] = self.node.create_client(kind, service)
        client = self._clients[service]
        deadline = time.monotonic() + timeout
        self._wait(client.service_is_ready, deadline, service)
        future = client.call_async(request)
        self._wait(future.done, deadline, service)
        return future.result()

    def _wait(self, done: Callable[[], bool], deadline: float, service: str) -> None:
        while not done():
            if time.monotonic() > deadline:
                raise RobotError(f"service {service} does not answer: is the node {service.split('/')[0]} running?")
            self._idle()
            time.sleep(0.005)

    def _spin(self) -> None:
        with suppress(ExternalShutdownException):
            self._executor.spin()

    def _on_policy(self, message: PolicyStatus) -> None:
        swapped = self.policy is not None and message.policy_version != self.policy.policy_version
        if swapped and math.isfinite(message.swap_ms):
            self.swap_ms.append(float(message.swap_ms))
        self.policy = message
        self._heard = time.monotonic()

    def _on_trainer(self, message: TrainerStatus) -> None:
        newer = not self.losses or message.updates > self.losses[-1][0]
        if message.updates and newer and math.isfinite(message.loss):
            self.losses.append((message.updates, float(message.loss)))
        self.trainer = message

    def _on_update(self, message: ModelUpdate) -> None:
        self.update = message

    def _on_summary(self, message: EpisodeSummary) -> None:
        judged = (bool(message.success), float(message.confidence), bool(message.contradiction), message.end_reason)
        grasp = Grasp(message.episode_id, message.mode, message.policy_version, *judged, path=Path(message.path))
        self.grasps.setdefault(message.episode_id, grasp)
