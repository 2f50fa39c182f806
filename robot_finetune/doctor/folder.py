"""Who holds a folder of sessions: locks are files `<what>.lock`, held by flock for as long as their owner lives."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from pathlib import Path

from robot_finetune.doctor.check import OK, WARNING, Check


def locks(folder: Path) -> Iterator[Check]:
    """Whether another process works in the folder. Raises OSError where its locks cannot be read."""
    held = [path for path in sorted(folder.glob("*.lock")) if _held(path)]
    for path in held:
        owner = " ".join(path.read_text(errors="replace").split())[:200]
        found = f"{folder} is in use ({path.name}: {owner or 'no owner written'})"
        yield Check("locks", WARNING, found, "end that process first, or give another folder")
    if not held:
        yield Check("locks", OK, f"nobody works in {folder}")


def _held(path: Path) -> bool:
    with path.open("rb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
