"""What a look at one thing found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from robot_finetune.config import ConfigError
from robot_finetune.needs import missing

OK, WARNING, ERROR = "ok", "warning", "error"


@dataclass(frozen=True)
class Check:
    """One line: what was looked at, how it is (ok, warning, error), what was found, and the cure of what is not ok."""

    name: str
    level: str
    found: str
    cure: str = ""


Look = Callable[[], Iterator[Check]]


def failed(name: str, line: str) -> Check:
    """The error that one of this package's messages tells of, which end with their cure."""
    found, _, cure = line.rpartition("; ") if "; " in line else line.partition(": ")
    return Check(name, ERROR, found, cure)


def guarded(name: str, look: Look) -> Iterator[Check]:
    """The checks of `look`; where it cannot look, that is an error too."""
    try:
        yield from look()
    except ModuleNotFoundError as error:
        if not (line := missing(error)):
            raise
        yield failed(name, line)
    except (ConfigError, OSError) as error:
        yield failed(name, " ".join(str(error).split()))
