"""Versions of the Q-network over DDS, in pieces that the policy asks for one by one: the service of the trainer, and
the caller in the policy. What is lost is asked for again; neither side holds more than a piece in memory."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from pathlib import Path

from rclpy.node import Node

from robot_finetune.config import ConfigError
from robot_finetune.data.version_store import Announced, read_piece
from robot_finetune.files import one_line
from robot_finetune.robot.interfaces import RobotError
from robot_finetune.ros.checked import shown
from robot_finetune.ros.node.service_client import ServiceCaller
from robot_finetune.ros.node.waiting import Check
from robot_finetune.srv import ReadVersion

TRAINER, SERVICE = "trainer", "read_version"


def offer_pieces(node: Node, folder_of: Callable[[int], Path]) -> None:
    """The service `~/read_version`. folder_of: where the trainer keeps a version."""

    def answer(asked: ReadVersion.Request, response: ReadVersion.Response) -> ReadVersion.Response:
        announced = Announced(str(folder_of(asked.version)), asked.version, asked.sha256)
        try:
            data, response.size = read_piece(folder_of(asked.version), announced, asked.file, asked.offset)
            response.data = array("B", data)
        except (ConfigError, OSError, ValueError) as error:
            response.message = one_line(error)
        return response

    node.create_service(ReadVersion, f"~/{SERVICE}", answer)


class PiecesOfTrainer:
    """The VersionReader of a policy. namespace: of the trainer, "" for the policy's own."""

    def __init__(self, node: Node, namespace: str, check: Check) -> None:
        """check: called many times a second while a piece is waited for; raises RobotError to end the wait."""
        name = "/".join((*filter(None, (namespace.rstrip("/"),)), TRAINER, SERVICE))
        cure = "does the trainer run, and is it reached from this computer?"
        self._pieces, self._check = ServiceCaller(node, ReadVersion, name, cure), check

    def read(self, announced: Announced, file: str, offset: int) -> tuple[bytes, int]:
        """As a VersionReader does."""
        try:
            response = self._pieces.call(
                self._check, version=announced.version, sha256=announced.sha256, file=file, offset=offset
            )
        except RobotError as error:
            raise OSError(str(error)) from error
        if response.message:
            raise OSError(f"the trainer has no such piece: {shown(response.message, 300)}")
        return bytes(response.data), int(response.size)
