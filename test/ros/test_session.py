"""Whole small sessions: all processes, the real command, real DDS."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from robot_finetune.data.episode_store import EpisodeStore
from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.data.replay_file import pack
from robot_finetune.learning.checkpoint import load_checkpoint, save_checkpoint
from robot_finetune.learning.networks.build import build_network
from robot_finetune.learning.networks.interface import NetworkConfig
from robot_finetune.ros.environment import executable
from robot_finetune.ros.node.qos import EPISODE
from robot_finetune.session.record import read_record
from robot_finetune.session.versions import session_versions
from robot_finetune.types import Action, Episode, GraspOutcome, Observation, Step

BEFORE, GRASPS, AFTER = 4, 12, 4
TRAINING = {
    "min_grasps": 2,
    "updates_per_grasp": 4.0,
    "publish_every": 8,
    "save_every": 2,
    "replay_capacity": 1000,
    "fine_tune": {"batch_size": 4},
}
SUMMARY = {
    *("variation", "seed", "grasps", "grasps_per_minute", "before", "after", "decision_ms", "image", "swap_ms"),
    *("versions", "set_up_s", "wall_s"),
}


class SessionProcess:
    """`robot-finetune session` in a process; what it prints goes to a file."""

    def __init__(self, out, *words):
        self.out, self._log = out, out.parent / "printed.txt"
        command = [sys.executable, str(executable("robot-finetune")), "session", *map(str, words)]
        with self._log.open("w") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)

    @property
    def printed(self):
        return self._log.read_text()

    @property
    def running(self):
        return self._process.poll() is None

    def pid(self, node):
        """Process id of one of its nodes."""
        (pid,) = [pid for pid, name in self.nodes() if name == node]
        return pid

    def nodes(self):
        """Process ids and names of the nodes that it started."""
        found = []
        for task in Path(f"/proc/{self._process.pid}/task").iterdir():
            for pid in (task / "children").read_text().split():
                words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
                found += [(int(pid), Path(word).name) for word in words if "/lib/robot_finetune/" in word]
        return found

    def interrupt(self):
        self._process.send_signal(signal.SIGINT)

    def wait(self):
        try:
            return self._process.wait(300)
        except subprocess.TimeoutExpired:
            pytest.fail(f"the session did not end; it printed:\n{self.printed}")

    def end(self):
        if self.running:
            self._process.send_signal(signal.SIGINT)
            self.wait()


@pytest.fixture
def session(tmp_path):
    """session() starts a small session with a random policy; session("--resume", ...) whatever is asked for."""
    image = np.zeros((64, 64, 3), np.uint8)
    step = Step(Observation(image, np.array([0.6, 0.0, 0.2, 0.0]), 1.0, 0), Action.close(), Action.close())
    network = build_network(NetworkConfig(channels=8, hidden=8, max_steps=2), 0)
    save_checkpoint(tmp_path / "base", network, 5, 4, {})
    replay = ReplayBuffer(None, 10)
    replay.add(Episode("base", (step,), GraspOutcome(True)))
    pack(replay, tmp_path / "base" / "replay.bin")
    (tmp_path / "params.yaml").write_text(
        yaml.safe_dump({"/**/trainer": {"ros__parameters": {"poll_period": 0.1, "training": TRAINING}}})
    )
    out = tmp_path / "out"
    words = ["--policy", tmp_path / "base", "--variation", "extend_gripper_1cm", "--out", out, "--image-check", 1]
    words += ["--before", BEFORE, "--grasps", GRASPS, "--after", AFTER, "--params-file", tmp_path / "params.yaml"]
    started = []

    def start(*other):
        started.append(SessionProcess(out, *(other or words)))
        return started[-1]

    yield start
    for process in started:
        process.end()


@pytest.fixture
def summaries(ros):
    from robot_finetune.msg import EpisodeSummary

    return ros.collect(EpisodeSummary, "episode_summary", EPISODE)


def learning(summaries):
    return {summary.episode_id for summary in summaries if summary.mode == "explore"}


def wait_for(ros, session, condition, what):
    """Wait for a condition, as long as the session runs."""
    ros.wait_until(lambda: condition() or not session.running, what)
    assert session.running, session.printed


def check_complete(out):
    """A whole session: its counts, its figures, its report."""
    summary = json.loads((out / "summary.json").read_text())
    assert set(summary) >= SUMMARY and summary["ended"] == "complete"
    assert (summary["before"]["episodes"], summary["grasps"], summary["after"]["episodes"]) == (BEFORE, GRASPS, AFTER)
    assert summary["variation"] == "extend_gripper_1cm" and summary["decision_ms"]["p95"] > 0
    assert summary["image"]["hz"] > 0 and summary["image"]["p95_ms"] > 0 and summary["swap_ms"]["max"] >= 0
    assert summary["grasps_per_minute"] > 0 and summary["wall_s"] > summary["set_up_s"] > 0
    assert (out / "report.html").is_file() and not EpisodeStore(out / "episodes").verify().corrupt
    return summary


def test_a_session_learns_and_survives_its_trainer(session, ros, summaries):
    process = session()
    wait_for(ros, process, lambda: len(learning(summaries)) >= 3, "the first grasps to learn from")
    os.kill(process.pid("trainer"), signal.SIGKILL)
    assert process.wait() == 0, process.printed
    assert "trainer was killed by SIGKILL; started again" in process.printed
    out = process.out
    summary = check_complete(out)
    logged = {path.stem for path in EpisodeStore(out / "episodes").paths()}
    assert {item.episode_id for item in summaries} <= logged
    record = read_record(out)
    assert record.metrics.restarts == {"trainer": 1}
    assert {grasp.version for grasp in record.phases.before} == {5}, "the first policy is measured as it came"
    newest = session_versions(out)[-1]
    assert {grasp.version for grasp in record.phases.after} == {newest.version}, "the newest one is measured"
    assert newest.grasps == GRASPS and load_checkpoint(newest.folder).sha256 == newest.sha256
    assert {row["version"] for row in summary["versions"]} >= {grasp.version for grasp in record.phases.all}
    assert "grasps a minute" in process.printed and "images: " in process.printed and "report: " in process.printed


def test_ctrl_c_ends_with_a_report_and_resume_goes_on(session, ros, summaries):
    process = session()
    wait_for(ros, process, lambda: len(learning(summaries)) >= 2, "the first grasps to learn from")
    process.interrupt()
    assert process.wait() == 0, process.printed
    out = process.out
    assert f"session --resume {out}" in process.printed and "Traceback" not in process.printed
    stopped = json.loads((out / "summary.json").read_text())
    assert stopped["ended"].startswith("stopped by the operator") and 2 <= stopped["grasps"] <= GRASPS
    assert stopped["before"]["episodes"] == BEFORE and "not complete" in (out / "report.html").read_text()

    resumed = session("--resume", out)
    assert resumed.wait() == 0, resumed.printed
    summary = check_complete(out)
    assert summary["wall_s"] > stopped["wall_s"] and len(summary["versions"]) >= len(stopped["versions"])

    again = session("--resume", out, "--after", AFTER + 2)
    assert again.wait() == 0, again.printed
    more = json.loads((out / "summary.json").read_text())
    assert more["after"]["episodes"] == AFTER + 2 and more["grasps"] == GRASPS
    assert more["versions"][-1]["version"] == summary["versions"][-1]["version"], "nothing was learned in between"


@pytest.mark.parametrize("node", ["policy", "sim_cell"])
def test_the_death_of_what_moves_the_arm_ends_the_session_with_one_line(session, ros, summaries, node):
    process = session()
    wait_for(ros, process, lambda: summaries, "a grasp")
    os.kill(process.pid(node), signal.SIGKILL)
    assert process.wait() == 1
    (line,) = [line for line in process.printed.splitlines() if line.startswith("error: ")]
    assert f"{node} was killed by SIGKILL" in line and "Traceback" not in process.printed
    summary = json.loads((process.out / "summary.json").read_text())
    assert summary["before"]["episodes"] >= 1 and node in (process.out / "report.html").read_text()
