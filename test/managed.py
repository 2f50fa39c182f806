"""What a lifecycle manager asks of a node; `manage` is a fixture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


class Managed:
    """A managed node in another process. events: the states that it has been seen to go to."""

    def __init__(self, ros: Any, name: str) -> None:
        from diagnostic_msgs.msg import DiagnosticArray
        from lifecycle_msgs.msg import TransitionEvent

        from robot_finetune.ros.node.qos import COMMAND

        self._ros, self._name = ros, name
        self._events = ros.collect(TransitionEvent, f"{name}/transition_event", COMMAND)
        self._diagnostics = ros.collect(DiagnosticArray, "/diagnostics", COMMAND)

    @property
    def events(self) -> list[str]:
        return [event.goal_state.label for event in self._events]

    @property
    def state(self) -> str:
        from lifecycle_msgs.srv import GetState

        return self._ros.call(GetState, f"{self._name}/get_state").current_state.label

    def ask(self, transition: str) -> bool:
        """Ask for a transition; returns whether it succeeded."""
        from lifecycle_msgs.msg import Transition
        from lifecycle_msgs.srv import ChangeState

        wanted = Transition(label=transition)
        return self._ros.call(ChangeState, f"{self._name}/change_state", transition=wanted).success

    def go(self, *transitions: str) -> None:
        """Ask for transitions, which have to succeed."""
        for transition in transitions:
            assert self.ask(transition), f"{transition} of {self._name}, which is {self.state}"

    def rest(self) -> None:
        """Wait until the inactive node has dealt with what it was sent: until two reports of its health later."""

        def reports() -> list[str]:
            statuses = [array.status[0] for array in self._diagnostics]
            return [status.message for status in statuses if status.name == self._name]

        count = len(reports())
        self._ros.wait_until(lambda: len(reports()) > count + 1, f"two reports of {self._name}")
        assert reports()[-1] == "inactive"


@pytest.fixture
def manage(ros: Any) -> Callable[[str], Managed]:
    return lambda name: Managed(ros, name)
