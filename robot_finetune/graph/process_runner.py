"""Runs the node graph of `bringup` as processes: starts, logs, starts again what may be started again, and ends them.

The processes get a session of their own, so that Ctrl-C reaches them only through `stop`, in order; where the system
can, they end with this process however it dies. All calls come from the main thread.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from robot_finetune.data.disk import no_room
from robot_finetune.exit_codes import MISCONFIGURED
from robot_finetune.graph.node_spec import PACKAGE, NodeSpec
from robot_finetune.robot.interfaces import RobotError
from robot_finetune.ros.environment import executable
from robot_finetune.ros.node.shared_memory import remove_orphans

HEALTHY = 10.0
"""Wall seconds after which a process counts as well started; one that dies sooner is started again more slowly."""
QUICK_DEATHS = 5
"""Deaths in a row, each before HEALTHY, after which a process is not started again."""
BACK_OFF = (0.5, 8.0)
"""Wall seconds before the second start and the most before any later one; doubled each time."""
PATIENCE = ((signal.SIGINT, 12.0), (signal.SIGTERM, 3.0), (signal.SIGKILL, 5.0))
"""How processes are asked to end, and for how many wall seconds each time."""
_ROS_PREFIX = re.compile(r"^\[(?:DEBUG|INFO|WARN|ERROR|FATAL)\] \[[\d.]+\] \[[^\]]*\]: ")


class NodeDied(RobotError):
    """A process without which a session cannot go on has ended; one line with the last thing that it said."""


@dataclass
class _Process:
    """One node: its process, and how it fared. due: when it is started again (monotonic), None if it runs."""

    spec: NodeSpec
    popen: subprocess.Popen[bytes]
    started: float
    quick_deaths: int = 0
    due: float | None = None


class ProcessRunner:
    """The processes of a node graph.

    restarts: how often each node was started again, where it was. refused: what nodes of this package said when they
    last ended by themselves with an error, by name; one line each.
    """

    def __init__(self, logs: Path, environment: Mapping[str, str], restarted: Callable[[str], None]) -> None:
        """restarted: called with one line when a process is to be started again."""
        self._logs = logs
        self._environment = dict(environment)
        self._restarted = restarted
        self._processes: dict[str, _Process] = {}
        self.restarts: dict[str, int] = {}
        self.refused: dict[str, str] = {}
        logs.mkdir(parents=True, exist_ok=True)

    def pid(self, name: str) -> int:
        """Process id of a node."""
        return self._processes[name].popen.pid

    def start(self, specs: Sequence[NodeSpec]) -> None:
        """Start the nodes. Raises ConfigError if an executable is not installed."""
        for spec in specs:
            self._log_path(spec.name).unlink(missing_ok=True)
        for spec in specs:
            self._processes[spec.name] = _Process(spec, self._spawn(spec), time.monotonic())

    def poll(self) -> None:
        """Look after the processes; to be called often. Raises NodeDied."""
        for process in self._processes.values():
            if process.due is not None:
                if time.monotonic() >= process.due:
                    self._respawn(process)
            elif process.popen.poll() is not None:
                self._bury(process)

    def stop(self, *names: str) -> None:
        """End nodes (all, without names): SIGINT, then SIGTERM, then SIGKILL."""
        chosen = [self._processes.pop(name) for name in names or list(self._processes) if name in self._processes]
        running = [process.popen for process in reversed(chosen) if process.popen.poll() is None]
        for number, patience in PATIENCE:
            for popen in running:
                popen.send_signal(number)
            deadline = time.monotonic() + patience
            while running and time.monotonic() < deadline:
                running = [popen for popen in running if popen.poll() is None]
                time.sleep(0.02)

    def cause(self, name: str) -> str:
        """The last meaningful line that a node printed; on a full disk, that it is full."""
        if full := no_room(self._logs):
            return full
        try:
            lines = self._log_path(name).read_text(errors="replace").splitlines()
        except OSError:
            return ""
        return last_meaningful_line(lines)

    def _bury(self, process: _Process) -> None:
        """A process has ended: start it again later, or raise NodeDied."""
        spec, code = process.spec, process.popen.returncode
        lived = time.monotonic() - process.started
        process.quick_deaths = process.quick_deaths + 1 if lived < HEALTHY else 1
        ended = f"{spec.name} {_exit(code)}"
        cause = self.cause(spec.name)
        if code > 0 and spec.package == PACKAGE:
            self.refused[spec.name] = f"{ended}: {cause or 'it printed nothing'}"
        hopeless = not spec.respawn or (code == MISCONFIGURED and spec.package == PACKAGE)
        if hopeless or process.quick_deaths >= QUICK_DEATHS:
            tried = "" if hopeless else f" {process.quick_deaths} times in a row"
            raise NodeDied(f"{ended}{tried}: {cause or 'it printed nothing'} (see {self._log_path(spec.name)})")
        delay = min(BACK_OFF[0] * 2 ** (process.quick_deaths - 1), BACK_OFF[1])
        process.due = time.monotonic() + delay
        self._restarted(f"{ended}; started again in {delay:g} s" + (f" ({cause})" if code > 0 and cause else ""))

    def _respawn(self, process: _Process) -> None:
        process.popen, process.started, process.due = self._spawn(process.spec), time.monotonic(), None
        name = process.spec.name
        self.restarts[name] = self.restarts.get(name, 0) + 1

    def _spawn(self, spec: NodeSpec) -> subprocess.Popen[bytes]:
        remove_orphans()  # of nodes that were killed, here or in a run before: /dev/shm is small in a container
        command = [*_end_with_parent(), *node_command(spec)]
        with self._log_path(spec.name).open("ab") as log:
            return subprocess.Popen(
                command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _log_path(self, name: str) -> Path:
        return self._logs / f"{name}.log"


def node_command(spec: NodeSpec) -> list[str]:
    """The command line of a node. Raises ConfigError if it is not installed."""
    python = [sys.executable] if spec.package == PACKAGE else []
    words = [*python, str(executable(spec.executable, spec.package)), *spec.ros_arguments()]
    return [*words, "--disable-external-lib-logs"]  # what it prints is in its own log file already


def last_meaningful_line(lines: Sequence[str]) -> str:
    """The newest line that tells of an error, or else the newest line, without the logger's prefix."""
    filled = [line.strip() for line in lines if line.strip()]
    errors = [line for line in filled if line.startswith(("error:", "[ERROR]", "[FATAL]"))]
    chosen = (errors or filled or [""])[-1]
    return _ROS_PREFIX.sub("", chosen).removeprefix("error: ")


def _exit(code: int) -> str:
    if code == MISCONFIGURED:
        return "cannot work with its configuration"
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def _end_with_parent() -> list[str]:
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []
