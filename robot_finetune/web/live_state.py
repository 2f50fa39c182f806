"""What is known of a running graph at one moment, and what an operator may do to it then. Needs no ROS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from robot_finetune.robot.run_control import EMERGENCY, ERROR, IDLE, PAUSED, RUNNING, STOPPED
from robot_finetune.types import AUTO, EVALUATE, EXPLORE

SET_MODE = "policy/set_parameters"
"""The service behind explore, evaluate, auto and the variation."""
VARIATION = "variation"
"""The button that takes a value: the name of a variation."""
SILENT = 5.0
"""Wall seconds after which a node that reports every second counts as silent."""


@dataclass(frozen=True)
class NodeHealth:
    """The newest diagnostics of a node. age: wall seconds since."""

    name: str
    level: str
    message: str
    values: dict[str, str]
    age: float


@dataclass(frozen=True)
class LiveState:
    """why: why there is no graph, "" if there is one. age: wall seconds since anything was heard. policy, trainer,
    trial: what the nodes told last, {} if nothing yet. image: number of the newest one, 0 without; overlay: whether the
    decision is drawn into it. q: of the newest grasp's decisions, None without a network. judged: grasps whose three
    images are here. offered: services that are there."""

    why: str = ""
    age: float = 0.0
    policy: dict[str, Any] = field(default_factory=dict)
    trainer: dict[str, Any] = field(default_factory=dict)
    trial: dict[str, Any] = field(default_factory=dict)
    nodes: tuple[NodeHealth, ...] = ()
    image: int = 0
    overlay: bool = False
    q: tuple[float | None, ...] = ()
    judged: tuple[str, ...] = ()
    offered: frozenset[str] = frozenset()

    @property
    def state(self) -> str:
        """Of the policy node."""
        return str(self.policy.get("state", ""))

    @property
    def emergency(self) -> bool:
        """Whether an emergency stop is latched."""
        return self.state == STOPPED and EMERGENCY in str(self.policy.get("message", ""))


@dataclass(frozen=True)
class Button:
    """service: that it calls. reason: why it cannot be pressed now, "" if it can."""

    service: str
    reason: str = ""


def buttons(live: LiveState) -> dict[str, Button]:
    """All buttons by the name of what they do."""
    return {name: Button(service, _reason(live, service, check)) for name, (service, check) in _BUTTONS.items()}


def _reason(live: LiveState, service: str, check: Callable[[LiveState], str]) -> str:
    if live.why:
        return live.why
    missing = service not in live.offered
    return f"no node offers {service} now" if missing and service != EMERGENCY_STOP else check(live)


def _start(live: LiveState) -> str:
    if live.emergency:
        return "an emergency stop is latched: reset it first, when it is safe"
    return "" if live.state in (IDLE, PAUSED, STOPPED, ERROR) else f"the state is {live.state or 'unknown'}"


def _pause(live: LiveState) -> str:
    return "" if live.state == RUNNING else f"nothing to pause: the state is {live.state or 'unknown'}"


def _reset(live: LiveState) -> str:
    return "" if live.state == STOPPED else "no emergency stop is latched"


def _promote(live: LiveState) -> str:
    return "" if live.trial.get("candidate") else "no version is on trial"


def _mode(mode: str) -> Callable[[LiveState], str]:
    return lambda live: f"the mode is {mode} already" if live.policy.get("mode") == mode else ""


def _always(live: LiveState) -> str:
    return ""


EMERGENCY_STOP = "policy/emergency_stop"
_BUTTONS: dict[str, tuple[str, Callable[[LiveState], str]]] = {
    "emergency_stop": (EMERGENCY_STOP, _always),
    "reset_emergency_stop": ("policy/reset_emergency_stop", _reset),
    "start": ("policy/start", _start),
    "pause": ("policy/pause", _pause),
    "stop": ("policy/stop", _always),
    "promote": ("policy/promote", _promote),
    "rollback": ("policy/rollback", _always),
    EXPLORE: (SET_MODE, _mode(EXPLORE)),
    EVALUATE: (SET_MODE, _mode(EVALUATE)),
    AUTO: (SET_MODE, _always),
    VARIATION: (SET_MODE, _always),
}
SERVICES = tuple(dict.fromkeys(service for service, _ in _BUTTONS.values()))
"""All services that the buttons call."""
