"""Goals of an action server, started and awaited by a worker thread while another thread spins the node."""

from __future__ import annotations

import importlib
import threading
import time
from typing import Any

from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient
from rclpy.node import Node

from robot_finetune.needs import apt_cure
from robot_finetune.robot.interfaces import RobotError
from robot_finetune.ros.node.waiting import Check, no_check

SERVER_TIMEOUT = 2.0
"""Wall seconds within which an action server has to be found."""

STATUS_NAMES = {
    GoalStatus.STATUS_SUCCEEDED: "succeeded",
    GoalStatus.STATUS_CANCELED: "canceled",
    GoalStatus.STATUS_ABORTED: "aborted",
}


def interface(module: str, name: str, key: str, package: str = "") -> Any:
    """A type of a package that not every robot needs, for instance of control_msgs.action.

    key: what in the robot profile asks for it. package: if it is not called as its module is. Raises RobotError that
    names the package to install.
    """
    package = package or module.partition(".")[0]
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError):
        raise RobotError(f"{key} needs {package} with {name}: {apt_cure(package)}") from None


class SentGoal:
    """A goal on its way. finished: set once it was rejected or has ended with any status.

    status: of action_msgs/GoalStatus, STATUS_UNKNOWN until it has ended. result: the action's result, None if rejected.
    """

    def __init__(self) -> None:
        self.finished = threading.Event()
        self.status = GoalStatus.STATUS_UNKNOWN
        self.result: Any = None
        self.rejected = False
        self._handle: Any = None  # the client itself holds it weakly
        self._unwanted = False

    @property
    def status_name(self) -> str:
        """How it ended, in a word."""
        return "rejected" if self.rejected else STATUS_NAMES.get(self.status, "unknown")

    def cancel(self) -> None:
        """Ask for its end, as soon as the server has accepted it. For any thread."""
        self._unwanted = True
        if self._handle is not None and not self.finished.is_set():
            self._handle.cancel_goal_async()

    def _answered(self, future: Any) -> None:
        handle = future.result()
        if not handle.accepted:
            self.rejected = True
            self.finished.set()
            return
        self._handle = handle
        if self._unwanted:
            handle.cancel_goal_async()
        handle.get_result_async().add_done_callback(self._ended)

    def _ended(self, future: Any) -> None:
        answer = future.result()
        self.status, self.result = answer.status, answer.result
        self.finished.set()


class ActionCaller:
    """Sends goals to one action server."""

    def __init__(self, node: Node, kind: Any, name: str, cure: str) -> None:
        """kind: the action type. cure: what to look after if there is no server."""
        self._client: ActionClient[Any, Any, Any] = ActionClient(node, kind, name)
        self.name = name
        self._cure = cure

    def start(self, goal: Any, check: Check = no_check) -> SentGoal:
        """Send `goal` and return at once. Raises RobotError if no server is found within SERVER_TIMEOUT."""
        deadline = time.monotonic() + SERVER_TIMEOUT
        while not self._client.server_is_ready():
            check()
            if time.monotonic() > deadline:
                raise RobotError(f"no action server {self.name}: {self._cure}")
            time.sleep(0.01)
        sent = SentGoal()
        self._client.send_goal_async(goal).add_done_callback(sent._answered)
        return sent
