"""The command line: help at once, and one line for every mistake of a user."""

import subprocess
import sys

import pytest
from session_folder import write_session, write_version

from robot_finetune import cli


@pytest.fixture
def policy(tmp_path):
    """A checkpoint folder as far as `session` looks into it before it starts anything."""
    return write_version(tmp_path, 1)


def error_line(capsys, *words):
    """The one line on standard error of a command that fails."""
    assert cli.main([str(word) for word in words]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    return line


def test_help_loads_no_heavy_library():
    program = (
        "import sys\nfrom robot_finetune import cli\n"
        "try: cli.main(['--help'])\nexcept SystemExit as end: assert end.code == 0\n"
        "assert not {'torch', 'mujoco', 'rclpy', 'cv2', 'matplotlib'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in cli.COMMANDS)


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_each_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main([command, "--help"])
    assert end.value.code == 0 and f"robot-finetune {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [["sesion"], ["session", "--grasps", "many"], ["session", "--out", "a", "--resume", "b"]]
)
def test_wrong_usage_has_exit_code_2(words, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(words)
    assert end.value.code == 2 and "usage" in capsys.readouterr().err


def test_an_unknown_variation_names_those_there_are(tmp_path, policy, capsys):
    words = ["session", "--policy", policy, "--variation", "offset_griper_10cm", "--out", tmp_path / "out"]
    line = error_line(capsys, *words)
    assert "did you mean 'offset_gripper_10cm'?" in line and "harsh_lighting" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--policy", "no/such/folder", "no checkpoint there"),
        ("--robot", "no_such_robot", "unknown robot"),
        ("--grasps", "0", "grasps = 0: allowed is 1 to"),
        ("--real-time-factor", "-1", "real_time_factor = -1"),
        ("--params-file", "nothing.yaml", "nothing.yaml: no such file"),
    ],
)
def test_a_session_checks_its_arguments_before_it_starts(option, value, said, tmp_path, policy, capsys):
    words = ["session", "--policy", policy, "--out", tmp_path / "out", option, value]
    assert said in error_line(capsys, *words)
    assert not (tmp_path / "out").exists()


def test_a_broken_variation_file_is_named_with_its_line(tmp_path, policy, capsys):
    (tmp_path / "mine.yaml").write_text("name: mine\nscene: [light")
    line = error_line(capsys, "session", "--policy", policy, "--variation", tmp_path / "mine.yaml")
    assert "mine.yaml:2: not valid YAML" in line


def test_damaged_weights_are_not_started_with(policy, capsys):
    (policy / "model.safetensors").write_text("other weights")
    assert "are not those of its card" in error_line(capsys, "session", "--policy", policy)


def test_a_folder_with_a_session_is_not_overwritten(tmp_path, policy, capsys):
    line = error_line(capsys, "session", "--policy", policy, "--out", write_session(tmp_path))
    assert "--resume" in line


def test_a_resumed_session_keeps_its_variation(tmp_path, capsys):
    line = error_line(capsys, "session", "--resume", write_session(tmp_path), "--variation", "base")
    assert "--variation belongs to the session" in line


def test_a_folder_that_cannot_be_written_is_named(tmp_path, policy, capsys):
    pytest.importorskip("robot_finetune.msg", reason="the messages are not built")
    (tmp_path / "file").write_text("")
    line = error_line(capsys, "session", "--policy", policy, "--out", tmp_path / "file" / "out")
    assert "cannot be written (Not a directory); choose another --out" in line


def test_there_is_nothing_to_resume_in_another_folder(tmp_path, capsys):
    assert "no session there" in error_line(capsys, "session", "--resume", tmp_path)


def test_episodes_are_listed_verified_and_exported(tmp_path, capsys):
    folder = write_session(tmp_path / "session")
    assert cli.main(["episodes", "list", str(folder)]) == 0
    listed = capsys.readouterr().out
    assert len(listed.splitlines()) == 51 and "contradiction" in listed
    assert cli.main(["episodes", "verify", str(folder)]) == 0
    assert "50 episodes, 25 successes, 100 steps" in capsys.readouterr().out
    assert cli.main(["episodes", "export", str(folder), "--out", str(tmp_path / "export")]) == 0
    assert len(list((tmp_path / "export").glob("*.npz"))) == 50
    (folder / "episodes" / "e0001.mcap").write_bytes(b"nothing")
    assert cli.main(["episodes", "verify", str(folder)]) == 1
    assert "e0001.mcap" in capsys.readouterr().err


def test_an_unknown_benchmark_is_one_line(capsys):
    assert "unknown benchmark 'speed of light'" in error_line(capsys, "benchmark", "speed of light")
