"""What a process of this package needs in its environment, and where its executables are. Imports no rclpy."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from robot_finetune.config import ConfigError, share_path
from robot_finetune.ros.node.fast_dds import profiles_variable, uses_fast_dds

PACKAGE = "robot_finetune"
LOOPBACK = "fastdds_loopback.xml"
"""The profile that binds Fast DDS to this computer. It says all of it: the discovery range LOCALHOST of ROS 2 would
open sockets on the other network cards besides."""
DOMAINS = range(1, 102)
"""Domains whose ports stay below Linux's ephemeral ones; 0 is everybody's default."""
PROBED = 16
"""Participants of a domain that are looked for: the first may have ended, and nobody takes a killed one's place."""


def missing_environment(base: Mapping[str, str], profile: str = "fastdds_shm.xml") -> dict[str, str]:
    """What any node process needs and the environment `base` does not say.

    Images need the larger shared-memory segment of the Fast DDS profile in config/; numerical libraries keep to one
    thread a process, since several processes share the computer.
    """
    needed = {
        profiles_variable(base): str(share_path("config", profile)),
        "OMP_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
    }
    return {name: value for name, value in needed.items() if name not in base}


def node_environment(domain_id: int | None = None) -> dict[str, str]:
    """This process's environment for nodes that it starts itself: other computers neither hear nor reach them.

    domain_id: given, it replaces ROS_DOMAIN_ID.
    """
    missing = missing_environment(os.environ, LOOPBACK)
    environment = {**os.environ, **missing}
    bound = Path(environment[profiles_variable(environment)]).name == LOOPBACK and uses_fast_dds(environment)
    environment.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "SYSTEM_DEFAULT" if bound else "LOCALHOST")
    if domain_id is not None:
        environment["ROS_DOMAIN_ID"] = str(domain_id)
    return environment


def graph_environment(simulated: bool, domain_id: int | None = None) -> dict[str, str]:
    """This process's environment for a node graph, always with a ROS_DOMAIN_ID.

    domain_id: of a graph that runs already.

    A simulated cell is for this computer only, in a domain of its own. An arm's drivers are where they are: domain
    and discovery range stay what the environment says, ROS 2's defaults if it says nothing.
    """
    if simulated:
        return node_environment(free_domain() if domain_id is None else domain_id)
    known = {} if domain_id is None else {"ROS_DOMAIN_ID": str(domain_id)}
    return {"ROS_DOMAIN_ID": "0", **os.environ, **missing_environment(os.environ), **known}


def free_domain() -> int:
    """The ROS domain of the environment, or one that nobody on this computer takes part in."""
    given = os.environ.get("ROS_DOMAIN_ID", "")
    return int(given) if given.isdigit() else unused_domain()


def unused_domain() -> int:
    """A domain without participants on this computer; where all are taken, one that other processes hardly choose."""
    first = os.getpid() % len(DOMAINS)
    candidates = [*DOMAINS[first:], *DOMAINS[:first]]
    return next((domain for domain in candidates if not _is_used(domain)), candidates[0])


def _is_used(domain: int) -> bool:
    """Whether one of the ports is taken that DDS gives to the first participants of a domain."""
    for participant in range(PROBED):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("", 7410 + 250 * domain + 2 * participant))
            except OSError:
                return True
    return False


def executable(name: str, package: str = PACKAGE) -> Path:
    """Where the executable of a node was installed. Raises ConfigError if it is not there."""
    sourced = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    for prefix in [*filter(None, sourced), sys.prefix]:
        path = Path(prefix, "lib", package, name)
        if path.is_file():
            return path
    cure = "run `make build`" if package == PACKAGE else f"install the package {package}"
    raise ConfigError(f"executable {name} is not installed: {cure}, or source the workspace's setup file")
