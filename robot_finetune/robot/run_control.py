"""Whether the robot grasps: what an operator asks for, followed by the thread that runs the episodes."""

from __future__ import annotations

import threading
from collections.abc import Callable

from robot_finetune.robot.interfaces import RobotError
from robot_finetune.robot.safety import EmergencyStop

IDLE, RUNNING, PAUSED, STOPPED, ERROR = "idle", "running", "paused", "stopped", "error"
EMERGENCY = "emergency stop; call ~/reset_emergency_stop when it is safe, then ~/start"


class RequestRefused(RuntimeError):
    """A request that cannot be granted now; the message says why and what to do."""


class RunControl:
    """States idle, running, paused, stopped, error. Thread-safe.

    A pause lets the running episode end, a stop discards it with the arm stopped where it is, an emergency stop does
    so and refuses to start until it is reset. changed: called after every change, outside of locks.
    """

    def __init__(self, stop: EmergencyStop, changed: Callable[[], None] = lambda: None) -> None:
        self._stop = stop
        self._changed = changed
        self._condition = threading.Condition()
        self._state, self._reason, self._hint = IDLE, "", ""
        self._emergency = False
        self._closed = False

    @property
    def state(self) -> str:
        return self._state

    @property
    def message(self) -> str:
        """Why the state is what it is, or a hint, in one line."""
        return "; ".join(filter(None, (self._reason, self._hint)))

    def ready(self) -> None:
        """Wait for `start`, whatever was before; a latched emergency stop stays latched."""
        self._set(*((STOPPED, EMERGENCY) if self._emergency else (IDLE, "")))

    def start(self) -> None:
        """Run, or go on. Raises RequestRefused while an emergency stop is latched."""
        if self._emergency:
            raise RequestRefused("emergency stop is latched: call ~/reset_emergency_stop when it is safe, then ~/start")
        self._stop.reset()
        self._set(RUNNING, "")

    def pause(self) -> None:
        """Wait after the running episode. Raises RequestRefused if nothing runs."""
        if self._state != RUNNING:
            raise RequestRefused(f"nothing to pause: the state is {self._state}")
        self._set(PAUSED, "paused by the operator; ~/start goes on")

    def stop(self, message: str = "stopped by the operator; ~/start goes on") -> None:
        """Stop the arm where it is and discard the running episode. Raises RobotError if the arm does not answer."""
        self._halt(message)

    def emergency_stop(self) -> None:
        """Like `stop`, and refuse to start until `reset_emergency_stop`."""
        self._emergency = True
        self._halt(EMERGENCY)

    def reset_emergency_stop(self) -> None:
        """Allow `start` again. Raises RequestRefused if no emergency stop is latched."""
        if not self._emergency:
            raise RequestRefused("no emergency stop is latched")
        self._emergency = False
        self._set(IDLE, "emergency stop was reset; ~/start goes on")

    def finish(self, message: str) -> None:
        """The episodes that were asked for are done."""
        self._set(IDLE, message, self._running)

    def fail(self, message: str) -> None:
        """The robot cannot go on without help."""
        self._set(ERROR, message, self._running)

    def hint(self, message: str) -> None:
        """Tell something beside the reason of the state, until that changes or there is another hint."""
        with self._condition:
            self._hint = message
        self._changed()

    def hold(self, message: str) -> bool:
        """Wait for something else than the operator: running becomes paused; False in any other state."""
        return self._set(PAUSED, message, self._running)

    def held(self, message: str) -> bool:
        """Whether `hold(message)` still holds: no operator has decided otherwise since."""
        return (self._state, self._reason) == (PAUSED, message)

    def release(self, message: str) -> None:
        """What `hold(message)` waited for has come."""
        self._set(RUNNING, "", lambda: self.held(message))

    def close(self) -> None:
        """The process ends: wakes and ends every wait."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def wait_running(self) -> bool:
        """Block until the state is running; False once closed."""
        with self._condition:
            self._condition.wait_for(lambda: self._closed or self._state == RUNNING)
            return not self._closed

    @property
    def interrupted(self) -> bool:
        """Whether a running episode has to end: stopped, emergency stop, or closed."""
        return self._closed or self._stop.tripped

    def check(self) -> None:
        """Raises RobotError when interrupted; called in every wait of the robot."""
        if self._closed:
            raise RobotError("the process is shutting down")
        if self._stop.tripped:
            raise RobotError(self._reason)

    def _halt(self, message: str) -> None:
        with self._condition:  # the worker, which the stop interrupts, must not find itself running
            self._state, self._reason, self._hint = STOPPED, message, ""
        try:
            self._stop.trip(message)  # the arm first, then whoever wants to know
        finally:
            self._changed()

    def _running(self) -> bool:
        return self._state == RUNNING

    def _set(self, state: str, reason: str, allowed: Callable[[], bool] = lambda: True) -> bool:
        """Change the state, unless it is one in which that is not allowed; returns whether it was."""
        with self._condition:
            if not allowed():
                return False
            self._state, self._reason, self._hint = state, reason, ""
            self._condition.notify_all()
        self._changed()
        return True
