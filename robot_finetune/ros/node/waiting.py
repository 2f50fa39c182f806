"""Waits of a worker thread for what callbacks store: bounded in wall time, so that a dead driver never blocks a robot.

Callbacks run on the executor's thread and only store a message and notify; the worker thread waits here. Every wait
calls `check`, which raises to interrupt it (emergency stop, shutdown).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from rclpy.clock import ClockType
from rclpy.node import Node

from robot_finetune.robot.interfaces import RobotError

POLL = 0.1
"""Longest wall time [s] between two calls of `check` while a message is awaited."""
CLOCK_POLL = 0.002
"""Wall time [s] between two looks at a simulated clock."""
SET_BACK = 1.0
"""A simulated clock this far [s] behind the newest message is a new simulation, not a late /clock."""

Check = Callable[[], None]


def no_check() -> None:
    """Interrupts nothing."""


def wait_for(
    condition: threading.Condition, ready: Callable[[], bool], timeout: float, check: Check = no_check
) -> bool:
    """Wait until `ready()` holds, at most `timeout` wall seconds; the caller holds `condition`. Returns `ready()`."""
    deadline = time.monotonic() + timeout
    while not ready():
        check()
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        condition.wait(min(left, POLL))
    return True


def require_listener(publisher: Any, timeout: float, cure: str, check: Check = no_check) -> None:
    """Raise RobotError unless somebody subscribes to `publisher` within `timeout` wall seconds."""
    deadline = time.monotonic() + timeout
    while publisher.get_subscription_count() == 0:
        check()
        if time.monotonic() > deadline:
            raise RobotError(f"nobody listens on {publisher.topic_name}: {cure}")
        time.sleep(0.01)


class RosClock:
    """The robot's clock: the node's own, simulated where the parameter use_sim_time is set. Thread-safe.

    Messages of a simulation may overtake its /clock: it is never earlier than the newest stamp that `observe` was told.
    """

    def __init__(self, node: Node, timeout: float = 5.0, check: Check = no_check) -> None:
        """timeout: wall seconds for which a simulated clock may stand still while it is slept on."""
        self._clock = node.get_clock()
        self._timeout = timeout
        self._check = check
        self._observed = 0.0
        self._lock = threading.Lock()
        self._elapsed, self._counted = 0.0, 0.0

    @property
    def simulated(self) -> bool:
        return self._clock.clock_type == ClockType.ROS_TIME and bool(getattr(self._clock, "ros_time_is_active", False))

    def now(self) -> float:
        """Robot time [s]; 0 before the first message of a simulation."""
        now = self._clock.now().nanoseconds * 1e-9
        if not self.simulated or self._observed - now > SET_BACK:
            return now
        return max(now, self._observed)

    def elapsed(self) -> float:
        """Steady seconds: of the computer, or of a simulation whatever its clock is set to."""
        if not self.simulated:
            return time.monotonic()
        with self._lock:
            now = self.now()
            self._elapsed += max(0.0, now - self._counted)
            self._counted = now
            return self._elapsed

    def observe(self, stamp: float) -> None:
        """A message with this stamp [s] has come; called on the executor's thread."""
        self._observed = stamp

    def sleep(self, seconds: float) -> None:
        """Wait until `elapsed` has advanced by `seconds`. Raises RobotError if a simulated clock stands still."""
        self.wait(threading.Event(), seconds)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until `event` is set, at most until `elapsed` has advanced by `seconds`. Returns whether it is set.

        Raises RobotError if a simulated clock stands still.
        """
        poll = CLOCK_POLL if self.simulated else POLL
        seen = start = self.elapsed()
        end = start + seconds
        changed = time.monotonic()
        while not event.is_set() and (now := self.elapsed()) < end:
            self._check()
            if now != seen:
                seen, changed = now, time.monotonic()
            elif time.monotonic() - changed > self._timeout:
                raise RobotError(f"no /clock for {self._timeout:.1f} s: is sim_cell running?")
            event.wait(max(0.0, min(poll, end - now)) if not self.simulated else poll)
        return event.is_set()
