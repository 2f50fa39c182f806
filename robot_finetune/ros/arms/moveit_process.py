"""The process in which MoveIt runs, seen from the process that asks it for motions.

moveit_py holds Python's lock while it plans, and can crash when it is torn down; both would take the policy along if it
ran there. This process sends it requests through a pipe and waits, and only a stop overtakes a request.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from robot_finetune.robot.interfaces import RobotError
from robot_finetune.ros.node.waiting import POLL, Check, no_check

MODULE = "robot_finetune.ros.arms.moveit_planner"
END_TIMEOUT = 5.0
"""Wall seconds that MoveIt has for its end before it is killed."""


@dataclass(frozen=True)
class Setup:
    """What MoveIt is started with. profile: as plain data. namespace, joint_states: absolute names."""

    profile: dict[str, Any]
    namespace: str
    joint_states: str
    use_sim_time: bool


@dataclass(frozen=True)
class Request:
    """A motion from where the arm is at `now` [ns, robot time]: to a pose in a straight line, or to joint positions.

    pose: x, y, z [m] and quaternion x, y, z, w of the tip in the base frame. joints: [rad], in the profile's order.
    """

    number: int
    now: int
    pose: tuple[float, ...] = ()
    joints: tuple[float, ...] = ()


@dataclass(frozen=True)
class Stop:
    """The request under way is not to be executed."""


@dataclass(frozen=True)
class Planned:
    """The request's motion begins now and takes `duration` [s]."""

    number: int
    duration: float


@dataclass(frozen=True)
class Answer:
    """How a request ended; number 0: the start.

    reason: as in MoveResult, or aborted: execution failed. error: what no other motion mends.
    """

    number: int
    reason: str = ""
    error: str = ""


class MoveItProcess:
    """Starts MoveIt when it is first needed, and again after it has ended. `run` for one thread, `stop` for any."""

    def __init__(self, setup: Setup, ready_timeout: float, check: Check = no_check) -> None:
        """ready_timeout: wall seconds that MoveIt may take to load. check: interrupts waits by raising."""
        self._setup, self._ready_timeout, self._check = setup, ready_timeout, check
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._ready, self._pending = False, 0

    def start(self) -> None:
        """Start MoveIt if it does not run; it loads while others start too."""
        if self._process is not None:
            return
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", MODULE, str(theirs.fileno())]
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], start_new_session=True)
        self._connection, self._ready = Connection(ours.detach()), False
        self._send(self._setup)

    def run(self, request: Request, planning: float, patience: float) -> Answer:
        """Have `request` planned and executed. Raises RobotError if MoveIt is missing, fails, or does not answer.

        planning: wall seconds that planning may take. patience: wall seconds beyond a motion's tenfold duration.
        """
        self.start()
        if not self._ready:
            self._checked(self._receive(0, self._ready_timeout, "has not loaded"))
            self._ready = True
        self._pending = request.number
        self._send(request)
        reply = self._receive(request.number, planning, "has not planned a motion")
        if isinstance(reply, Planned):
            reply = self._receive(request.number, 10 * reply.duration + patience, "has not ended a motion")
        return self._checked(reply)

    def stop(self) -> None:
        """The request under way is not executed if it is still planned. A motion that runs needs the event topic."""
        self._send(Stop())

    def settle(self, stop: Callable[[], None]) -> None:
        """Repeat `stop` until a request that nobody waits for any more has ended, so that no motion begins after it."""
        deadline = time.monotonic() + END_TIMEOUT
        while self._pending and self._connection is not None and time.monotonic() < deadline:
            stop()
            try:
                if self._connection.poll(POLL):
                    self._ended(self._connection.recv())
            except (EOFError, OSError):
                self.close()

    def close(self) -> None:
        """End MoveIt, which stops what it executes; kill it if it hangs."""
        process, connection = self._process, self._connection
        self._process, self._connection, self._pending = None, None, 0
        if connection is not None:
            connection.close()
        if process is not None:
            try:
                process.wait(END_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _send(self, message: object) -> None:
        with self._lock:
            try:
                if self._connection is not None:
                    self._connection.send(message)
            except OSError:  # it has ended; whoever waits for an answer reads that
                pass

    def _receive(self, number: int, timeout: float, failure: str) -> Planned | Answer:
        """The next reply to a request, past those to earlier ones."""
        connection, process = self._connection, self._process
        assert connection is not None and process is not None
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            self._check()
            try:
                if connection.poll(POLL):
                    reply = self._ended(connection.recv())
                    if reply.number == number:
                        return reply
            except (EOFError, OSError):
                self.close()
                cause = _exit(process.returncode)
                raise RobotError(f"MoveIt has ended with {cause}: its output says why; it is started again") from None
        raise RobotError(f"MoveIt {failure} within {timeout:.0f} s: its output says why")

    def _ended(self, reply: Planned | Answer) -> Planned | Answer:
        if isinstance(reply, Answer) and reply.number == self._pending:
            self._pending = 0
        return reply

    def _checked(self, reply: Planned | Answer) -> Answer:
        assert isinstance(reply, Answer)
        if reply.error:
            if reply.number == 0:
                self.close()
            raise RobotError(reply.error)
        return reply


def _exit(code: int | None) -> str:
    return f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"
