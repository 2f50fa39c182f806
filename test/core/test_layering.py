"""The floor plan: which room imports which, no circle anywhere, and no ROS below `ros`."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "robot_finetune"
GROUND = {
    "__init__": set(),
    "exit_codes": set(),
    "needs": {"exit_codes"},
    "files": set(),
    "config": {"files"},
    "types": set(),
    "stats": set(),
    "progress": set(),
}
"""Modules that every room may import, and what each of them imports of ours."""
FLOORS = {
    "data": set(),
    "robot": set(),
    "perception": {"robot"},
    "learning.networks": {"robot", "perception"},
    "learning.promotion": {"data"},
    "learning": {"data", "robot", "perception", "learning.networks", "learning.promotion"},
    "sim": {"robot", "perception"},
    "experiments": {"data", "robot", "perception", "learning", "learning.networks", "learning.promotion", "sim"},
    "experiments.benchmarks": {
        *("data", "robot", "perception", "learning", "learning.networks", "learning.promotion", "sim", "experiments"),
    },
    "ros.node": {"robot"},
    "ros.arms": {"robot", "ros.node"},
    "ros.grippers": {"robot", "ros.node"},
    "ros": {"data", "robot", "perception", "learning", "learning.promotion", "ros.node", "ros.arms", "ros.grippers"},
    "nodes": {"data", "robot", "perception", "learning", "learning.promotion", "sim", "ros", "ros.node", "ros.arms"},
    "graph": {"data", "robot", "perception", "ros", "ros.node", "ros.arms"},
    "session": {"data", "robot", "sim", "ros", "ros.node", "graph"},
    "report": {"data", "robot", "perception", "session", "learning.promotion"},
    "cell_setup": {"data", "robot", "perception", "ros", "ros.node", "graph"},
    "teleop": {"robot", "ros", "ros.node"},
    "doctor": {"data", "robot", "learning", "ros", "ros.node"},
    "web": {"data", "robot", "session", "report", "ros", "ros.node"},
    "commands": {
        *("data", "robot", "learning", "experiments", "session", "report", "cell_setup", "teleop", "doctor", "web"),
    },
    "cli": {"data", "robot", "learning"},
}
"""Each room, from the lowest floor up, and the rooms below it that it may import. cli.py loads `commands` by name."""
WITHOUT_ROS = (
    "data",
    "robot",
    "perception",
    "learning.networks",
    "learning.promotion",
    "learning",
    "sim",
    "experiments",
)
ROS = {"rclpy", "moveit", "cv_bridge", "launch", "launch_ros", "ament_index_python", "rosbag2_py"}
ALLOWED_ROS = {"config": {"ament_index_python"}}  # where the package is installed without its source tree

PATHS = sorted(ROOT.rglob("*.py"))


def module(path):
    """Its name within the package: "learning.cem", or "learning" for learning/__init__.py."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and parts[:-1] else parts)


MODULES = {module(path): path for path in PATHS}


def room(name):
    """The room that a module is in; a module beside the rooms is one itself."""
    path = MODULES[name]
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1]) or parts[0]


def imports(path):
    """Names of all modules that a file imports anywhere, functions and type checking included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_modules(path):
    """Those of our modules among them."""
    for name in imports(path):
        if name.startswith("robot_finetune."):
            words = name.split(".")[1:]
            found = [".".join(words[:end]) for end in range(len(words), 0, -1) if ".".join(words[:end]) in MODULES]
            yield found[0] if found else "__init__"


def is_ros(name):
    package, _, rest = name.partition(".")
    return (
        package in ROS
        or package.endswith(("_msgs", "_srvs", "_interfaces"))
        or (package == "robot_finetune" and rest.split(".")[0] in ("msg", "srv", "ros", "nodes"))
    )


def core_files():
    return [path for name, path in MODULES.items() if room(name) in {*GROUND, *WITHOUT_ROS}]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_rooms_below_it(path):
    here = room(module(path))
    allowed = GROUND[here] if here in GROUND else {*FLOORS[here], *GROUND, here}
    assert {name for name in imported_modules(path) if room(name) not in allowed} == set()


def test_the_floors_are_written_from_the_ground_up():
    below = set()
    for name, allowed in FLOORS.items():
        assert allowed <= below, f"{name} is above {allowed - below}"
        below.add(name)


def test_no_circle_of_imports():
    graph = {name: set(imported_modules(path)) - {name} for name, path in MODULES.items()}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("path", core_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_core_does_not_name_ros(path):
    allowed = ALLOWED_ROS.get(module(path), set())
    assert [name for name in imports(path) if is_ros(name) and name.split(".")[0] not in allowed] == []


def test_core_imports_without_ros():
    modules = [f"robot_finetune.{module(path)}" for path in core_files() if path.name != "__init__.py"]
    program = f"""
import importlib, sys
for name in ("rclpy", "moveit", "cv_bridge", "ament_index_python"):
    sys.modules[name] = None  # as if it were not installed
for name in {modules}:
    importlib.import_module(name)
assert "robot_finetune.ros" not in sys.modules and "robot_finetune.msg" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_no_module_shadows_generated_code():
    taken = {"msg", "srv", "action"}
    assert not [path for path in ROOT.rglob("*") if path.stem in taken], "rosidl installs packages of these names"
