"""The benchmarks run and end with one JSON object; what they time is not judged here."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from make_episodes import random_episode

from robot_finetune.cli import main
from robot_finetune.commands.benchmark import BENCHMARKS
from robot_finetune.data.episode_log import write_episode
from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.data.replay_file import pack
from robot_finetune.experiments.benchmarks import decision, foreign, replay, sim, workers
from robot_finetune.learning.checkpoint import save_checkpoint
from robot_finetune.learning.networks.build import build_network
from robot_finetune.learning.networks.interface import NetworkConfig
from robot_finetune.stats import Proportion
from robot_finetune.types import Action, Episode, GraspOutcome, Observation, Step


def result(capsys, name, *arguments):
    assert main(["benchmark", name, "--quick", "--json", *arguments]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_every_benchmark_is_a_command():
    assert {path.stem for path in Path(sim.__file__).parent.glob("[!_]*.py")} == set(BENCHMARKS)


def test_decision(capsys, monkeypatch):
    monkeypatch.setitem(decision.QUICK_ROUNDS, "compact", 1)
    measured = result(capsys, "decision", "--networks", "compact")["compact"]
    assert measured["candidates"] == 193
    assert measured["act_over_bare"] == pytest.approx(measured["act_ms"] / measured["bare_ms"])


def test_training(capsys):
    measured = result(capsys, "training")
    assert measured["update_over_bare"] == pytest.approx(measured["update_ms"] / measured["bare_ms"])
    assert 0 < measured["bootstrapped"] < measured["batch_size"] == 64
    assert (measured["network"], measured["device"]) == ("compact", "cpu")


def test_replay_leaves_no_files_and_skips_what_does_not_fit(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(replay, "QUICK_SIZES", (50, 100, 10**9))
    measured = result(capsys, "replay", "--folder", str(tmp_path))
    assert list(measured["sizes"]) == ["50", "100"]
    assert not list(tmp_path.iterdir())


def test_sim(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(sim, "QUICK_BLOCK", 1)
    save_checkpoint(tmp_path, build_network(NetworkConfig()), 1, 0, {})
    measured = result(capsys, "sim", "--policy", str(tmp_path))
    assert measured["scripted"]["grasps"] == measured["learned"]["grasps"] == 1


def test_workers(capsys, monkeypatch, tmp_path):
    pytest.importorskip("ray", reason="ray is not installed (requirements-ray.txt)")
    monkeypatch.setattr(workers, "QUICK_BLOCK", 2)
    save_checkpoint(tmp_path, build_network(NetworkConfig()), 1, 0, {})
    measured = result(capsys, "workers", "--policy", str(tmp_path), "--processes", "1")
    rates = measured["ray_grasps_per_second"], measured["processes_grasps_per_second"]
    assert measured["ray_over_processes"] == pytest.approx(rates[0] / rates[1])
    assert measured["grasp_bytes"] > 64 * 64 * 3


def test_a_foreign_cell_says_how_often_the_judgement_was_right(tmp_path):
    truth = []
    for number, (judged, held) in enumerate([(True, True), (False, False), (True, False), (False, None)]):
        episode = replace(random_episode(number), outcome=GraspOutcome(judged), stamp=1_700_000_000.0 + number)
        write_episode(tmp_path / "session" / "episodes", episode)
        truth += [json.dumps({"episode_id": episode.episode_id, "held": held})] if held is not None else []
    (tmp_path / "truth.jsonl").write_text("\n".join(truth))
    assert foreign.judgements(tmp_path) == Proportion(2, 3), "the grasp that never lifted is not counted"


def test_a_simulator_that_ends_at_once_is_one_line(capsys, tmp_path):
    script = tmp_path / "simulator.py"
    script.write_text("import a_simulator_that_nobody_has")
    words = ["--simulator", str(script), "--robot", str(script), "--work", str(tmp_path / "work")]
    assert main(["benchmark", "foreign", *words]) == 1
    said = capsys.readouterr().err
    assert "has ended at once: ModuleNotFoundError" in said and "requirements.txt" in said and "Traceback" not in said


def test_a_missing_policy_is_one_line(capsys, tmp_path):
    assert main(["benchmark", "sim", "--quick", "--policy", str(tmp_path)]) == 1
    assert "no checkpoint there" in capsys.readouterr().err


def test_adaptation_goes_on_where_it_was_and_mixes_no_results(tmp_path):
    policy, replay_buffer = tmp_path / "policy", ReplayBuffer(None, 2)
    save_checkpoint(policy, build_network(NetworkConfig(channels=4, hidden=8)), 1, 0, {})
    seen = Observation(np.zeros((64, 64, 3), np.uint8), np.array([0.6, 0.0, 0.2, 0.0]), 1.0, 0)
    close = Action.close()
    replay_buffer.add(Episode("e", (Step(seen, close, close),), GraspOutcome(True)))
    pack(replay_buffer, policy / "replay.bin")

    def adaptation(*arguments):
        folders = ["--policy", str(policy), "--work", str(tmp_path / "work"), "--out", str(tmp_path / "out")]
        small = ["--variations", "harsh_lighting", "--seeds", "1", "--baselines", "0", "--processes", "1"]
        command = [sys.executable, "-m", "robot_finetune.cli", "benchmark", "adaptation", *folders, *small, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    first = adaptation("--grasps", "1", "--episodes", "1")
    assert first.returncode == 0, first.stderr
    cells = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "work" / "cells").iterdir()}
    assert sorted(cells) == ["adapt-harsh_lighting-1-0.json", "base-base-0-0.json", "base-harsh_lighting-0-0.json"]
    refused = adaptation("--grasps", "1", "--episodes", "2")
    assert refused.returncode == 1 and "remove it or give --work" in refused.stderr
    again = adaptation("--grasps", "1", "--episodes", "1")
    assert again.returncode == 0 and "harsh_lighting" in (tmp_path / "out.md").read_text()
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "work" / "cells").iterdir()} == cells
