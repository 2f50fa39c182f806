"""The core runs where there is no ROS: none of its modules imports rclpy, messages, MoveIt or our ROS side."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "robot_finetune"
FOLDERS = ("learning", "perception", "robot", "sim", "data")
CORE = sorted(
    [ROOT / "config.py", ROOT / "types.py", *(path for name in FOLDERS for path in (ROOT / name).rglob("*.py"))]
)
ROS = {"rclpy", "moveit", "cv_bridge", "launch", "launch_ros", "ament_index_python", "rosbag2_py"}
OURS = ("robot_finetune.msg", "robot_finetune.ros", "robot_finetune.nodes")
ALLOWED = {"config.py": {"ament_index_python"}}  # where the package is installed without its source tree


def imports(path):
    """Names of all modules that a file imports anywhere, functions included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_ros(name):
    package = name.split(".")[0]
    messages = package.endswith(("_msgs", "_srvs", "_interfaces"))
    return package in ROS or messages or any(f"{name}.".startswith(f"{ours}.") for ours in OURS)


@pytest.mark.parametrize("path", CORE, ids=lambda path: str(path.relative_to(ROOT)))
def test_core_does_not_name_ros(path):
    allowed = ALLOWED.get(path.name, set())
    assert [name for name in imports(path) if is_ros(name) and name.split(".")[0] not in allowed] == []


def test_core_imports_without_ros():
    modules = [
        ".".join(path.relative_to(ROOT.parent).with_suffix("").parts) for path in CORE if path.name != "__init__.py"
    ]
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
