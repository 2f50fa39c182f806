"""`robot-finetune session` as a process of its own, for experiments that are made of sessions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from robot_finetune.config import ConfigError
from robot_finetune.data.layout import SESSION_FILE

FORWARDED = (signal.SIGTERM, signal.SIGHUP)
"""Besides Ctrl-C, which the terminal sends to both."""


def run_session(words: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
    """Run a session to its end. Raises ConfigError where it fails, and KeyboardInterrupt where somebody has ended it.

    However this process is asked to end, the session is asked too, and waited for: it brings the arm to rest."""
    command = [sys.executable, "-m", "robot_finetune.cli", "session", *words]
    process = subprocess.Popen(command, env=dict(os.environ if environment is None else environment))
    asked = False

    def forward(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        process.send_signal(number)

    before = {number: signal.signal(number, forward) for number in FORWARDED}
    try:
        while process.poll() is None:
            try:
                process.wait()
            except KeyboardInterrupt:
                asked = True
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if asked:
        raise KeyboardInterrupt
    if process.returncode:
        raise ConfigError(f"the session has failed (exit code {process.returncode}); what it said above tells why")


def go_on_or_begin(
    folder: Path, lengths: Sequence[str], beginning: Sequence[str], environment: Mapping[str, str] | None = None
) -> None:
    """`run_session` in `folder`: go on with the session that is there, or begin one.

    lengths: options of either. beginning: those of a new one. Raises ConfigError, KeyboardInterrupt."""
    there = (folder / SESSION_FILE).is_file()
    run_session([*(["--resume", str(folder)] if there else ["--out", str(folder), *beginning]), *lengths], environment)
