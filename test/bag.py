"""Recordings as rosbag2 makes and plays them, by rclpy and the library rosbags, where there is no `ros2 bag`."""

from __future__ import annotations

import importlib
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from robot_finetune.config import share_path

OWN = "robot_finetune"


class Recorder:
    """Records topics, as (name, message class, quality of service), to a folder until it is closed."""

    def __init__(self, ros: Any, folder: Path, topics: Sequence[tuple[str, type, Any]]) -> None:
        store = get_typestore(Stores.ROS2_KILTED)
        for path in share_path("msg").glob("*.msg"):
            store.register(get_types_from_msg(path.read_text(), f"{OWN}/msg/{path.stem}"))
        self._writer = Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP)
        self._writer.open()
        self._node, self._heard = ros.node, []
        for topic, kind, qos in topics:
            name = f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"
            line = self._writer.add_connection(f"/{topic}", name, typestore=store)
            write = partial(self._write, line)
            self._heard.append(ros.node.create_subscription(kind, topic, write, qos, raw=True))

    def close(self) -> None:
        """End the recording."""
        for subscription in self._heard:
            self._node.destroy_subscription(subscription)
        self._writer.close()

    def _write(self, line: Any, data: bytes) -> None:
        self._writer.write(line, time.time_ns(), data)


def play(ros: Any, folder: Path, topics: dict[str, Any], listened: Sequence[str] = ()) -> None:
    """Publish a recording's messages of these topics (name: quality of service) at the times at which they came, as
    soon as somebody listens to those in `listened`."""
    with Reader(folder) as bag:
        lines = [line for line in bag.connections if line.topic.lstrip("/") in topics]
        publishers = {}
        for line in lines:
            package, _, name = line.msgtype.split("/")
            kind = getattr(importlib.import_module(f"{package}.msg"), name)
            topic = line.topic.lstrip("/")
            publishers[line.topic] = ros.publisher(kind, topic, topics[topic], listened=topic in listened)
        ros.spin_for(1.0)  # whoever listens becomes active
        first = begun = 0.0
        for line, stamp, data in bag.messages(lines):
            first, begun = first or stamp / 1e9, begun or time.monotonic()
            ros.spin_for(max(0.0, stamp / 1e9 - first - (time.monotonic() - begun)))
            publishers[line.topic].publish(bytes(data))
