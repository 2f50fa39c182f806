"""A ROS 2 managed node: the four states and their transitions, the same for each of our nodes.

unconfigured: only the parameters are there, to be set. inactive: everything is loaded and connected, and does nothing.
active: at work. finalized: everything is released; only the end of the process is left.
"""

from __future__ import annotations

import functools
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, ClassVar

from rclpy.action import ActionClient, ActionServer
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from robot_finetune.config import setting
from robot_finetune.ros.node.diagnostics import Diagnostics, Health
from robot_finetune.ros.node.parameters import declare_parameters
from robot_finetune.ros.node.spin import START_ERRORS, run_node

SUCCESS, FAILURE, ERROR = (getattr(TransitionCallbackReturn, name) for name in ("SUCCESS", "FAILURE", "ERROR"))

NOT_ACTIVE = "the node is inactive: activate it first (`ros2 lifecycle set`)"
"""Why an inactive node refuses what it is asked for."""


@dataclass(frozen=True)
class ManagedParameters:
    """Parameters of every managed node."""

    bring_up: bool = setting(True, "configure and activate by itself; false leaves that to a lifecycle manager")


class ManagedNode(LifecycleNode):
    """Subclasses give `configure`, `activate`, `deactivate` and `health`, all called on the executor's thread.

    An exception in ERRORS is a user's to cure: the transition fails with one line and can be asked for again. Any other
    is a defect of the program: what was configured is released.
    """

    NAME: ClassVar[str]
    PARAMETERS: ClassVar[type]
    MUTABLE: ClassVar[Sequence[str]] = ()
    """Parameters that may be set at any time; the others only while the node is unconfigured."""
    ERRORS: ClassVar[tuple[type[Exception], ...]] = START_ERRORS
    HEALTH_PERIOD: ClassVar[float] = 1.0

    def __init__(self) -> None:
        super().__init__(self.NAME)
        self.active = False
        self._configured = False
        self._undo = ExitStack()
        self._threads: list[threading.Thread] = []
        self._own: dict[Any, Callable[[Any], object]] = {}
        self._by_itself = declare_parameters(self, ManagedParameters).bring_up
        self._cause: Exception | None = None
        declare_parameters(self, self.PARAMETERS, self.MUTABLE, lambda: self._configured)

    # For subclasses

    def configure(self) -> None:
        """Read the parameters; load, check and connect everything."""
        raise NotImplementedError

    def activate(self) -> None:
        """Begin to work, where it takes more than `active`, which is on already."""

    def deactivate(self) -> None:
        """End what `activate` began; `active` is off already. Raises nothing that a user has to cure."""

    def halt(self) -> None:
        """The process ends: what must not go on without it ends at once. For any thread, at any time."""

    def health(self) -> Health:
        """How the active node is."""
        return Health()

    def while_active(self, callback: Callable[..., None]) -> Callable[..., None]:
        """`callback`, deaf while the node is inactive."""

        @functools.wraps(callback)
        def gate(*arguments: Any) -> None:
            if self.active:
                callback(*arguments)

        return gate

    def at_close(self, undo: Callable[[], object]) -> None:
        """Have `undo` called when the node is cleaned up or its process ends; the last one first."""
        self._undo.callback(undo)

    def start_thread(self, work: Callable[[], None], stop: Callable[[], object], patience: float = 5.0) -> None:
        """Run `work` in a thread of its own. stop: makes it return, within `patience` wall seconds."""
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        self._undo.callback(thread.join, patience)
        self._undo.callback(stop)
        thread.start()

    # Life

    def bring_up(self) -> None:
        """Configure and activate, unless that is left to somebody else. Raises what either raises."""
        if self._by_itself:
            for trigger in (self.trigger_configure, self.trigger_activate):
                if trigger() != SUCCESS:
                    assert self._cause is not None
                    raise self._cause
            self._by_itself = False

    def close(self) -> None:
        """End threads and let go of devices; at the end of the process too."""
        self._undo.close()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        there = self._entities()
        outcome = self._attempt("configured", self._configure)
        self._own = {entity: destroy for entity, destroy in self._entities().items() if entity not in there}
        self._configured = True
        if outcome == FAILURE:
            self._release()
        return outcome

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.active = True
        outcome = self._attempt("activated", self.activate)
        self.active = outcome == SUCCESS
        if self.active:
            self.get_logger().info("active")
        return outcome

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.active = False
        return self._attempt("deactivated", self.deactivate)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._release()

    on_shutdown = on_error = on_cleanup

    def _configure(self) -> None:
        self.configure()
        inactive = Health(message="inactive")
        Diagnostics(self, lambda: self.health() if self.active else inactive, self.HEALTH_PERIOD)

    def _attempt(self, done: str, step: Callable[[], None]) -> TransitionCallbackReturn:
        try:
            step()
        except Exception as error:
            self._cause = error
            curable = isinstance(error, self.ERRORS)
            if not self._by_itself:  # else `bring_up` raises it
                what = " ".join(str(error).split()) if curable else traceback.format_exc()
                self.get_logger().error(f"not {done}: {what}")
            return FAILURE if curable else ERROR
        return SUCCESS

    def _release(self) -> TransitionCallbackReturn:
        """Undo `configure` and `activate`; not while a thread still works, which has been told to end."""
        if self.active:
            self.active = False
            self._attempt("deactivated", self.deactivate)
        self.close()
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        if self._threads:
            self.get_logger().error("a thread has not ended yet: try again, or end this process")
            return FAILURE
        while self._own:
            entity, destroy = self._own.popitem()
            destroy(entity)
        self._configured = False
        return SUCCESS

    def _entities(self) -> dict[Any, Callable[[Any], object]]:
        """All that the node communicates by, and its timers, each with what destroys it."""
        kinds: tuple[tuple[Any, Callable[[Any], object]], ...] = (
            (self.publishers, self.destroy_publisher),
            (self.subscriptions, self.destroy_subscription),
            (self.services, self.destroy_service),
            (self.clients, self.destroy_client),
            (self.timers, self.destroy_timer),
            *(
                ((item for item in self.waitables if isinstance(item, kind)), kind.destroy)
                for kind in (ActionClient, ActionServer)
            ),
        )
        return {entity: destroy for entities, destroy in kinds for entity in entities}


def run_managed_node(kind: type[ManagedNode], args: Sequence[str] | None = None) -> int:
    """Run a managed node until it is stopped. Returns the exit code of the process."""
    return run_node(kind, args, kind.ERRORS, ManagedNode.bring_up)
