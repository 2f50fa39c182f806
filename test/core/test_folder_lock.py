"""One owner a folder, in real processes: a second one is refused by the name of the first, a dead one is succeeded."""

import json
import os
import platform
import signal
import subprocess
import sys

import pytest

from robot_finetune.config import ConfigError
from robot_finetune.data.folder_lock import FolderBusy, folder_lock

HOLD = """
import sys, time
from pathlib import Path
from robot_finetune.data.folder_lock import folder_lock
with folder_lock(Path(sys.argv[1]), "trainer", "trainer /robot"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds the folder's lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_owner_is_refused_by_the_name_of_the_first(tmp_path, holder):
    with pytest.raises(FolderBusy) as error, folder_lock(tmp_path, "trainer", "trainer"):
        pass
    assert str(tmp_path) in str(error.value) and "\n" not in str(error.value)
    assert f"trainer /robot (process {holder.pid} on {platform.node()})" in str(error.value)
    with folder_lock(tmp_path, "session", "another kind is another lock"):
        pass


def test_the_kernel_lets_go_of_what_a_killed_owner_held(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert json.loads((tmp_path / "trainer.lock").read_text())["process"] == holder.pid, "it had no time to tidy up"
    with folder_lock(tmp_path, "trainer", "next"):
        assert json.loads((tmp_path / "trainer.lock").read_text())["process"] == os.getpid()


def test_an_orderly_end_leaves_nothing_and_may_be_followed(tmp_path):
    for _ in range(2):
        with folder_lock(tmp_path / "new" / "folder", "session", "me"):
            pass
        assert (tmp_path / "new" / "folder" / "session.lock").read_bytes() == b""


def test_another_computer_is_believed_until_its_file_is_removed(tmp_path):
    path = tmp_path / "session.lock"
    path.write_text(json.dumps({"name": "session", "host": "elsewhere", "process": 7}))
    with (
        pytest.raises(FolderBusy, match=rf"process 7 on elsewhere.*remove {path}"),
        folder_lock(tmp_path, "session", "me"),
    ):
        pass
    assert "elsewhere" in path.read_text()
    path.unlink()
    with folder_lock(tmp_path, "session", "me"):
        pass


def test_a_damaged_lock_of_nobody_is_taken_over(tmp_path):
    (tmp_path / "session.lock").write_bytes(b"\xff{" * 100)
    with folder_lock(tmp_path, "session", "me"):
        pass


def test_a_folder_that_cannot_be_locked_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    message = "file/session.lock: cannot be written"
    with pytest.raises(ConfigError, match=message), folder_lock(tmp_path / "file", "session", "me"):
        pass


def test_a_second_session_is_refused_before_it_touches_anything(tmp_path, capsys):
    from session_folder import write_session

    from robot_finetune.cli import main
    from robot_finetune.config import share_path

    write_session(tmp_path, learning=3)
    policy = share_path("models", "base")
    text = (tmp_path / "session.yaml").read_text()
    card = (policy / "model.yaml").read_text()
    sha256 = next(line.split()[1] for line in card.splitlines() if line.startswith("sha256"))
    (tmp_path / "session.yaml").write_text(text.replace("ab" * 32, sha256).replace("policy: ''", f"policy: {policy}"))
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "policy.log").write_text("of the running session")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with folder_lock(tmp_path, "session", "robot-finetune session"):
        assert main(["session", "--resume", str(tmp_path)]) == 1
    assert f"is in use by robot-finetune session (process {os.getpid()}" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in before} == before
