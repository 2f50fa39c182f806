"""Processes of a session: what is started again, what ends the session, and that nothing is left."""

import os
import signal
import time

import pytest

from robot_finetune.config import ConfigError
from robot_finetune.graph import process_runner
from robot_finetune.graph.node_spec import NodeSpec
from robot_finetune.graph.process_runner import NodeDied, ProcessRunner, last_meaningful_line

SLEEP = "import time\nprint('here', flush=True)\nwhile True: time.sleep(0.1)"
STUBBORN = "import signal\nfor n in (signal.SIGINT, signal.SIGTERM): signal.signal(n, signal.SIG_IGN)\n" + SLEEP
BROKEN = "import sys\nprint('error: no camera: plug it in', file=sys.stderr)\nsys.exit(1)"
ENDING = (
    "import signal, sys\nsignal.signal(signal.SIGINT, lambda *_: (print('saved', flush=True), sys.exit(0)))\n" + SLEEP
)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """run(program, respawn=...) starts a runner with one node `node` that is this program; and what it told."""
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    monkeypatch.setattr(process_runner, "BACK_OFF", (0.01, 0.02))
    monkeypatch.setattr(
        process_runner, "PATIENCE", ((signal.SIGINT, 2.0), (signal.SIGTERM, 0.2), (signal.SIGKILL, 5.0))
    )
    (tmp_path / "lib" / "robot_finetune").mkdir(parents=True)
    runners = []

    def start(program, respawn=False):
        (tmp_path / "lib" / "robot_finetune" / "node").write_text(program)
        told = []
        runner = ProcessRunner(tmp_path / "logs", os.environ, told.append)
        runners.append(runner)
        runner.start([NodeSpec("node", "node", respawn=respawn)])
        return runner, told

    yield start
    for runner in runners:
        runner.stop()


def wait_until(condition, runner=None):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        if runner is not None:
            runner.poll()
        time.sleep(0.01)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def log(tmp_path):
    path = tmp_path / "logs" / "node.log"
    return path.read_text() if path.exists() else ""


def test_a_killed_node_is_started_again_where_that_is_allowed(run, tmp_path):
    runner, told = run(SLEEP, respawn=True)
    wait_until(lambda: "here" in log(tmp_path))
    first = runner.pid("node")
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: log(tmp_path).count("here") == 2, runner)
    assert runner.pid("node") != first and runner.restarts == {"node": 1}
    assert len(told) == 1 and "node was killed by SIGKILL; started again" in told[0]


def test_the_death_of_another_node_is_told_with_its_last_words(run):
    runner, _ = run(BROKEN)
    with pytest.raises(NodeDied, match=r"node ended with exit code 1: no camera: plug it in \(see .*node.log\)"):
        wait_until(lambda: False, runner)


def test_a_node_that_dies_again_and_again_is_given_up(run):
    runner, told = run(BROKEN, respawn=True)
    with pytest.raises(NodeDied, match="5 times in a row: no camera"):
        wait_until(lambda: False, runner)
    assert len(told) == 4


def test_a_node_whose_configuration_is_wrong_is_not_started_again(run):
    runner, told = run(BROKEN.replace("exit(1)", "exit(78)"), respawn=True)
    with pytest.raises(NodeDied, match="node cannot work with its configuration: no camera: plug it in"):
        wait_until(lambda: False, runner)
    assert told == []


def test_nodes_are_asked_to_end_and_have_the_time_to_do_so(run, tmp_path):
    runner, _ = run(ENDING)
    wait_until(lambda: "here" in log(tmp_path))
    pid = runner.pid("node")
    runner.stop()
    assert "saved" in log(tmp_path) and not alive(pid)
    runner.poll()


def test_a_node_that_does_not_listen_is_killed(run, tmp_path):
    runner, _ = run(STUBBORN)
    wait_until(lambda: "here" in log(tmp_path))
    pid = runner.pid("node")
    runner.stop("node")
    assert not alive(pid)


def test_ctrl_c_of_the_terminal_does_not_reach_the_nodes_by_itself(run, tmp_path):
    runner, _ = run(SLEEP)
    assert os.getsid(runner.pid("node")) != os.getsid(0)


def test_what_is_not_installed_is_named_with_the_cure(run):
    runner, _ = run(SLEEP)
    with pytest.raises(ConfigError, match="executable other is not installed: run `make build`"):
        runner.start([NodeSpec("other", "other")])


@pytest.mark.parametrize(
    ("lines", "line"),
    [
        (["[INFO] [1.2] [policy]: fine", "[FATAL] [1.3] [policy]: no arm", "", "bye"], "no arm"),
        (["Traceback (most recent call last):", "  File", "ValueError: wrong"], "ValueError: wrong"),
        (["error: unknown variation"], "unknown variation"),
        ([], ""),
    ],
)
def test_the_meaningful_line_of_a_log(lines, line):
    assert last_meaningful_line(lines) == line
