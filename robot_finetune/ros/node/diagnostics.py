"""Health of a node on /diagnostics, once a second of wall time, as rqt_robot_monitor and Foxglove show it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from robot_finetune.ros.node.guarded import dropped
from robot_finetune.ros.node.qos import COMMAND


class Level(Enum):
    """Levels of a DiagnosticStatus."""

    OK = DiagnosticStatus.OK
    WARN = DiagnosticStatus.WARN
    ERROR = DiagnosticStatus.ERROR


@dataclass(frozen=True)
class Health:
    """message: one line, with the cure where something is wrong. values: named measurements."""

    level: Level = Level.OK
    message: str = "ok"
    values: Mapping[str, Any] = field(default_factory=dict)


class Diagnostics:
    """Asks `check` once a `period` [s, wall time] and publishes the answer; logs a change for the worse once."""

    def __init__(self, node: Node, check: Callable[[], Health], period: float = 1.0) -> None:
        self._node = node
        self._check = check
        self._previous = Level.OK
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", COMMAND)
        self._timer = node.create_timer(period, self._publish, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _publish(self) -> None:
        health = self._check()
        if health.level is not self._previous:
            log = self._node.get_logger()  # a line of code may only ever log at one level
            if health.level is Level.ERROR:
                log.error(health.message)
            elif health.level is Level.WARN:
                log.warning(health.message)
            else:
                log.info(health.message)
            self._previous = health.level
        values = [
            KeyValue(key=key, value=str(value)) for key, value in {**health.values, **dropped(self._node)}.items()
        ]
        name = self._node.get_fully_qualified_name().lstrip("/")
        status = DiagnosticStatus(
            level=health.level.value, name=name, message=health.message, hardware_id="none", values=values
        )
        message = DiagnosticArray(status=[status])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)
