"""How a process takes part in Fast DDS, which is ROS 2's default. Imports no rclpy."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

OLD_DISTRIBUTIONS = ("humble", "iron", "jazzy")
"""Where Fast DDS reads its profiles from the file in FASTRTPS_DEFAULT_PROFILES_FILE; later from FASTDDS_..."""
PARTICIPANTS = range(40, 120)
"""Participant ids that Fast DDS, which counts from 0, hardly gives by itself; each has ports of its own."""


def profiles_variable(base: Mapping[str, str]) -> str:
    """The variable that names the file with Fast DDS's profiles, in the ROS 2 of the environment `base`."""
    library = "FASTRTPS" if base.get("ROS_DISTRO") in OLD_DISTRIBUTIONS else "FASTDDS"
    return f"{library}_DEFAULT_PROFILES_FILE"


def uses_fast_dds(base: Mapping[str, str]) -> bool:
    """Whether nodes in the environment `base` communicate by Fast DDS, which is ROS 2's default."""
    return "fastrtps" in base.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp")


@contextmanager
def own_ports() -> Iterator[None]:
    """A node that this process creates within, its first, hears on ports that no process had before it.

    By itself Fast DDS gives a new process the ports of one that was killed. Others that wrote to the dead one may go on
    writing into its shared memory, whose file is gone, without ever noticing (Fast DDS's pull request 4737): the new
    one would be deaf to them. Where the participant id that is chosen here is taken, Fast DDS takes the next. Profiles
    that give an id, or cannot be read or written, are used as they are.
    """
    variable = profiles_variable(os.environ)
    given = os.environ.get(variable, "")
    text = _with_participant(given, PARTICIPANTS[os.getpid() % len(PARTICIPANTS)])
    if not text:
        yield
        return
    try:
        with NamedTemporaryFile("w", prefix="fastdds-", suffix=".xml", delete=False) as file:
            file.write(text)
    except OSError:
        yield
        return
    os.environ[variable] = file.name
    try:
        yield
    finally:
        os.environ[variable] = given  # for processes that this one starts
        os.unlink(file.name)


def _with_participant(profiles: str, participant: int) -> str:
    """The text of a file of profiles with a participant id; "" where it has one, or no place for it."""
    if not uses_fast_dds(os.environ):
        return ""
    try:
        text = Path(profiles).read_text()
    except (OSError, UnicodeDecodeError):
        return ""
    if text.count("<rtps>") != 1 or "<participantID>" in text:
        return ""
    return text.replace("<rtps>", f"<rtps>\n        <participantID>{participant}</participantID>")
