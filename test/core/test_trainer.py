"""The trainer loses nothing when it is killed: replay, optimiser and version numbers go on from what is on disk."""

import dataclasses
import os
import re
import shutil

import numpy as np
import pytest
import yaml

from robot_finetune.config import share_path
from robot_finetune.data.episode_log import write_episode
from robot_finetune.data.label_log import Label, add_label
from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.data.replay_file import pack
from robot_finetune.learning.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from robot_finetune.learning.finetuner import FineTuneConfig
from robot_finetune.learning.networks.build import build_network
from robot_finetune.learning.networks.interface import NetworkConfig
from robot_finetune.learning.offline_score import is_held_out
from robot_finetune.learning.trainer import Trainer, TrainerConfig
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.types import Action, Episode, GraspOutcome, Observation, Step

CONFIG = TrainerConfig(
    min_grasps=3,
    updates_per_grasp=2.0,
    publish_every=4,
    save_every=2,
    replay_capacity=100,
    hold_out=0.0,
    fine_tune=FineTuneConfig(batch_size=4),
)


def episode(index, mode="explore", contradiction=False):
    rng = np.random.default_rng(index)
    steps = []
    for step in range(2):
        image = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        seen = Observation(image, np.array([0.6, 0.0, 0.2, 0.0]), 1.0, step)
        action = Action.close() if step else Action.move((0.1, 0.2, -0.3), 0.1)
        steps.append(Step(seen, action, action))
    outcome = GraspOutcome(bool(index % 2), contradiction=contradiction)
    return Episode(f"e{index:04d}", tuple(steps), outcome, "checkerboard_backing", mode)


def log(out, indices, mode="explore"):
    for index in indices:
        write_episode(out / "episodes", episode(index, mode))


@pytest.fixture
def base(tmp_path):
    save_checkpoint(tmp_path / "base", build_network(NetworkConfig(channels=8, hidden=8), 0), 7, 6, {})
    replay = ReplayBuffer(None, 10)
    replay.add(episode(1000))
    pack(replay, tmp_path / "base" / "replay.bin")
    return tmp_path / "base"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def start(base, out):
    trainer = Trainer(base, out, RobotProfile(), CONFIG)
    trainer.collect()
    return trainer


def train(trainer):
    versions = []
    while not trainer.waiting:
        version = trainer.update()
        if version:
            versions.append(version)
    return versions


def test_it_waits_for_grasps_and_keeps_to_its_budget(base, out):
    trainer = start(base, out)
    log(out, range(2))
    assert trainer.collect() == 2 and "2 of the first 3" in trainer.waiting
    log(out, range(2, 5))
    trainer.collect()
    train(trainer)
    assert trainer.updates == CONFIG.updates_per_grasp * 5 and "waiting for new ones" in trainer.waiting


def test_explored_and_scripted_grasps_are_learned_from_and_no_others(base, out):
    log(out, range(3), "evaluate")
    log(out, range(3, 6))
    log(out, range(6, 8), "scripted")
    assert start(base, out).grasps == 5


@pytest.mark.parametrize("learn", [True, False])
def test_grasps_whose_witnesses_disagree_are_left_out_if_that_is_wanted(base, out, learn):
    log(out, range(3))
    write_episode(out / "episodes", episode(3, contradiction=True))
    trainer = Trainer(base, out, RobotProfile(), dataclasses.replace(CONFIG, learn_from_contradictions=learn))
    assert trainer.collect() == 3 + learn


def test_versions_carry_their_parent_and_what_they_learned_from(base, out):
    log(out, range(5))
    first, second = train(start(base, out))
    assert (first.version, first.parent, second.version, second.parent) == (8, 7, 9, 8)
    loaded = load_checkpoint(second.folder, second.sha256)
    assert loaded.version == 9 and loaded.meta == {"variation": "checkerboard_backing", "grasps": 5, "updates": 8}


def test_after_a_kill_it_goes_on_where_it_was(base, out):
    log(out, range(5))
    killed = start(base, out)
    for _ in range(6):  # saved at 6, published at 4
        killed.update()
    log(out, range(5, 8))
    again = start(base, out)
    assert (again.updates, again.version, again.grasps, again.newest.version) == (6, 8, 8, 8)
    assert again.replay.episodes == 8
    assert [version.version for version in train(again)] == [9, 10, 11]


def test_a_torn_checkpoint_is_passed_over_and_its_number_is_not_used_again(base, out):
    log(out, range(5))
    *_, torn = train(start(base, out))
    (torn.folder / "model.safetensors").write_bytes(b"torn")
    again = start(base, out)
    assert again.version == torn.version - 1 and again.rejected
    log(out, range(5, 8))
    again.collect()
    assert [version.version for version in train(again)][0] == torn.version + 1


def test_a_corrupt_episode_is_named_and_the_rest_is_learned_from(base, out):
    log(out, range(4))
    (out / "episodes" / "e0001.mcap").write_bytes(b"damaged")
    trainer = start(base, out)
    assert trainer.grasps == 3 and "e0001.mcap" in trainer.rejected[0] and "\n" not in trainer.rejected[0]


def test_a_damaged_replay_is_filled_again_from_the_episodes(base, out):
    log(out, range(4))
    start(base, out)
    (out / "trainer" / "replay" / "rows.npy").write_bytes(b"damaged")
    assert start(base, out).replay.episodes == 4


def test_a_base_replay_of_another_image_size_is_refused_before_any_grasp(base, out):
    save_checkpoint(base, build_network(NetworkConfig(image_size=96, channels=8, hidden=8), 0), 7, 6, {})
    with pytest.raises(CheckpointError, match=r"replay.bin: its images have 64 px, those of the network in .* 96"):
        Trainer(base, out, RobotProfile(), CONFIG)


def card(folder, **changes):
    path = folder / "model.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}))


def newest(out):
    return sorted((out / "checkpoints").iterdir())[-1]


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda out: card(newest(out), meta={}), "meta: key 'variation' is missing"),
        (lambda out: card(newest(out), meta=[1]), "meta"),
        (lambda out: card(newest(out), network="x"), "network"),
        (lambda out: card(newest(out), version=float("inf")), "version"),
        (lambda out: (newest(out) / "model.yaml").write_text("a: " + "[" * 3000), "nested too deeply"),
        (lambda out: shutil.copytree(share_path("models", "base"), out / "checkpoints" / "v0099"), "v0099: meta"),
        (lambda out: shutil.copytree(newest(out), out / "checkpoints" / "v0098"), "v0098: holds version 9"),
        (lambda out: (out / "checkpoints" / "v0097").write_text("no folder"), "v0097: no checkpoint"),
        (lambda out: (out / "trainer" / "state.pt").write_bytes(b"PK damaged"), "state.pt: cannot resume.*base policy"),
        (lambda out: (out / "trainer" / "replay" / "episodes.keys").unlink(), "episodes.keys"),
        (lambda out: (out / "trainer" / "replay" / "replay.json").write_text("[" * 100_000), "replay.json"),
        (lambda out: spoil(out / "trainer" / "replay" / "counters.npy", b"}", b" "), "counters.npy"),
        (lambda out: (out / "episodes" / "e9.mcap").mkdir(), "e9.mcap"),
        (lambda out: os.mkfifo(out / "episodes" / "e9.mcap"), "e9.mcap: cannot be read"),
        (lambda out: (out / "episodes" / "e9.mcap").symlink_to("/nope"), "e9.mcap"),
    ],
)
def test_what_is_damaged_beside_good_things_is_passed_over_with_one_line(base, out, damage, told):
    log(out, range(5))
    train(start(base, out))
    damage(out)
    again = start(base, out)
    (line,) = again.rejected
    assert re.search(told, line) and "\n" not in line
    assert again.grasps == again.replay.episodes == 5
    log(out, range(5, 40))
    again.collect()
    numbers = {int(folder.name[1:]) for folder in (out / "checkpoints").iterdir()}
    assert train(again)[0].version == max(numbers) + 1, "numbers only go up"


def spoil(path, old, new):
    path.write_bytes(path.read_bytes().replace(old, new))


def test_a_folder_that_is_no_version_is_no_matter(base, out):
    log(out, range(5))
    (out / "checkpoints" / "v1\u00b2").mkdir(parents=True)
    trainer = start(base, out)
    assert not trainer.rejected and train(trainer)[0].version == 8


def test_grasps_that_are_held_out_are_not_learned_from_and_score_each_version(base, out):
    config = dataclasses.replace(CONFIG, hold_out=0.4)
    log(out, range(20))
    kept = [index for index in range(20) if is_held_out(f"e{index:04d}", 0.4)]
    trainer = Trainer(base, out, RobotProfile(), config)
    assert trainer.collect() == 20 and 3 <= len(kept) <= 17
    assert trainer.replay.episodes == 20 - len(kept)
    (version, *_) = train(trainer)
    assert version.score.grasps == len(kept)
    assert version.score.log_loss != version.score.first and np.isfinite(version.score.worse)
    again = Trainer(base, out, RobotProfile(), config)
    log(out, range(20, 24))
    again.collect()
    assert again.replay.episodes == sum(not is_held_out(f"e{index:04d}", 0.4) for index in range(24))


def test_labels_reach_the_trainer_whether_it_has_learned_from_the_grasp_or_not(base, out):
    log(out, (1, 3))  # successes
    trainer = start(base, out)
    assert trainer.replay.successes == 2
    add_label(out / "episodes", Label("e0001", "failure", "ada"))
    add_label(out / "episodes", Label("e0005", "failure", "ada"))
    add_label(out / "episodes", Label("e0007", "discard", "ada"))
    log(out, (5, 7, 9))
    assert trainer.collect() == 2
    assert (trainer.replay.episodes, trainer.replay.successes) == (4, 2)


def test_a_grasp_that_is_discarded_after_it_was_learned_from_is_gone_with_the_next_start(base, out):
    log(out, range(4))
    assert start(base, out).replay.episodes == 4
    add_label(out / "episodes", Label("e0002", "discard", "ada"))
    trainer = start(base, out)
    assert trainer.replay.episodes == trainer.grasps == 3 and not trainer.rejected


def test_labels_that_were_given_while_no_trainer_ran_reach_what_it_has_learned_from(base, out):
    log(out, (1, 3))
    assert start(base, out).replay.successes == 2
    add_label(out / "episodes", Label("e0001", "failure", "ada"))
    assert start(base, out).replay.successes == 1


def test_robots_have_an_equal_share_of_each_batch_and_versions_of_one_lineage(base, out, tmp_path, monkeypatch):
    openings = {0.25: 9, 0.75: 2, 0.5: 4}
    folders = [out / "episodes", tmp_path / "b", tmp_path / "c"]
    for (opening, count), folder in zip(openings.items(), folders, strict=True):
        for index in range(count):
            made = episode(index)
            steps = [dataclasses.replace(step.observation, opening=opening) for step in made.steps]
            steps = [dataclasses.replace(step, observation=seen) for step, seen in zip(made.steps, steps, strict=True)]
            name = f"{folder.name}{index}"
            write_episode(folder, dataclasses.replace(made, episode_id=name, steps=tuple(steps)))
    config = dataclasses.replace(CONFIG, fine_tune=FineTuneConfig(batch_size=16))
    trainer = Trainer(base, out, RobotProfile(), config, sources=folders[1:])
    assert trainer.collect() == trainer.grasps == sum(openings.values())
    learner, drawn, update = trainer._tuner.learner, [], trainer._tuner.learner.update
    monkeypatch.setattr(learner, "update", lambda batch: drawn.append(batch.state.opening.numpy()) or update(batch))
    while not trainer.update():
        pass
    for batch in drawn:
        shares = [np.isclose(batch, opening).sum() for opening in openings]
        assert sum(shares) == 8 and max(shares) - min(shares) <= 1
    assert all(np.isclose(drawn, opening).sum() > 2 * len(drawn) for opening in openings), "they take turns"
    assert trainer.newest.grasps == 15
    again = Trainer(base, out, RobotProfile(), config, sources=folders[1:])
    assert again.collect() == 15 and again.updates == trainer.updates
