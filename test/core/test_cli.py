"""The command line: help at once, and one line for every mistake of a user."""

import shutil
import subprocess
import sys

import click
import pytest
from click.shell_completion import ShellComplete
from session_folder import write_session, write_version

from robot_finetune import __version__, cli, progress
from robot_finetune.commands.benchmark import BENCHMARKS
from robot_finetune.data import episode_table
from robot_finetune.exit_codes import DONE, FAILED, INTERRUPTED, MEANING, WRONG_USAGE


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
        "import sys\nfrom robot_finetune import cli\nassert cli.main(['--help']) == 0\n"
        "for name in cli.commands(): assert cli.main([name, '--help']) == 0\n"
        "assert not {'torch', 'mujoco', 'rclpy', 'cv2', 'matplotlib'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(f"robot-finetune {name}" in done.stdout for name in cli.commands())


@pytest.mark.parametrize("command", cli.commands())
def test_each_command_explains_itself_with_examples(command, capsys):
    assert cli.main([command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"Usage: robot-finetune {command}" in shown and "Examples" in shown


@pytest.mark.parametrize("name", BENCHMARKS)
def test_each_benchmark_explains_itself(name, capsys):
    assert cli.main(["benchmark", name, "--help"]) == 0
    assert f"Usage: robot-finetune benchmark {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["sesion"],
        ["benchmark", "speed of light"],
        ["session", "--grasps", "many"],
        ["session", "--grasps", "-1"],
        ["session", "--real-time-factor", "-1"],
        ["session", "--out", "a", "--resume", "b"],
        ["evaluate", "--episodes", "0"],
        ["evaluate", "--episodes", "-3"],
        ["evaluate", "--processes", "0"],
        ["adapt", "--variation", "base", "--out", "a", "--grasps", "-1"],
        ["lineage", "--out", "a", "--seed", "-1"],
        ["pretrain", "--out", "a", "--threads", "0"],
        ["benchmark", "adaptation", "--grasps", "50,-1"],
        ["benchmark", "grasp_detection", "--episodes", "0"],
        ["benchmark", "sim", "--blocks", "0"],
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(words, capsys):
    assert cli.main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and "--help" in line


def numbers(command, path=()):
    """(words, parameter) of every numeric option of a command and its subcommands."""
    for name, one in getattr(command, "commands", {}).items():
        yield from numbers(one, (*path, name))
    for parameter in command.params:
        if isinstance(parameter.type, (click.types.IntParamType, click.types.FloatParamType)):
            yield path, parameter


def test_every_number_on_the_command_line_has_bounds():
    ctx = click.Context(cli.program)
    found = [pair for name in cli.commands() for pair in numbers(cli.program.get_command(ctx, name), (name,))]
    benchmarks = cli.program.get_command(ctx, "benchmark")
    found += [pair for name in BENCHMARKS for pair in numbers(benchmarks.get_command(ctx, name), (name,))]
    assert len(found) > 20
    unbounded = [(path, parameter.opts) for path, parameter in found if getattr(parameter.type, "min", None) is None]
    assert unbounded == []


def test_the_version_is_printed(capsys):
    assert cli.main(["--version"]) == 0
    assert __version__ in capsys.readouterr().out


def test_no_words_show_the_help_with_its_sections(capsys):
    assert cli.main([]) == 2
    shown = capsys.readouterr().out
    assert all(title in shown for title in cli.SECTIONS)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_can_complete(shell, capsys):
    assert cli.main(["completion", shell]) == 0
    assert f"_ROBOT_FINETUNE_COMPLETE={shell}_complete" in capsys.readouterr().out


def completions(words, last):
    """What a shell is offered after `words` when `last` has been typed."""
    complete = ShellComplete(cli.program, {}, cli.PROGRAM, "_ROBOT_FINETUNE_COMPLETE")
    return {item.value for item in complete.get_completions(words, last)}


def test_commands_options_and_variations_are_completed():
    assert "session" in completions([], "se")
    assert "--episodes" in completions(["evaluate"], "--e")
    assert completions(["evaluate", "--variation"], "h") == {"harsh_lighting"}
    assert "iiwa14" in completions(["session", "--robot"], "")


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


def test_episodes_of_something_else_do_not_become_a_session_s_own(tmp_path, policy, capsys):
    shutil.copytree(write_session(tmp_path / "first") / "episodes", tmp_path / "launched" / "episodes")
    line = error_line(capsys, "session", "--policy", policy, "--out", tmp_path / "launched")
    assert "episodes of something else" in line and "--out" in line


def test_what_measures_nothing_takes_no_length_of_a_measurement(tmp_path, capsys):
    line = error_line(capsys, "session", "--policy", "scripted", "--before", "3", "--out", tmp_path / "out")
    assert "--before measures a policy, which --policy scripted does not" in line


def test_a_resumed_session_keeps_its_variation(tmp_path, capsys):
    line = error_line(capsys, "session", "--resume", write_session(tmp_path), "--variation", "base")
    assert "--variation belongs to the session" in line


def test_a_folder_that_cannot_be_written_is_named(tmp_path, policy, capsys):
    pytest.importorskip("robot_finetune.msg", reason="the messages are not built")
    (tmp_path / "file").write_text("")
    line = error_line(capsys, "session", "--policy", policy, "--out", tmp_path / "file" / "out")
    assert "cannot be written (Not a directory); choose another folder" in line


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


def test_long_work_shows_how_far_it_is_unless_it_shall_be_quiet(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(progress, "SAY_EVERY", 0.0)
    words = ["episodes", "export", str(write_session(tmp_path)), "--out", str(tmp_path / "export")]
    assert cli.main(words) == DONE
    shown = capsys.readouterr()
    lines = shown.err.splitlines()
    assert len(lines) == 49 and lines[-1].startswith("reading: 50 of 50, ") and lines[-1].endswith(" left")
    assert cli.main([*words, "--quiet"]) == DONE
    assert capsys.readouterr() == (shown.out, "")


def test_exit_codes_are_those_that_are_documented(tmp_path, monkeypatch):
    folder = str(write_session(tmp_path))
    codes = [cli.main(["episodes", *words]) for words in (["list", folder], ["list", str(tmp_path / "no")], ["lst"])]

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(episode_table, "list_rows", interrupted)
    codes.append(cli.main(["episodes", "list", folder]))
    assert codes == [DONE, FAILED, WRONG_USAGE, INTERRUPTED] and set(codes) < set(MEANING)
