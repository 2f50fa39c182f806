"""Whether the disk of a folder can be written."""

from __future__ import annotations

import os
from pathlib import Path

FULL = 1 << 20
"""Bytes; with less than this a disk counts as full: not even a log finds room."""


def free_bytes(folder: Path) -> int:
    """Free bytes on the disk of a folder that exists, or will. Raises OSError."""
    usage = os.statvfs(_existing(folder))
    return usage.f_bavail * usage.f_frsize


def no_room(folder: Path) -> str:
    """One line if nothing can be written on the disk of `folder`, with the cure; else an empty string."""
    place = _existing(folder)
    try:
        read_only = os.statvfs(place).f_flag & os.ST_RDONLY
        free = free_bytes(place)
    except OSError as error:
        return f"{place}: its disk does not answer ({error.strerror}); choose another folder"
    if read_only:
        return f"{place}: cannot be written (read-only file system); choose another folder"
    if free < FULL:
        return f"no space left on the disk of {folder} ({free / 1e6:.1f} MB free): free some, or choose another folder"
    return ""


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    folder = Path(folder).expanduser().absolute()
    return next((place for place in (folder, *folder.parents) if place.exists()), Path("/"))
