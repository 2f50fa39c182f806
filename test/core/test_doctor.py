"""`robot-finetune doctor`: this computer is sound, and each thing that is broken is found, with its cure."""

import fcntl
import json
import os
import subprocess
import sys
import time

import pytest
import yaml

from robot_finetune.config import share_path
from robot_finetune.doctor import folder, machine, software
from robot_finetune.doctor.check import guarded
from robot_finetune.doctor.robot import robot
from robot_finetune.ros.environment import executable
from robot_finetune.ros.node.fast_dds import profiles_variable

pytest.importorskip("robot_finetune.msg", reason="the messages are not built")


def doctor(*words, **environment):
    """Exit code and answer of the real command."""
    command = [sys.executable, executable("robot-finetune"), "doctor", "--json", *map(str, words)]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300)
    assert "Traceback" not in done.stderr, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    for check in answer["checks"]:
        assert (check["level"] == "ok") == (not check["cure"]) and "\n" not in check["found"] + check["cure"]
    assert answer["ok"] == all(check["level"] != "error" for check in answer["checks"])
    return done.returncode, answer


def only(level, checks):
    """The one check with a level; it has a cure where something is wrong."""
    (found,) = [check for check in checks if check.level == level]
    assert bool(found.cure) == (level != "ok")
    return found


@pytest.fixture
def disk(tmp_path):
    """disk("size=1m") is the folder of a small disk."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(size):
        words = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", place]
        if subprocess.run(words, capture_output=True).returncode:
            pytest.skip("nothing may be mounted here")
        return place

    yield mount
    subprocess.run(["umount", place], capture_output=True)


def test_this_computer_is_sound(tmp_path):
    code, answer = doctor("--out", tmp_path, "--robot", "sim")
    assert code == 0 and answer["ok"]
    names = ["interpreter", "packages", "ros", "messages", "dds", "shared memory", "gpu", "display", "disk", "clock"]
    assert list(dict.fromkeys(check["name"] for check in answer["checks"])) == [*names, "locks", "profile"]


def test_what_is_missing_is_told_besides_all_the_rest(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['mujoco'] = None\n")
    code, answer = doctor("--out", tmp_path, PYTHONPATH=str(tmp_path))
    broken = {check["name"]: check for check in answer["checks"] if check["level"] == "error"}
    assert code == 1 and list(broken) == ["packages", "display"], "without mujoco nothing is drawn"
    assert f"mujoco is not installed for {sys.executable}" == broken["packages"]["found"]
    assert f"-m pip install -r {share_path('requirements.txt')}" in broken["packages"]["cure"]


@pytest.mark.parametrize(
    ("look", "module", "found", "cure"),
    [
        (software.packages, "mcap", "mcap is not installed", "pip install"),
        (software.packages, "cv2", "opencv-python-headless is not installed", "pip install"),
        (software.ros, "rclpy", "rclpy is not installed", "source the setup file of ROS 2"),
        (software.ros, "robot_finetune.msg", "the messages are not built", "run `make build`"),
        (machine.gpu, "torch", "torch is not installed", "pip install"),
    ],
)
def test_a_module_that_is_missing_is_named_with_its_cure(monkeypatch, look, module, found, cure):
    monkeypatch.setitem(sys.modules, module, None)
    check = only("error", guarded("it", look))
    assert found in check.found and cure in check.cure


def test_a_package_that_is_damaged_is_named(monkeypatch, tmp_path):
    (tmp_path / "xacro.py").write_text("raise AttributeError('_ARRAY_API not found')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "xacro", raising=False)
    assert "xacro cannot be imported (_ARRAY_API not found)" in only("error", software.packages()).found


def test_another_version_is_a_warning(monkeypatch, tmp_path):
    (tmp_path / "mcap-0.1.dist-info").mkdir()
    (tmp_path / "mcap-0.1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: mcap\nVersion: 0.1\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert "mcap 0.1 (tested:" in only("warning", software.packages()).found


def test_two_sources_of_ros_and_an_old_one_are_errors(monkeypatch, tmp_path):
    monkeypatch.setenv("AMENT_PREFIX_PATH", os.environ.get("AMENT_PREFIX_PATH", sys.prefix))
    monkeypatch.setenv("ROS_DISTRO", "humble")
    (tmp_path / "ros_rclpy-9.dist-info").mkdir()
    (tmp_path / "ros_rclpy-9.dist-info" / "METADATA").write_text("Name: ros-rclpy\nVersion: 9\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert "wheels of ROS 2 as well" in only("error", software.ros()).found
    monkeypatch.setattr(software, "_version", lambda _: "")
    assert "Jazzy or later" in only("error", software.ros()).cure


def test_a_way_to_communicate_that_is_not_installed_is_told_and_the_rest_is_looked_at(tmp_path):
    code, answer = doctor("--out", tmp_path, RMW_IMPLEMENTATION="rmw_nobody_cpp")
    assert code == 1 and answer["checks"][-1]["name"] == "locks"
    (error,) = [check for check in answer["checks"] if check["level"] == "error"]
    assert "rmw_nobody_cpp" in error["found"] and "unset RMW_IMPLEMENTATION" in error["cure"]


@pytest.mark.parametrize(
    ("name", "value", "level"),
    [
        ("RMW_IMPLEMENTATION", "rmw_cyclonedds_cpp", "warning"),
        (profiles_variable(os.environ), "/not/there.xml", "error"),
        (profiles_variable(os.environ), __file__, "warning"),
        (profiles_variable(os.environ), str(share_path("config", "fastdds_shm.xml")), "ok"),
    ],
)
def test_another_way_to_communicate_is_told(monkeypatch, name, value, level):
    monkeypatch.setenv(name, value)
    assert level == "ok" or f"unset {name}" in only(level, software.dds()).cure


def test_little_shared_memory_and_what_killed_nodes_left_are_told(disk):
    place = disk("size=16m")
    (place / "fastdds_0123456789abcdef").write_bytes(bytes(2_000_000))
    (place / "fastdds_0123456789abcdef_el").touch()
    os.utime(place / "fastdds_0123456789abcdef_el", (time.time() - 60,) * 2)
    checks = list(machine.shared_memory(place))
    assert "--shm-size" in only("error", checks).cure and "2 MB of nodes" in only("warning", checks).found


def test_a_display_that_cannot_draw_is_an_error(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "egl")
    monkeypatch.setenv("__EGL_VENDOR_LIBRARY_FILENAMES", "/not/there.json")
    check = only("error", machine.display())
    assert "MuJoCo cannot draw by egl" in check.found and "libegl1" in check.cure


def test_a_full_disk_is_an_error(disk):
    check = only("error", machine.disk(disk("size=64k") / "not" / "yet"))
    assert "no space left" in check.found and check.cure.startswith("free some")


def test_a_small_disk_is_an_error(disk):
    check = only("error", machine.disk(disk("size=32m")))
    assert "MB free for" in check.found and "choose another --out" in check.cure


def test_a_folder_in_use_is_told(tmp_path):
    (tmp_path / "session.lock").write_text('{"name": "session", "process": 7}\n')
    assert only("ok", folder.locks(tmp_path))
    with (tmp_path / "session.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = only("warning", folder.locks(tmp_path)).found
    assert "is in use" in found and '"process": 7' in found


@pytest.mark.parametrize("jump", [-3600.0, 0.3])
def test_a_clock_that_jumps_is_an_error(jump):
    times = iter([0.0, jump, jump])
    check = only("error", machine.clock(wall=lambda: time.time() + next(times)))
    assert "jumped" in check.found and "slewing" in check.cure


def test_a_clock_that_was_never_set_is_an_error():
    assert "1970" in only("error", machine.clock(wall=time.monotonic)).found


def test_a_profile_that_is_not_measured_yet_says_what_is_missing():
    check = only("warning", robot("fr3"))
    assert check.found.startswith("still to be measured: home_joints") and "setup --robot fr3" in check.cure


def test_a_wrong_profile_is_an_error(tmp_path):
    (tmp_path / "mine.yaml").write_text("name: mine\njoins: [a]\n")
    assert "'joins'" in only("error", robot(str(tmp_path / "mine.yaml"))).found


@pytest.mark.parametrize(
    ("keys", "module", "found", "cure"),
    [
        ({"motion": {"backend": "moveit"}}, "moveit", "motion.backend moveit needs moveit_py", "moveit-py"),
        ({"motion": {"backend": "servo"}}, "moveit_msgs", "motion.backend servo needs moveit_msgs", "moveit-msgs"),
        ({"arm_action": "a/follow"}, "control_msgs", "arm_action needs control_msgs", "control-msgs"),
        (
            {"gripper": {"type": "franka", "action": "hand", "max_effort": 5.0}},
            "franka_msgs",
            "gripper.type franka needs franka_msgs",
            "franka-msgs",
        ),
        ({"camera": {"driver": "no_camera/driver_node"}}, "", "executable driver_node is not installed", "no-camera"),
        ({"urdf": "package://no_robot/a.urdf"}, "", "package 'no_robot' is not installed", "correct the name"),
    ],
)
def test_what_a_profile_needs_is_looked_for(monkeypatch, tmp_path, keys, module, found, cure):
    monkeypatch.setitem(sys.modules, module or "nothing", None)
    moveit = {"config_package": "no_config", "group": "a", "srdf": "a", "controllers": ["a"]}
    if keys.get("motion", {}).get("backend") == "moveit":
        keys = {**keys, "moveit": moveit}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"name": "sim", **keys}))
    errors = [check for check in robot(str(tmp_path / "mine.yaml")) if check.level == "error"]
    assert any(found in check.found and cure in check.cure for check in errors), errors
