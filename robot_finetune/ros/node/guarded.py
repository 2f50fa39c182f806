"""Subscriptions to what others publish: a message that cannot be used is dropped, counted and told of; it ends nothing.

Every subscription to outside data is made by `listen`. Its callback raises ValueError (or another of our errors) for a
message that it cannot use, and changes nothing before it has checked it.
"""

from __future__ import annotations

import functools
import time
import traceback
from collections import Counter
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.qos import QoSProfile

from robot_finetune.files import one_line
from robot_finetune.robot.interfaces import RobotError

SAY_EVERY = 10.0
"""Wall seconds between two lines about dropped messages of one topic."""
LONGEST = 400
"""Characters of a cause that are told."""
SHUTDOWN: Any = rclpy_implementation.RCLError
"""A publisher that the shutdown has just invalidated: for `run_node`, no matter of the message."""


class _Drops:
    """Counts dropped messages by topic, and says so at most once in a while."""

    def __init__(self, node: Node) -> None:
        self._logger = node.get_logger()
        self._said: dict[str, float] = {}
        self.counts: Counter[str] = Counter()

    def add(self, topic: str, error: Exception) -> None:
        self.counts[topic] += 1
        now = time.monotonic()
        if now - self._said.get(topic, -SAY_EVERY) < SAY_EVERY:
            return
        self._said[topic] = now
        known = isinstance(error, (ValueError, RobotError, OSError))
        cause = one_line(error, LONGEST) if known else traceback.format_exc()  # a defect of ours
        self._logger.warning(f"a message of {topic} is dropped ({self.counts[topic]} so far): {cause}")


_DROPS: WeakKeyDictionary[Node, _Drops] = WeakKeyDictionary()


def listen(node: Node, kind: Any, topic: str, callback: Callable[..., object], qos: QoSProfile, **options: Any) -> Any:
    """A subscription whose callback may fail: then the message is dropped and counted. Returns the subscription."""
    drops = _DROPS.setdefault(node, _Drops(node))
    names = [topic]

    @functools.wraps(callback)  # rclpy looks at how many arguments it takes
    def guarded(*arguments: Any) -> None:
        try:
            callback(*arguments)
        except SHUTDOWN:
            raise
        except Exception as error:
            drops.add(names[-1], error)

    subscription = node.create_subscription(kind, topic, guarded, qos, **options)
    names.append(subscription.topic_name)
    return subscription


def dropped(node: Node) -> dict[str, int]:
    """How many messages of each topic this node has dropped, as "dropped_<topic>"."""
    drops = _DROPS.get(node)
    return {f"dropped_{topic.lstrip('/')}": count for topic, count in drops.counts.items()} if drops else {}
