"""How a process takes part in Fast DDS, which is ROS 2's default. Imports no rclpy."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

from robot_finetune.ros.node.shared_memory import dead_ports, in_use, remove_orphans

OLD_DISTRIBUTIONS = ("humble", "iron", "jazzy")
"""Where Fast DDS reads its profiles from the file in FASTRTPS_DEFAULT_PROFILES_FILE; later from FASTDDS_..."""
PARTICIPANTS = range(32)
"""Participant ids, each with a port of its own for shared memory; ROS 2 looks for no others without multicast."""


def profiles_variable(base: Mapping[str, str]) -> str:
    """The variable that names the file with Fast DDS's profiles, in the ROS 2 of the environment `base`."""
    library = "FASTRTPS" if base.get("ROS_DISTRO") in OLD_DISTRIBUTIONS else "FASTDDS"
    return f"{library}_DEFAULT_PROFILES_FILE"


def uses_fast_dds(base: Mapping[str, str]) -> bool:
    """Whether nodes in the environment `base` communicate by Fast DDS, which is ROS 2's default."""
    return "fastrtps" in base.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp")


@contextmanager
def own_port(domain: int | None = None) -> Iterator[None]:
    """A node that this process creates within, its first, does not listen where a killed process did. domain: None is
    that of the environment.

    By itself Fast DDS gives a new process the port of one that was killed. Others that wrote to the dead one may go on
    writing into its shared memory, whose file is gone, without ever noticing (Fast DDS's pull request 4737): the new
    one would be deaf to them. Where the participant id that is chosen here is taken, Fast DDS takes the next. Profiles
    that give an id, or cannot be read or written, are used as they are.
    """
    remove_orphans()  # of who died just now
    variable = profiles_variable(os.environ)
    given = os.environ.get(variable, "")
    made = _profiles(given, domain)
    if made:
        os.environ[variable] = made
    try:
        yield
    finally:
        if made:
            os.environ[variable] = given  # for processes that this one starts
            os.unlink(made)


def _participant(domain: int | None) -> int | None:
    """The lowest participant id of a domain whose port nobody has or had; None where no process was killed, and Fast
    DDS finds it."""
    if domain is None:
        given = os.environ.get("ROS_DOMAIN_ID", "")
        domain = int(given) if given.isdigit() else 0
    first, dead = 7411 + 250 * domain, dead_ports()
    ports = [first + 2 * participant for participant in PARTICIPANTS]
    if dead.isdisjoint(ports):
        return None
    return next((i for i, port in enumerate(ports) if port not in dead and not in_use(port)), None)


def _profiles(given: str, domain: int | None) -> str:
    """A new file of profiles, those in the file `given` with a participant id; "" where they are used as they are."""
    participant = _participant(domain) if uses_fast_dds(os.environ) else None
    if participant is None:
        return ""
    try:
        text = Path(given).read_text()
        if text.count("<rtps>") != 1 or "<participantID>" in text:
            return ""
        with NamedTemporaryFile("w", prefix="fastdds-", suffix=".xml", delete=False) as file:
            file.write(text.replace("<rtps>", f"<rtps>\n        <participantID>{participant}</participantID>"))
    except (OSError, UnicodeDecodeError):
        return ""
    return file.name
