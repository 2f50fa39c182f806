"""The benchmarks run and end with one JSON object; what they time is not judged here."""

import json

import pytest

from benchmarks import _timing, decision, replay, sim, training
from robot_finetune.learning.checkpoint import save_checkpoint
from robot_finetune.learning.q_network import NetworkConfig, build_network


def result(capsys, module, *arguments):
    assert _timing.main(module.run, module.__doc__, module.OPTIONS, ["--quick", "--json", *arguments]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_decision(capsys, monkeypatch):
    monkeypatch.setitem(decision.QUICK_ROUNDS, "compact", 1)
    measured = result(capsys, decision, "--networks", "compact")["compact"]
    assert measured["candidates"] == 193
    assert measured["act_over_bare"] == pytest.approx(measured["act_ms"] / measured["bare_ms"])


def test_training(capsys):
    measured = result(capsys, training)
    assert measured["update_over_bare"] == pytest.approx(measured["update_ms"] / measured["bare_ms"])
    assert 0 < measured["bootstrapped"] < measured["batch_size"] == 64


def test_replay_leaves_no_files_and_skips_what_does_not_fit(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(replay, "QUICK_SIZES", (50, 100, 10**9))
    measured = result(capsys, replay, "--folder", str(tmp_path))
    assert list(measured["sizes"]) == ["50", "100"]
    assert not list(tmp_path.iterdir())


def test_sim(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(sim, "QUICK_BLOCK", 1)
    save_checkpoint(tmp_path, build_network(NetworkConfig()), 1, 0, {})
    measured = result(capsys, sim, "--policy", str(tmp_path))
    assert measured["scripted"]["grasps"] == measured["learned"]["grasps"] == 1


def test_a_missing_policy_is_one_line(capsys, tmp_path):
    assert _timing.main(sim.run, sim.__doc__, sim.OPTIONS, ["--quick", "--policy", str(tmp_path)]) == 1
    assert "no checkpoint there" in capsys.readouterr().err
