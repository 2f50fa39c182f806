"""Interpreter, Python packages, ROS 2 and the package's own messages."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from robot_finetune.doctor.check import ERROR, OK, WARNING, Check, failed
from robot_finetune.needs import MESSAGES, PYTHON, missing, pip_cure, requirements
from robot_finetune.ros.environment import LOOPBACK, executable
from robot_finetune.ros.node.fast_dds import profiles_variable, uses_fast_dds

OLDEST_PYTHON = (3, 11)
TOO_OLD = ("foxy", "galactic", "humble", "iron")
NODES = ("camera", "episode_logger", "grasp_detector", "policy", "sim_cell", "trainer")


def interpreter() -> Iterator[Check]:
    """The Python that runs this, which also runs the nodes."""
    found = f"Python {sys.version.split()[0]}, {sys.executable}"
    if sys.version_info < OLDEST_PYTHON:
        yield Check("interpreter", ERROR, found, "use Python 3.11 or later: `PYTHON=/path/to/python make build`")
    else:
        yield Check("interpreter", OK, found)


def packages() -> Iterator[Check]:
    """Whether all Python packages can be imported, in the versions that this package was tested with."""
    count = 0
    for module, distribution in PYTHON.items():
        try:
            importlib.import_module(module)
            count += 1
        except ModuleNotFoundError as error:
            line = missing(error) or f"{distribution} needs {error.name}, which is not installed: {pip_cure()}"
            yield failed("packages", line)
        except Exception as error:  # a package that is damaged, or built for another NumPy, raises anything
            yield Check("packages", ERROR, f"{distribution} cannot be imported ({_short(error)})", pip_cure())
    other = list(_other_versions())
    if other:
        yield Check("packages", WARNING, f"other versions than the tested ones: {', '.join(other)}", pip_cure())
    if count == len(PYTHON):
        yield Check("packages", OK, f"{count} Python packages can be imported")


def _other_versions() -> Iterator[str]:
    file = requirements()
    for line in file.read_text().splitlines() if file else ():
        name, _, pinned = line.partition("#")[0].strip().partition("==")
        try:
            found = metadata.version(name).partition("+")[0] if pinned else pinned
        except metadata.PackageNotFoundError:  # from the system's packages: without a version, or told of above
            continue
        if found != pinned:
            yield f"{name} {found} (tested: {pinned})"


def ros() -> Iterator[Check]:
    """ROS 2, from one source only, new enough, and the messages and nodes of this package."""
    distribution = os.environ.get("ROS_DISTRO", "")
    sourced = bool(distribution and os.environ.get("AMENT_PREFIX_PATH"))
    if implementation := _rmw_that_is_missing():
        found = f"ROS 2 does not start with RMW_IMPLEMENTATION {implementation}"
        yield Check("ros", ERROR, found, "unset RMW_IMPLEMENTATION, or install it")
        return
    try:
        importlib.import_module("rclpy")
    except ImportError as error:
        yield failed("ros", _told(error, "rclpy", "run `make build`, or open a new terminal and source once"))
        return
    wheels = _version("ros-rclpy")
    if sourced and wheels:
        cure = "use one: open a new terminal without sourcing, or remove .venv and run `make build` again"
        yield Check("ros", ERROR, f"ROS 2 {distribution} is sourced, and this Python has wheels of ROS 2 as well", cure)
    elif distribution in TOO_OLD:
        yield Check("ros", ERROR, f"ROS 2 {distribution} is sourced", "source Jazzy or later")
    else:
        yield Check("ros", OK, f"ROS 2 {distribution}, sourced" if sourced else f"ROS 2 from wheels, rclpy {wheels}")
    try:
        importlib.import_module(MESSAGES)
        for node in NODES:
            executable(node)
    except ImportError as error:
        yield failed("messages", _told(error, MESSAGES, "run `make build`, or build the workspace again"))
    else:
        yield Check("messages", OK, f"built, with {len(NODES)} nodes")


def dds() -> Iterator[Check]:
    """Whether nodes communicate by Fast DDS, with a profile that lets images through."""
    environment = os.environ
    if not uses_fast_dds(environment):
        found = f"RMW_IMPLEMENTATION is {environment['RMW_IMPLEMENTATION']}: images are measured with Fast DDS only"
        yield Check("dds", WARNING, found, "unset RMW_IMPLEMENTATION, or look at the images lost in a session's report")
        return
    variable = profiles_variable(environment)
    file = environment.get(variable, "")
    if not file:
        yield Check("dds", OK, "Fast DDS, with the profiles of this package")
    elif not Path(file).is_file():
        yield Check("dds", ERROR, f"{variable} names {file}, which is not there", f"unset {variable}")
    elif Path(file).name in (LOOPBACK, "fastdds_shm.xml"):
        yield Check("dds", OK, f"Fast DDS, with {file}")
    else:
        cure = f"unset {variable}, or give it a segment_size of 16 MB: else images are lost"
        yield Check("dds", WARNING, f"Fast DDS, with a profile that is not ours: {file}", cure)


def _rmw_that_is_missing() -> str:
    """The RMW_IMPLEMENTATION of the environment, if it is not installed: to import rclpy would end this process."""
    implementation = os.environ.get("RMW_IMPLEMENTATION", "")
    words = [sys.executable, "-c", "import rclpy"]
    broken = implementation and subprocess.run(words, capture_output=True).returncode not in (0, 1)
    return implementation if broken else ""


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def _told(error: ImportError, module: str, cure: str) -> str:
    """One line about a module that cannot be imported. cure: where it is there and damaged."""
    line = missing(error) if isinstance(error, ModuleNotFoundError) else ""
    return line or f"{module} cannot be imported ({_short(error)}): {cure}"


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
