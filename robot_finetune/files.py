"""Files from outside, bounded before they are parsed: their size, their nesting, and YAML without aliases.

Parsers raise what they like on damaged bytes; from here only OSError and ValueError come, each with one line of text.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import math
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

TEXT_LIMIT = 1 << 17
"""Largest YAML file [bytes]: the largest of ours has a tenth of it, and the parser takes 3 s for so much."""
JSON_LIMIT = 1 << 24
"""Largest JSON file [bytes]."""
NESTING = 24
"""Groups and lists within each other, at most."""


def one_line(error: BaseException, most: int = 1000) -> str:
    """What an error says, in one line of at most so many characters; its type where it says nothing."""
    return " ".join(str(error).split())[:most] or type(error).__name__


def open_file(path: Path) -> io.BufferedReader:
    """An ordinary file, opened to read its bytes; one that would block, such as a pipe, is refused. Raises OSError."""
    stream = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb")
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise OSError(errno.EINVAL, "no ordinary file")
    return stream


def read_file(path: Path, limit: int) -> bytes:
    """All bytes of a file that has at most `limit`. Raises OSError."""
    try:
        with open_file(path) as stream:
            data = stream.read(limit + 1)
    except ValueError as error:  # a path that no file can have
        raise OSError(errno.EINVAL, str(error)) from error
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"larger than the {limit:,} bytes that such a file has at most")
    return data


def digest(text: str) -> str:
    """A short name for what belongs to a path or a URL."""
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:12]


def sha256_of(path: Path) -> str:
    """The hash of a file of any size. Raises OSError."""
    with open_file(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def parse_yaml(text: str) -> Any:
    """The plain data in YAML text. Raises ValueError with the line, `line 3: ...`, where there is one."""
    try:
        return _check_nesting(yaml.load(text, _Loader))
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        line = f"line {mark.line + 1}: " if mark else ""
        raise ValueError(f"{line}{problem or ' '.join(str(error).split())}") from error
    except RecursionError:
        raise ValueError("nested too deeply") from None


def parse_json(text: str | bytes) -> Any:
    """The plain data in JSON text; NaN and Infinity are not JSON. Raises ValueError."""
    try:
        return _check_nesting(json.loads(text, parse_constant=_no_number, parse_float=_finite))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def to_json(data: Any, indent: int | None = None) -> str:
    """Plain data as JSON text; a number that is not finite becomes null. Raises TypeError for what is no plain data."""
    return json.dumps(_without_nan(data), indent=indent, allow_nan=False)


class _Loader(yaml.SafeLoader):
    """Refuses aliases, of which a few bytes make gigabytes, and what its constructors cannot make a value of."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.composer.ComposerError(None, None, "aliases (*name) are not allowed", event.start_mark)
        self.depth += 1
        if self.depth > NESTING:
            event = self.peek_event()
            raise yaml.composer.ComposerError(None, None, "nested too deeply", event.start_mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, TypeError, AttributeError, OverflowError, LookupError) as error:
            kind = str(node.tag).rpartition(":")[2]
            raise yaml.constructor.ConstructorError(None, None, f"not a {kind} ({error})", node.start_mark) from error


def _check_nesting(data: Any, depth: int = 0) -> Any:
    if depth > NESTING:
        raise ValueError("nested too deeply")
    if isinstance(data, (Mapping, list)):
        for item in data.values() if isinstance(data, Mapping) else data:
            _check_nesting(item, depth + 1)
    return data


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _no_number(text)


def _without_nan(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {key: _without_nan(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_without_nan(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data
