"""Pre-training that is killed goes on as if it had not been."""

from dataclasses import replace

import pytest
import torch

from robot_finetune.config import ConfigError
from robot_finetune.data.replay_file import unpack
from robot_finetune.experiments.pretrain import PretrainConfig, Pretraining
from robot_finetune.learning.checkpoint import CheckpointError, load_checkpoint
from robot_finetune.learning.networks.interface import NetworkConfig

CONFIG = PretrainConfig(
    scripted=6, updates=3, rounds=2, round_episodes=3, round_updates=2, batch_size=4, evaluate_every=2, episodes=2,
    base_replay=8, network=NetworkConfig(channels=4, hidden=8),
)  # fmt: skip


def test_a_cell_that_the_camera_does_not_see_is_refused_before_anything_is_collected(tmp_path):
    (tmp_path / "away.yaml").write_text("name: sim\ncamera: {target: [1.3, 0.5, 0.9]}\n")
    with pytest.raises(ConfigError, match="sees next to nothing of the objects .* camera.position"):
        Pretraining(CONFIG, tmp_path / "run", str(tmp_path / "away.yaml")).run()


class Killed(Exception):
    pass


def test_a_run_that_is_killed_within_a_round_ends_with_identical_weights(tmp_path, monkeypatch):
    torch.set_num_threads(1)
    straight = Pretraining(CONFIG, tmp_path / "straight")
    straight.run()
    broken = Pretraining(CONFIG, tmp_path / "broken")

    def die():
        raise Killed

    add, added = broken.explored.add, []

    def add_and_die(episode):
        add(episode)
        added.append(episode)
        if len(added) == 4:  # the first of the second round
            die()

    monkeypatch.setattr(broken.explored, "add", add_and_die)
    with pytest.raises(Killed):
        broken.run()
    resumed = Pretraining(CONFIG, tmp_path / "broken")
    assert (resumed.round, resumed.learner.updates, resumed.explored.episodes) == (2, 5, 3)
    resumed.run()
    assert resumed.explored.episodes == straight.explored.episodes == 6
    for name, tensor in straight.learner.target.state_dict().items():
        assert torch.equal(tensor, resumed.learner.target.state_dict()[name]), name
    folders = [tmp_path / run / "best" for run in ("straight", "broken")]
    assert len({load_checkpoint(folder).sha256 for folder in folders}) == 1
    assert (folders[1] / "replay.bin").read_bytes() == (folders[0] / "replay.bin").read_bytes()
    assert list((tmp_path / "broken" / "tensorboard").iterdir())
    with pytest.raises(CheckpointError, match="other settings"):
        Pretraining(replace(CONFIG, batch_size=6), tmp_path / "broken")


def test_it_goes_on_from_a_policy_and_keeps_that_one_where_nothing_better_was_found(tmp_path):
    torch.set_num_threads(1)
    Pretraining(CONFIG, tmp_path / "first").run()
    first = load_checkpoint(tmp_path / "first" / "best")
    other = replace(CONFIG, seed=1, updates=0, network=NetworkConfig(), base_replay=10)
    on = Pretraining(other, tmp_path / "on", policy=tmp_path / "first" / "best")
    assert on.config.network == CONFIG.network and on.first.episodes == 8
    for name, tensor in first.network.state_dict().items():
        assert torch.equal(tensor, on.learner.network.state_dict()[name]), name
    on.run()
    assert on.learner.updates == 4, "none on the first episodes"
    assert load_checkpoint(tmp_path / "on" / "versions" / "000000").sha256 == first.sha256, "measured as it was"
    best = load_checkpoint(tmp_path / "on" / "best")
    assert best.meta["from"] == first.sha256 and unpack(tmp_path / "on" / "best" / "replay.bin").episodes == 10
    if best.meta["updates"] == 0:
        assert best.sha256 == first.sha256
    with pytest.raises(CheckpointError, match="other settings"):
        Pretraining(replace(other, network=CONFIG.network), tmp_path / "on")


def test_a_policy_may_learn_to_see_only_and_grasps_as_before(tmp_path):
    torch.set_num_threads(1)
    Pretraining(CONFIG, tmp_path / "first").run()
    first = load_checkpoint(tmp_path / "first" / "best").network.state_dict()
    Pretraining(
        replace(CONFIG, rounds=0, seeing_only=True), tmp_path / "sees", policy=tmp_path / "first" / "best"
    ).run()
    sees = load_checkpoint(tmp_path / "sees" / "best").network.state_dict()
    changed = {name.partition(".")[0] for name, tensor in first.items() if not torch.equal(tensor, sees[name])}
    assert changed == {"find"}
    replays = [unpack(tmp_path / run / "best" / "replay.bin") for run in ("first", "sees")]
    assert replays[0].episodes == replays[1].episodes
    blind = replace(CONFIG, seeing_only=True, network=NetworkConfig("grasping44", 472))
    with pytest.raises(ConfigError, match="does not look for the gripper"):
        Pretraining(blind, tmp_path / "blind")


def test_the_learning_rate_falls_to_its_last_value():
    config = PretrainConfig(updates=100, rounds=2, round_updates=50, decay_from=0.5, final_rate=0.1)
    rates = [config.learning_rate(update) / config.bellman.learning_rate for update in (0, 100, 150, 200)]
    assert rates == pytest.approx([1.0, 1.0, 0.55, 0.1])


def test_a_network_with_larger_images_and_other_episodes_is_pretrained_on_such(tmp_path):
    network = replace(CONFIG.network, image_size=96, max_steps=4)
    Pretraining(replace(CONFIG, rounds=1, network=network), tmp_path).run()
    assert unpack(tmp_path / "best" / "replay.bin").image_size == 96
    assert load_checkpoint(tmp_path / "best").network.config == network
