"""Explore, fine-tune, evaluate, on the real simulated cell: what the commands promise to scripts that read them."""

import json
from dataclasses import replace

import numpy as np
import pytest
import yaml

from robot_finetune.cli import main
from robot_finetune.config import from_mapping
from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.data.replay_file import pack, unpack
from robot_finetune.experiments.adaptation import AdaptConfig, explore
from robot_finetune.experiments.benchmarks import retention
from robot_finetune.experiments.rollouts import SCENES_A_DAY, RolloutConfig, rollouts
from robot_finetune.experiments.workers import HERE
from robot_finetune.learning.checkpoint import load_checkpoint, save_checkpoint
from robot_finetune.learning.networks.build import build_network
from robot_finetune.learning.networks.interface import NetworkConfig
from robot_finetune.perception.cell_numbers import cell_numbers
from robot_finetune.robot.profile import load_robot
from robot_finetune.sim.randomisation import Randomisation
from robot_finetune.stats import Proportion

QUICK = ["--config", "adapt.yaml", "--grasps", "2", "--episodes", "2", "--processes", "1", "--json"]


@pytest.fixture
def policy(tmp_path, monkeypatch):
    """A small untrained policy with a replay, and the folder with it as working directory."""
    monkeypatch.chdir(tmp_path)
    save_checkpoint("base", build_network(NetworkConfig(channels=4, hidden=8, max_steps=3), 0), 3, 2, {})
    replay = ReplayBuffer(None, 20)
    explore("base", "base", 2, 1, replay)
    pack(replay, tmp_path / "base" / "replay.bin")
    (tmp_path / "adapt.yaml").write_text("{min_updates: 2, max_updates: 2, fine_tune: {batch_size: 4}}")
    return tmp_path / "base"


def last_json(capsys):
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_adapt_reports_before_and_after_on_both_tasks(policy, tmp_path, capsys):
    words = ["adapt", "--policy", "base", "--variation", "offset_gripper_3cm", "--out", "out", "--scratch", *QUICK]
    assert main(words) == 0
    result = last_json(capsys)
    assert {"variation", "grasps", "seed", "updates", "promoted_version", "seconds"} <= result.keys()
    assert (result["variation"], result["updates"], result["promoted_version"]) == ("offset_gripper_3cm", 2, 4)
    for key, version in (("before", 3), ("after", 4), ("base_before", 3), ("base_after", 4), ("scratch", 1)):
        assert (result[key]["policy_version"], result[key]["episodes"]) == (version, 2)
    assert load_checkpoint(tmp_path / "out" / "checkpoint").parent == 3
    assert json.loads((tmp_path / "out" / "result.json").read_text()) == result


def test_a_lineage_goes_on_from_step_to_step_and_rehearses_what_came_before(policy, tmp_path, capsys):
    words = ["lineage", "--policy", "base", "--variations", "checkerboard_backing,extend_gripper_1cm", "--out", "out"]
    base_steps = len(unpack(policy / "replay.bin"))
    assert main([*words, *QUICK]) == 0
    first, second = last_json(capsys)["steps"]
    assert first["variation"] == "checkerboard_backing" and list(first["earlier"]) == ["base"]
    assert list(second["earlier"]) == ["base", "checkerboard_backing"]
    assert second["before"]["policy_version"] == first["after"]["policy_version"] == 4
    assert second["after"]["policy_version"] == 5
    rehearsed = unpack(tmp_path / "out" / "2-extend_gripper_1cm" / "replay.bin")
    assert rehearsed.episodes == 2 + 2 + 2
    assert np.isnan(rehearsed.read_all()[0]["mount"]).any(1).sum() == base_steps  # later ones: as fine-tuning saw them


def test_what_lineages_keep_is_compared_by_how_they_rehearse(policy, tmp_path, monkeypatch):
    config = from_mapping(AdaptConfig, yaml.safe_load((policy.parent / "adapt.yaml").read_text()), "adapt.yaml")
    nothing = replace(config, fine_tune=replace(config.fine_tune, earlier_fraction=0.0))
    monkeypatch.setattr(retention, "OURS", config)
    monkeypatch.setattr(retention, "RECIPES", {"ours": config, "none": nothing})
    order = ("checkerboard_backing", "extend_gripper_1cm")
    cells = retention.run(retention.Plan("base", tmp_path / "work", ("ours", "none"), order, 1, 2, 2), HERE)
    rows = {(row["recipe"], row["measured_on"]): row for row in retention.summarise(cells)}
    assert list(rows) == [(recipe, task) for recipe in ("ours", "none") for task in ("base", *order)]
    assert rows["none", "base"]["after_its_own_step"] == ""
    steps = {cell["kind"]: cell["steps"] for cell in cells if "steps" in cell}
    kept = steps["none"][1]["earlier"][order[0]]
    assert rows["none", order[0]]["at_the_end"] == str(Proportion(kept["successes"], kept["episodes"]))
    assert sorted(path.name for path in (tmp_path / "work").iterdir()) == sorted(
        ["plan.json", "ours-all-0.json", "none-all-0.json", *(f"single-step-{name}-0.json" for name in order)]
    )


def test_exploration_is_as_many_grasps_as_asked_for_and_the_same_again(policy):
    buffers = [ReplayBuffer(None, 40) for _ in range(2)]
    for buffer, parts in zip(buffers, ((3,), (1, 2)), strict=True):
        for grasps in parts:
            explore("base", "base", grasps, 5, buffer)
        assert buffer.episodes == 3
    rows, again = (buffer.read_all()[0] for buffer in buffers)
    assert np.array_equal(rows["action"], again["action"])


def test_an_episode_depends_on_its_seed_alone():
    config = RolloutConfig("teacher", mode="scripted", family="training", randomise=1.0, patterns=True)
    (alone,) = rollouts(config, [31])
    _, after_others = rollouts(config, [3, 31])
    assert alone.meta["cell"] == cell_numbers(load_robot()).tolist()
    assert alone.meta["mount"] == after_others.meta["mount"] and alone.meta["mount"][1] != 0
    for one, other in zip(alone.steps, after_others.steps, strict=True):
        assert np.array_equal(one.observation.image, other.observation.image)
        assert np.array_equal(one.commanded.vector, other.commanded.vector)


def test_a_policy_is_told_where_the_camera_of_the_day_stands_whatever_day_came_before(policy):
    config = RolloutConfig(str(policy), randomise=1.0, randomisation=Randomisation(elsewhere=0.6))
    days = list(rollouts(config, range(0, 6 * SCENES_A_DAY, SCENES_A_DAY)))
    home = cell_numbers(load_robot()).tolist()
    at_home = [day.meta["cell"] == home for day in days]
    assert 0 < sum(at_home) < 6 and len({tuple(day.meta["cell"]) for day in days}) == 7 - sum(at_home)
    for day in (at_home.index(True), at_home.index(False)):
        (alone,) = rollouts(config, [day * SCENES_A_DAY])
        for one, other in zip(alone.steps, days[day].steps, strict=True):
            assert np.array_equal(one.observation.image, other.observation.image)
            assert np.array_equal(one.commanded.vector, other.commanded.vector)


def test_gradient_steps_grow_with_the_grasps_between_two_bounds():
    config = AdaptConfig(updates_per_grasp=3.0, min_updates=100, max_updates=500)
    assert [config.updates(grasps) for grasps in (1, 50, 100, 1000)] == [100, 150, 300, 500]


def test_a_long_run_is_measured_on_its_way_and_goes_on_where_it_was(policy, tmp_path, capsys):
    words = ["benchmark", "long_run", "--policy", "base", "--variations", "offset_gripper_3cm", "--every", "2"]
    words += ["--episodes", "2", "--processes", "1", "--work", "work", "--grasps", "2"]
    words += ["--out", "out/long_run"]
    assert main([*words, "--steps", "2"]) == 0
    curve = tmp_path / "work" / "paper-offset_gripper_3cm-0" / "curve.json"
    first = json.loads(curve.read_text())
    assert list(first) == ["0", "2"]
    assert main([*words, "--steps", "4"]) == 0
    then = json.loads(curve.read_text())
    assert list(then) == ["0", "2", "4"] and {step: then[step] for step in first} == first
    result = json.loads((tmp_path / "out" / "long_run.json").read_text())
    assert set(result["curves"]) == {"paper", "ours"}
    assert set(result["curves"]["ours"]["4"]) == {"offset_gripper_3cm", "base"}
    assert "| 4 |" in (tmp_path / "out" / "long_run.md").read_text()
    capsys.readouterr()
