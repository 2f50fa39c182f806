"""The benchmarks run and end with one JSON object; what they time is not judged here."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from make_episodes import random_episode

from robot_finetune.cli import main
from robot_finetune.commands.benchmark import BENCHMARKS
from robot_finetune.config import share_path
from robot_finetune.data.episode_log import write_episode
from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.data.replay_file import pack
from robot_finetune.experiments.benchmarks import (
    _offline_score_report,
    decision,
    foreign,
    offline_score,
    peers,
    replay,
    sim,
    workers,
)
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


def test_peers_are_compared_where_they_are_installed(capsys, monkeypatch):
    monkeypatch.setitem(peers.GRASPS, 64, 200)
    measured = result(capsys, "peers", "--sizes", "64")
    names = {"robot_finetune", *measured["versions"]}
    assert names == set(measured["replay"]["64"]) and "robot_finetune" in measured["episode"]
    ours = measured["replay"]["64"]["robot_finetune"]
    assert ours["disk_gb"] == pytest.approx(1.24, rel=0.05)  # an image once, and little else


def test_replay_leaves_no_files_and_skips_what_does_not_fit(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(replay, "QUICK_SIZES", (50, 100, 10**9))
    measured = result(capsys, "replay", "--folder", str(tmp_path))
    assert list(measured["sizes"]) == ["50", "100"]
    assert not list(tmp_path.iterdir())


def test_transfer(capsys):
    sizes = result(capsys, "transfer")["sizes"]
    assert [round(each["bytes"] / 1e6, 1) for each in sizes.values()] == [0.5, 5.0]
    for each in sizes.values():
        assert each["swap_ms"] > 0 and 0 < each["arrival_ms"]["p50"] <= each["arrival_ms"]["max"]
        assert each["images"]["p50_ms"] > 0 and each["images_meanwhile"]["p50_ms"] > 0


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


@pytest.fixture
def shipped(tmp_path):
    """The shipped network with a replay of a few grasps that closed at once."""
    folder, packed = tmp_path / "policy", ReplayBuffer(None, 20)
    shutil.copytree(share_path("models", "base"), folder, ignore=shutil.ignore_patterns("replay.bin"))
    for number in range(20):
        image = np.full((64, 64, 3), 10 * number, np.uint8)
        seen = Observation(image, np.array([0.6, 0.0, 0.2, 0.0]), 1.0, 0)
        close = Step(seen, Action.close(), Action.close())
        packed.add(Episode(f"e{number}", (close,), GraspOutcome(number % 2 == 0)))
    pack(packed, folder / "replay.bin")
    return str(folder)


def test_offline_score_makes_scores_and_measures_versions_and_goes_on_where_it_was(shipped, tmp_path, monkeypatch):
    monkeypatch.setattr(offline_score, "MORE_GRASPS", 4)
    plan = offline_score.Plan(shipped, tmp_path / "work", ("harsh_lighting",), 1, 6, 2, 8, 0.5)
    jobs = [job for job in plan.jobs() if job.kind in ("first policy", "good", "30 % of labels flipped")]
    assert len(jobs) == 3
    offline_score.explored(plan, jobs[0])
    cells = [json.loads(plan.path(offline_score.work(plan, job)).read_text()) for job in jobs]
    good = cells[1]
    assert good["updates"] == 8 and good["result"]["episodes"] == 2
    assert set(good["scores"]) == {"held-out share", "further grasps", "base replay"}
    for on, first in good["first"].items():
        assert first["worse"] == 0 and first["agreement"] == pytest.approx(1), on
        assert good["scores"][on]["log_loss"] != first["log_loss"]
    written = plan.path(jobs[1]).stat().st_mtime_ns
    offline_score.work(plan, jobs[1])
    assert plan.path(jobs[1]).stat().st_mtime_ns == written
    plan_told = {"grasps": 6, "hold_out": 0.5, "episodes": 2}
    told = {"made_by": {"sha256": "", "commit": "", "machine": ""}, "plan": plan_told}
    assert "30 % of labels flipped" in _offline_score_report.markdown(
        {**told, **_offline_score_report.summarise(cells)}
    )


def test_flipped_labels_are_those_of_whole_episodes():
    grasps = ReplayBuffer(None, 400)
    for number in range(100):
        grasps.add(random_episode(number))
    flipped = offline_score.flipped(grasps, 0.3, np.random.default_rng(0))
    assert (grasps.successes, flipped.episodes) == (100, 100) and 15 < 100 - flipped.successes < 45
    assert offline_score.flipped(grasps, 1.0, np.random.default_rng(0)).successes == 0


def cell(kind, variation, rate, log_loss):
    """A version that has `log_loss` everywhere, where the first policy has 0.5; all other scores say nothing."""
    one = {name: 0.5 for name in _offline_score_report.RULES}
    places = ("held-out share", "further grasps", "base replay")
    scores = {on: one | {"log_loss": log_loss} for on in places}
    result = {"success_rate": rate, "successes": round(100 * rate), "episodes": 100}
    made = {"kind": kind, "variation": variation, "updates": 1, "result": result}
    return made | ({"scores": scores, "first": dict.fromkeys(places, one)} if log_loss else {})


def test_scores_are_judged_by_how_they_rank_and_whom_they_would_have_rejected():
    made = [cell("first policy", "a", 0.6, 0), cell("first policy", "b", 0.3, 0)]
    made += [cell("bad", "a", 0.4, 0.9), cell("middling", "a", 0.6, 0.5), cell("good", "a", 0.8, 0.3)]
    made += [cell("bad", "b", 0.1, 0.55), cell("good", "b", 0.4, 0.4)]
    found = _offline_score_report.summarise(made)
    ranks = next(row for row in found["ranks"] if row["score"] == "log_loss" and row["on"] == "held-out share")
    assert ranks["within a variation"] == 1 and 0 < ranks["pooled"] < 1
    assert next(row for row in found["ranks"] if row["score"] == "auc")["pooled"] is None
    rejected = {row["margin"]: row for row in found["rejected"] if row["score"] == "log_loss"}
    assert [rejected[margin]["really worse"] for margin in (0.0, 0.1)] == ["2 of 2", "1 of 2"]
    assert {row["really better"] for row in rejected.values()} == {"0 of 2"}
    assert {row["kind"]: row["really worse"] for row in found["versions"]} == {"bad": 2, "middling": 0, "good": 0}
