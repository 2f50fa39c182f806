"""Facts, a line of JSON each, appended one by one and forced to the disk; a line that a crash has torn is left out."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from robot_finetune.config import ConfigError, from_mapping
from robot_finetune.files import parse_json, to_json

T = TypeVar("T")
LARGEST_LINE = 10_000
"""Characters."""


class LineLog:
    """Appends dataclasses to the file `path`."""

    def __init__(self, path: Path) -> None:
        """Raises OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        if path.is_file() and not path.read_bytes().endswith(b"\n"):
            self._append("")  # ends a torn line

    def add(self, entry: Any) -> None:
        """Write what differs from the defaults as a line, safe on the disk when this returns. Raises OSError."""
        empty, given = dataclasses.asdict(type(entry)()), dataclasses.asdict(entry)
        self._append(to_json({name: value for name, value in given.items() if value != empty[name]}))

    def _append(self, line: str) -> None:
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")
            stream.flush()
            os.fsync(stream.fileno())


def read_lines(path: Path, kind: Callable[[dict[str, Any]], type[T]]) -> tuple[list[T], list[str]]:
    """The entries of a file, in order, and one line for each that cannot be read; nothing without the file.

    kind: the dataclass of an entry, by its keys.
    """
    entries: list[T] = []
    damaged = []
    if not path.is_file():
        return [], []
    for number, text in enumerate(_lines(path), 1):
        if not text.strip():
            continue
        where = f"{path}:{number}"
        try:
            data: Any = parse_json(text)
            if not isinstance(data, dict):
                raise ValueError("no group of keys")
            entries.append(from_mapping(kind(data), data, where))
        except (ConfigError, ValueError) as error:
            damaged.append(f"{where}: {error}; it is passed over")
    return entries, damaged


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8", errors="replace") as stream:
        while line := stream.readline(LARGEST_LINE):
            yield line
