"""The person at the terminal."""

from __future__ import annotations

from typing import TextIO

from robot_finetune.robot.interfaces import RobotError


class InputEnded(RobotError):
    """Nobody answers any more (end of file on the input)."""


class Console:
    """Says things and asks; nothing that moves happens without a yes or a typed command."""

    def __init__(self, answers: TextIO, out: TextIO) -> None:
        self._answers, self._out = answers, out

    def say(self, text: str) -> None:
        print(text, file=self._out, flush=True)

    def ask(self, question: str) -> str:
        """One line of answer, stripped. Raises InputEnded."""
        print(f"{question} > ", end="", file=self._out, flush=True)
        line = self._answers.readline()
        if not line:
            raise InputEnded("the input has ended; what was measured so far is written, start setup again to go on")
        if not self._answers.isatty():
            self.say(line.strip())
        return line.strip()

    def confirm(self, question: str) -> bool:
        """Whether the answer is yes; anything else is no."""
        return self.ask(f"{question} [y/N]").lower() in ("y", "yes")
