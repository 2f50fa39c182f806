"""A policy from a robot's own grasps, from nothing: sessions over real DDS, and what is learned between them."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from robot_finetune.config import to_mapping
from robot_finetune.data.episode_store import EpisodeStore
from robot_finetune.experiments.online import OnlineConfig
from robot_finetune.experiments.session_process import run_session
from robot_finetune.files import to_json
from robot_finetune.learning.checkpoint import load_checkpoint
from robot_finetune.learning.networks.interface import NetworkConfig

GRASPS, SCRIPTED, ROUND = 22, 16, 6
SMALL = NetworkConfig(channels=8, hidden=8)


@pytest.fixture
def plan(tmp_path):
    learn = {"updates": 8, "evaluate_every": 4, "hold_out": 0.4, "network": to_mapping(SMALL)}
    text = {"grasps": GRASPS, "scripted": SCRIPTED, "round": ROUND, "round_updates": 4, "learn": learn}
    (tmp_path / "plan.yaml").write_text(to_json(text))
    return tmp_path / "plan.yaml"


def test_the_rounds_make_as_many_grasps_as_were_asked_for():
    assert list(OnlineConfig(grasps=1100, scripted=500, round=250).rounds()) == [500, 250, 250, 100]
    assert list(OnlineConfig(grasps=300, scripted=500).rounds()) == [300]


def test_it_collects_without_a_network_and_then_by_what_it_has_learned(plan, tmp_path):
    words = [sys.executable, "-m", "robot_finetune.cli", "pretrain", "--online", "--config", str(plan)]
    done = subprocess.run([*words, "--out", str(tmp_path / "run")], capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    sessions = [EpisodeStore(tmp_path / "run" / "sessions" / name / "episodes") for name in ("00", "01")]
    first, second = ([store.read(path) for path in store.paths()] for store in sessions)
    assert len(first) == SCRIPTED and {episode.mode for episode in first} == {"scripted"}
    assert len(second) >= ROUND and {episode.mode for episode in second} == {"explore"}
    best = load_checkpoint(tmp_path / "run" / "best")
    assert best.network.config == SMALL and best.version > 1
    assert (tmp_path / "run" / "best" / "replay.bin").is_file()
    again = subprocess.run([*words, "--out", str(tmp_path / "run")], capture_output=True, text=True, timeout=200)
    assert again.returncode == 0 and "the node graph is up" not in again.stdout, "nothing was left to collect"


def test_whoever_is_asked_to_end_asks_the_session_and_waits_for_it(tmp_path):
    words = ["--policy", "scripted", "--variation", "base", "--grasps", "500", "--out", str(tmp_path / "session")]
    program = f"from robot_finetune.experiments.session_process import run_session\nrun_session({words!r})"
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    said = ""
    for line in process.stdout:
        said += line
        if "the node graph is up" in line:
            process.send_signal(signal.SIGTERM)
    assert process.wait(60) != 0
    assert "stopped by the operator" in said and (tmp_path / "session" / "report.html").is_file()


def test_a_session_that_fails_is_an_error(tmp_path):
    from robot_finetune.config import ConfigError

    with pytest.raises(ConfigError, match="exit code 1"):
        run_session(["--policy", str(tmp_path / "nothing"), "--out", str(tmp_path / "session")])
