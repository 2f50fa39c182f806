"""Announced versions on their way to the policy: fetched where they are elsewhere, loaded and probed, in one thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from rclpy.node import Node

from robot_finetune.config import ConfigError
from robot_finetune.data.layout import RECEIVED
from robot_finetune.data.remote import is_url
from robot_finetune.data.version_store import (
    Announced,
    RemoteVersions,
    VersionDamaged,
    VersionReader,
    check_way,
    forget_received,
    receive,
)
from robot_finetune.files import one_line
from robot_finetune.learning.checkpoint import CheckpointError
from robot_finetune.learning.version_switch import SwitchingPolicy
from robot_finetune.msg import ModelUpdate
from robot_finetune.robot.interfaces import RobotError
from robot_finetune.ros.conversions import message_to_version
from robot_finetune.ros.node.guarded import listen
from robot_finetune.ros.node.qos import LATCHED
from robot_finetune.ros.version_pieces import PiecesOfTrainer

PERIOD = 2.0
"""Wall seconds between two looks for what did not arrive, and for what may be new in a folder elsewhere."""


class VersionIntake:
    """Offers the policy the newest version that was announced. `run` belongs to a thread of its own.

    late: in one line, which version has not arrived and why; "" if none is missed. Until it has, the policy goes on
    with what it has.
    """

    def __init__(
        self, node: Node, policy: SwitchingPolicy, versions: str, out: Path | None, hint: Callable[[str], None]
    ) -> None:
        """versions: as the parameter. out: the output folder, where versions from elsewhere are kept. hint: takes a
        line for the operator. Raises ConfigError."""
        if check_way(versions) and out is None:
            raise ConfigError(f"versions = {versions!r}: give `out` too, the folder in which they are kept")
        self.late = ""
        self._log, self._policy, self._hint = node.get_logger(), policy, hint
        self._folder = (out or Path()) / RECEIVED
        self._announced: Announced | None = None  # the newest, until it is dealt with
        self._seen: Announced | None = None  # the newest in a folder elsewhere
        self._wake, self._closing = threading.Event(), threading.Event()
        self._remote = RemoteVersions(versions) if is_url(versions) else None
        self._reader: VersionReader | None = self._remote
        if self._remote is None:
            namespace = versions.partition(":")[2].rstrip("/")
            prefix = f"{namespace}/" if namespace else ""
            self._reader = PiecesOfTrainer(node, prefix, self._check) if versions else None
            listen(node, ModelUpdate, f"{prefix}model_update", self._on_update, LATCHED)

    def run(self) -> None:
        """Work until `close`."""
        while not self._closing.is_set():
            self._wake.wait(PERIOD if self._reader else None)
            self._wake.clear()
            self._look()

    def close(self) -> None:
        """Have `run` return."""
        self._closing.set()
        self._wake.set()

    def _check(self) -> None:
        if self._closing.is_set():
            raise RobotError("the node ends")

    def _on_update(self, message: ModelUpdate) -> None:
        self._announced = message_to_version(message)
        self._wake.set()

    def _look(self) -> None:
        """Deal with the newest announcement; what cannot be had now stays for the next look."""
        announced, what = None, "what may be new"
        try:
            if self._remote and (newest := self._remote.newest()) != self._seen:
                self._announced = self._seen = newest
            if (announced := self._announced) is not None:
                what = f"version {announced.version}"
                self._take(announced)
        except (CheckpointError, VersionDamaged) as error:
            message = f"{what} is not used, version {self._policy.version} goes on: {error}"
            self._log.error(message)
            self._hint(message)
            self.late = ""  # it has arrived
        except OSError as error:
            self._say_late(f"{what} has not arrived, version {self._policy.version} goes on: {one_line(error)}")
            return
        if self._announced is announced:
            self._announced = None
        if self.late:
            self.late = ""
            self._hint("")

    def _take(self, announced: Announced) -> None:
        start = time.perf_counter()
        folder = receive(self._reader, announced, self._folder) if self._reader else Path(announced.path)
        if self._policy.offer(folder, announced.version, announced.sha256, announced.scores):
            took = f"{(time.perf_counter() - start) * 1e3:.0f} ms"
            self._log.info(f"version {announced.version} is loaded ({took})")
        if self._reader:
            forget_received(self._folder, {known.sha256 for known in self._policy.needed()})

    def _say_late(self, message: str) -> None:
        if self._closing.is_set() or message == self.late:
            return
        self.late = message
        self._hint(message)
