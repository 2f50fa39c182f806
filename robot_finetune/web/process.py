"""The page of a running session, in a process that only listens: whatever becomes of it, the session goes on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from robot_finetune.config import ConfigError

LOG = "dashboard.log"
PATIENCE = 5.0
"""Wall seconds that the page gets to end."""


@contextmanager
def page_of(folder: Path, host: str, port: int, logs: Path, say: Callable[[str], None]) -> Iterator[None]:
    """The page of the session in `folder` while the block runs. say: is told its address.

    Raises ConfigError where it cannot be served: a taken port, a missing package.
    """
    words = [sys.executable, "-m", "robot_finetune.cli", "dashboard", str(folder), "--host", host, "--port", str(port)]
    logs.mkdir(parents=True, exist_ok=True)
    with (logs / LOG).open("w") as log:  # Ctrl-C is the session's: it ends the page when all is reported
        command = [*words, "--of-session"]
        page = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True)
    try:
        assert page.stdout is not None
        line = page.stdout.readline().strip()
        if not line:
            raise ConfigError(_cause(logs / LOG))
        say(line)
        yield
    finally:
        page.terminate()
        try:
            page.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            page.kill()
            page.wait()


def _cause(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() or ["it printed nothing"]
    return f"the live page cannot be served: {lines[-1].removeprefix('error: ')}"
