"""A disk that is full or read-only from the start: the session ends with the cause, in one line."""

import subprocess
import sys

import pytest

from robot_finetune.config import share_path
from robot_finetune.data.disk import no_room
from robot_finetune.data.episode_carriers import EpisodeSender
from robot_finetune.ros.environment import executable


@pytest.fixture
def disk(tmp_path):
    """disk(size, options) mounts a small disk and returns its folder."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(*options):
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", folder], capture_output=True, text=True
        )
        if done.returncode:
            pytest.skip(f"nothing may be mounted here: {done.stderr.strip()}")
        return folder

    yield mount
    subprocess.run(["umount", folder], capture_output=True)


def session_line(out):
    """The one line of a session that ends at once, started with the shipped policy."""
    command = [sys.executable, executable("robot-finetune"), "session", "--policy", share_path("models", "base")]
    command += ["--variation", "base", "--before", "1", "--grasps", "5", "--after", "1", "--image-check", "0"]
    done = subprocess.run([*command, "--out", out], capture_output=True, text=True, timeout=240)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    (line,) = done.stderr.splitlines()
    return line


def test_a_full_disk_is_the_cause(disk):
    folder = disk("size=4m")
    with pytest.raises(OSError, match="No space"):
        (folder / "filler").write_bytes(bytes(5 << 20))
    line = session_line(folder / "out")
    assert line.startswith("error: no space left on the disk of") and "free some, or choose another" in line


def test_a_disk_that_is_too_small_for_the_trainer_is_the_cause(disk):
    line = session_line(disk("size=24m") / "out")
    assert "trainer ended with exit code 1" in line and "No space left on device" in line
    assert "lower the replay capacity" in line and "trainer_status" not in line


def test_a_read_only_disk_is_the_cause(disk):
    line = session_line(disk("size=4m", "ro") / "out")
    assert "read-only file system" in line and "choose another folder" in line


def test_a_disk_with_room_is_none(tmp_path):
    assert no_room(tmp_path / "not" / "yet" / "there") == ""


def test_episodes_wait_for_a_full_shared_disk_and_go_there_when_it_has_room(disk, tmp_path):
    folder = disk("size=1m")
    filler = folder / "filler"
    with pytest.raises(OSError, match="No space"):
        filler.write_bytes(bytes(2 << 20))
    names = ["e0.mcap", "e1.mcap", "e2.mcap"]
    (tmp_path / "robot").mkdir()
    for number, name in enumerate(names):
        (tmp_path / "robot" / name).write_bytes(bytes([number]) * 30_000)
    sender = EpisodeSender(tmp_path / "robot", f"file://{folder}/a")
    with pytest.raises(OSError, match="3 episodes wait for their way to the trainer: .*No space"):
        sender.carry(lambda: False)
    filler.unlink()
    sender.carry(lambda: False)
    assert sorted(path.name for path in (folder / "a").iterdir()) == names
    assert all((folder / "a" / name).read_bytes() == (tmp_path / "robot" / name).read_bytes() for name in names)


def test_a_disk_that_fills_up_is_what_a_node_is_said_to_have_died_of(disk):
    from robot_finetune.graph.process_runner import ProcessRunner

    folder = disk("size=4m")
    runner = ProcessRunner(folder / "logs", {}, print)
    (folder / "logs" / "node.log").write_text("error: no camera\n")
    assert runner.cause("node") == "no camera"
    with pytest.raises(OSError, match="No space"):
        (folder / "filler").write_bytes(bytes(5 << 20))
    assert "no space left on the disk" in runner.cause("node")
