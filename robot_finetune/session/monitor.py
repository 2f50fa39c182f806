"""The session's own node: follows what the other nodes tell, and steers the policy node as an operator would."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rclpy
from rcl_interfaces.srv import SetParameters
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions
from std_srvs.srv import Trigger

from robot_finetune.data.promotion_log import Decision
from robot_finetune.msg import EpisodeSummary, ModelUpdate, PolicyStatus, Promotion, TrainerStatus
from robot_finetune.robot.interfaces import RobotError
from robot_finetune.ros.checked import finite, plain_text
from robot_finetune.ros.constants import MODE, STATE, TRAINER_STATE
from robot_finetune.ros.conversions import check_context, message_to_version
from robot_finetune.ros.node.fast_dds import own_port
from robot_finetune.ros.node.guarded import listen
from robot_finetune.ros.node.qos import EPISODE, LATCHED
from robot_finetune.ros.node.spin import InvalidHandle, RCLError
from robot_finetune.session.record import Grasp

KEPT, MOST_GRASPS, MOST_REASONS = 10_000, 200_000, 64
"""Swaps and losses, grasps, and reasons of discarding that are remembered."""
CALL_TIMEOUT = 20.0
"""Longest wall time [s] for the answer of a service."""


class Monitor:
    """Follows a running graph; messages are handled in a thread of its own. To be closed.

    grasps: by episode id, all that were told of. swap_ms: of each change of the policy's version. losses: update, loss.
    discards: episodes that the policy discarded, by the reason. decisions: lines about versions that nobody has read
    yet.
    """

    def __init__(self, domain_id: int, idle: Callable[[], None], name: str = "session") -> None:
        """idle: called many times a second while a call waits for its answer; may raise to end the wait. name: of the
        node."""
        self._idle = idle
        self._context = rclpy.Context()
        rclpy.init(
            args=["--ros-args", "--disable-external-lib-logs"],
            context=self._context,
            domain_id=domain_id,
            signal_handler_options=SignalHandlerOptions.NO,
        )
        with own_port(domain_id):
            self.node = Node(name, context=self._context, enable_rosout=False)
        self.policy: PolicyStatus | None = None
        self.trainer: TrainerStatus | None = None
        self.update: ModelUpdate | None = None
        self.promotion: Promotion | None = None
        self.grasps: dict[str, Grasp] = {}
        self.swap_ms: deque[float] = deque(maxlen=KEPT)
        self.losses: deque[tuple[float, float]] = deque(maxlen=KEPT)
        self.discards: Counter[str] = Counter()
        self.decisions: deque[str] = deque(maxlen=KEPT)
        self._decided = ""
        self._told: Counter[str] = Counter()
        self._heard = time.monotonic()
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()
        listen(self.node, PolicyStatus, "policy_status", self._on_policy, LATCHED)
        listen(self.node, TrainerStatus, "trainer_status", self._on_trainer, LATCHED)
        listen(self.node, ModelUpdate, "model_update", self._on_update, LATCHED)
        listen(self.node, Promotion, "promotion", self._on_promotion, LATCHED)
        listen(self.node, EpisodeSummary, "episode_summary", self._on_summary, EPISODE)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    @property
    def policy_state(self) -> str:
        """State of the policy node, "" if it has told nothing yet."""
        return STATE.name(self.policy.state) if self.policy is not None else ""

    @property
    def trainer_state(self) -> str:
        """State of the trainer, "" if it has told nothing yet."""
        return TRAINER_STATE.name(self.trainer.state) if self.trainer is not None else ""

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

    def offers(self, service: str) -> bool:
        """Whether a node answers to a Trigger service, or to set_parameters; the first look only begins to find out."""
        kind = SetParameters if service.endswith("/set_parameters") else Trigger
        return bool(self._client(kind, service).service_is_ready())

    def _client(self, kind: Any, service: str) -> Any:
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self.node.create_client(kind, service)
            return self._clients[service]

    def _call(self, kind: Any, service: str, request: Any, timeout: float = CALL_TIMEOUT) -> Any:
        client = self._client(kind, service)
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
        try:
            self._executor.spin()
        except (ExternalShutdownException, RCLError, InvalidHandle):
            if self._context.ok():  # not merely what the end has just invalidated
                raise

    def _on_policy(self, message: PolicyStatus) -> None:
        STATE.name(message.state)
        told = _discards_of(message)
        again = sum(told.values()) < sum(self._told.values())  # a policy that was started again counts from 0
        self.discards = self.discards + (told if again else told - self._told)
        self._told = told
        if self.policy is not None and message.policy_version != self.policy.policy_version:
            self.swap_ms.append(_finite(message.swap_ms, "swap_ms"))
        self.policy = message
        self._heard = time.monotonic()

    def _on_trainer(self, message: TrainerStatus) -> None:
        TRAINER_STATE.name(message.state)
        newer = message.updates and (not self.losses or message.updates > self.losses[-1][0])
        if newer and math.isfinite(message.loss):  # a trainer that has just been started again does not know it yet
            self.losses.append((message.updates, float(message.loss)))
        self.trainer = message

    def _on_update(self, message: ModelUpdate) -> None:
        message_to_version(message)
        self.update = message

    def _on_promotion(self, message: Promotion) -> None:
        decision = plain_text(message.decision, "decision")
        line = Decision(decision, message.decision_version, reason=plain_text(message.reason, "reason", 1000)).told
        if decision and line != self._decided:
            self._decided = line
            self.decisions.append(line)
        self.promotion = message

    def _on_summary(self, message: EpisodeSummary) -> None:
        check_context(message)
        path = Path(plain_text(message.path, "path of an episode", 4096))
        if len(self.grasps) >= MOST_GRASPS:
            raise ValueError(f"more than {MOST_GRASPS} grasps in one session")
        grasp = Grasp(
            message.episode_id,
            MODE.name(message.mode),
            message.policy_version,
            bool(message.success),
            _finite(message.confidence, "confidence"),
            bool(message.contradiction),
            message.end_reason,
            path=path,
            number=message.number,
            interventions=message.interventions,
        )
        self.grasps.setdefault(message.episode_id, grasp)


def _finite(value: float, what: str) -> float:
    return float(finite([value], what, 0.0, 1e9, 1)[0])


def _discards_of(message: PolicyStatus) -> Counter[str]:
    """Discarded episodes by the reason. Raises ValueError for lists that do not belong together."""
    reasons, counts = message.discard_reasons, message.discard_counts
    if len(reasons) != len(counts) or len(reasons) > MOST_REASONS:
        raise ValueError(f"{len(reasons)} discard_reasons and {len(counts)} discard_counts")
    return Counter({plain_text(reason, "discard reason"): int(n) for reason, n in zip(reasons, counts, strict=True)})
