"""Whole small sessions: all processes, the real command, real DDS."""

import json
import os
import signal

import pytest
from small_session import VARIATION, SessionProcess, small_session

from robot_finetune.data.episode_store import EpisodeStore
from robot_finetune.data.promotion_log import Fact, read_promotion
from robot_finetune.learning.checkpoint import load_checkpoint
from robot_finetune.ros.node.qos import EPISODE
from robot_finetune.session.record import read_record
from robot_finetune.session.versions import session_versions
from robot_finetune.types import NO_TRIAL

BEFORE, GRASPS, AFTER = 4, 12, 4
SUMMARY = {
    *("variation", "seed", "grasps", "grasps_per_minute", "before", "after", "decision_ms", "image", "swap_ms"),
    *("versions", "set_up_s", "wall_s"),
}


@pytest.fixture
def session(tmp_path):
    """session() starts a small session with a random policy; session("--resume", ...) whatever is asked for."""
    words = small_session(tmp_path, BEFORE, GRASPS, AFTER)
    started = []

    def start(*other, printed_to=None):
        started.append(SessionProcess(tmp_path / "out", *(other or words), printed_to=printed_to))
        return started[-1]

    yield start
    for process in started:
        process.end()


@pytest.fixture
def summaries(ros):
    from robot_finetune.msg import EpisodeSummary

    return ros.collect(EpisodeSummary, "episode_summary", EPISODE)


def learning(summaries):
    from robot_finetune.msg import PolicyStep

    return {summary.episode_id for summary in summaries if summary.mode == PolicyStep.EXPLORE}


def wait_for(ros, session, condition, what):
    """Wait for a condition, as long as the session runs."""
    ros.wait_until(lambda: condition() or not session.running, what)
    assert session.running, session.printed


def check_complete(out):
    """A whole session: its counts, its figures, its report."""
    summary = json.loads((out / "summary.json").read_text())
    assert set(summary) >= SUMMARY and summary["ended"] == "complete"
    assert (summary["before"]["episodes"], summary["grasps"], summary["after"]["episodes"]) == (BEFORE, GRASPS, AFTER)
    assert summary["variation"] == VARIATION and summary["decision_ms"]["p95"] > 0
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


def test_the_trainers_newest_version_is_tried_before_the_grasps_are_used_up(session, ros, tmp_path):
    kept_back = 6
    words = small_session(tmp_path, BEFORE, GRASPS, AFTER, promotion="gated")
    process = session(*words, "--last-trial", kept_back)
    assert process.wait() == 0, process.printed
    summary = json.loads((process.out / "summary.json").read_text())
    assert (summary["ended"], summary["grasps"], summary["after"]["episodes"]) == ("complete", GRASPS, AFTER)
    trial = summary["promotion"][0]
    late = 2  # grasps until the policy has read a version
    assert trial["decision"] == "trial" and trial["grasp"] <= BEFORE + GRASPS - kept_back + late
    assert f"version {trial['version']} is on trial: acts in turns with version 5" in process.printed
    told, _ = read_promotion(process.out)
    sides = [entry.side for entry in told if isinstance(entry, Fact) and entry.side != NO_TRIAL]
    assert len(sides) >= kept_back - late and abs(sides.count("candidate") - sides.count("incumbent")) <= 1
    assert "Versions on trial" in (process.out / "report.html").read_text()


def test_a_policy_is_measured_alone_and_learns_when_there_are_grasps(session, tmp_path):
    process = session(*small_session(tmp_path, before=2, grasps=0, after=2))
    assert process.wait() == 0, process.printed
    summary = json.loads((process.out / "summary.json").read_text())
    counts = (summary["before"]["episodes"], summary["grasps"], summary["after"]["episodes"])
    assert counts == (2, 0, 0) and "nothing was learned" in (process.out / "report.html").read_text()
    assert "trainer" not in process.printed
    process = session("--resume", process.out, "--grasps", 2)
    assert process.wait() == 0, process.printed
    summary = json.loads((process.out / "summary.json").read_text())
    assert (summary["before"]["episodes"], summary["grasps"], summary["after"]["episodes"]) == (2, 2, 2)


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


def test_a_closed_terminal_ends_with_a_report(session, ros, summaries):
    terminal, its_end = os.openpty()
    process = session(printed_to=its_end)
    os.close(its_end)
    wait_for(ros, process, lambda: summaries, "a grasp")
    os.close(terminal)  # nobody reads any more, and the kernel would send SIGHUP
    process.popen.send_signal(signal.SIGHUP)
    process.popen.send_signal(signal.SIGHUP)  # as a shell does once more
    assert process.wait() == 0
    summary = json.loads((process.out / "summary.json").read_text())
    assert summary["ended"].startswith("stopped by the operator") and (process.out / "report.html").is_file()


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
