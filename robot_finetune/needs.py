"""The packages that this program needs, and what to do where one is missing: one table for nodes, commands and doctor.

Imports nothing but the standard library, so that it works where nothing else is installed.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from pathlib import Path

from robot_finetune.exit_codes import DONE, FAILED, INTERRUPTED

PYTHON = {
    "click": "click",
    "cv2": "opencv-python-headless",
    "matplotlib": "matplotlib",
    "mcap": "mcap",
    "mcap_ros2": "mcap-ros2-support",
    "mujoco": "mujoco",
    "numpy": "numpy",
    "safetensors": "safetensors",
    "tensorboard": "tensorboard",
    "torch": "torch",
    "tqdm": "tqdm",
    "xacro": "xacro",
    "yaml": "PyYAML",
}
"""Modules from PyPI, and the names of their distributions; rosdep knows only some of them."""
EXTRA = {
    "starlette": "requirements-web.txt",
    "uvicorn": "requirements-web.txt",
    "pyarrow": "requirements-export.txt",
    "fsspec": "requirements-remote.txt",
    "s3fs": "requirements-remote.txt",
    "rerun": "requirements-rerun.txt",
    "ray": "requirements-ray.txt",
}
"""Modules that only some commands need, imported where they are needed, and the files that list them."""
ROS = (
    "action_msgs",
    "ament_index_python",
    "builtin_interfaces",
    "diagnostic_msgs",
    "geometry_msgs",
    "lifecycle_msgs",
    "rcl_interfaces",
    "rclpy",
    "rosgraph_msgs",
    "sensor_msgs",
    "std_msgs",
    "std_srvs",
    "trajectory_msgs",
    "visualization_msgs",
)
"""Modules that come with ROS 2."""
REQUIREMENTS = "requirements.txt"
MESSAGES, ACTIONS, SERVICES = "robot_finetune.msg", "robot_finetune.action", "robot_finetune.srv"
"""The package's own messages, actions and services, which are generated when it is built."""


def missing(error: ModuleNotFoundError) -> str:
    """One line that says which package is missing and how to get it; empty if it is none that we know."""
    name = error.name or ""
    root = name.partition(".")[0]
    interfaces = (MESSAGES, ACTIONS, SERVICES)
    if name in interfaces or name.startswith(tuple(f"{package}." for package in interfaces)):
        return "the messages are not built: run `make build`, or `colcon build` and source the workspace's setup file"
    if root in PYTHON:
        return f"{PYTHON[root]} is not installed for {sys.executable}: {pip_cure()}"
    if root in EXTRA:
        return f"{root} is not installed for {sys.executable}: {pip_cure(EXTRA[root])}"
    if root in ROS:
        return f"{root} is not installed for {sys.executable}: run `make build`, or source the setup file of ROS 2"
    return ""


def pip_cure(name: str = REQUIREMENTS) -> str:
    """How packages from PyPI are installed for this interpreter. name: of the file that lists them."""
    built = "`make build`, or " if name == REQUIREMENTS else ""
    return f"run {built}`{sys.executable} -m pip install -r {requirements(name) or name}`"


def apt_cure(package: str) -> str:
    """How a ROS 2 package is installed that not every robot needs."""
    apt = f"ros-$ROS_DISTRO-{package.replace('_', '-')}"
    return f"install it (apt: {apt}, or from source), source it, and start again"


def requirements(name: str = REQUIREMENTS) -> Path | None:
    """A file of requirements, in the source tree or where the package is installed; None if it is in neither."""
    prefixes = [*filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)), sys.prefix]
    folders = [Path(__file__).parents[1], *(Path(prefix, "share", "robot_finetune") for prefix in prefixes)]
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def run(module: str) -> int:
    """Call main() of a module of this package; returns the exit code. A missing package is one line and code 1.

    Ctrl-C while the packages are still read ends the process at once, without a traceback: a node with code 0, also
    where a shell has started it in the background, deaf to Ctrl-C: whoever started it ends it by that signal.
    """
    is_node = module.startswith("nodes.")
    ctrl_c_ends = is_node or signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ctrl_c_ends:
        code = DONE if is_node else INTERRUPTED
        signal.signal(signal.SIGINT, lambda *_: os._exit(code))
    try:
        main = importlib.import_module(f"robot_finetune.{module}").main
        if ctrl_c_ends:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return int(main() or DONE)
    except ModuleNotFoundError as error:
        line = missing(error)
        if not line:
            raise
        print(f"error: {line}", file=sys.stderr, flush=True)
        return FAILED


def command_line() -> int:
    """The console script `robot-finetune`."""
    return run("cli")
