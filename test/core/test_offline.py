"""A policy from logged episodes: what it learns from, what it keeps, and how it goes on after a crash."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_learner import SMALL, episode

from robot_finetune.config import ConfigError
from robot_finetune.data.episode_log import write_episode
from robot_finetune.data.replay_file import pack, unpack
from robot_finetune.experiments.offline import OfflineConfig, OfflineTraining
from robot_finetune.learning.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from robot_finetune.learning.finetuner import FineTuneConfig
from robot_finetune.learning.networks.build import build_network
from robot_finetune.learning.offline_score import is_held_out
from robot_finetune.robot.profile import RobotProfile

PROFILE = RobotProfile()
CONFIG = OfflineConfig(updates=8, evaluate_every=4, hold_out=0.3, network=SMALL, fine_tune=FineTuneConfig(batch_size=8))


def grasp(number, mode="scripted"):
    """Bright scenes succeed, dark ones fail."""
    bright = number % 2 == 0
    return replace(episode(f"g{number:04d}", 220 if bright else 30, bright), mode=mode)


@pytest.fixture
def session(tmp_path):
    """A session's folder with 24 scripted grasps, 6 that measured a policy, and a torn file."""
    folder = tmp_path / "session" / "episodes"
    for number in range(24):
        write_episode(folder, grasp(number))
    for number in range(100, 106):
        write_episode(folder, grasp(number, "evaluate"))
    (folder / "torn.mcap").write_bytes(b"half a file")
    return tmp_path / "session"


def weights(folder):
    return load_checkpoint(folder).network.state_dict()


def test_it_learns_from_all_but_evaluations_and_what_is_held_out(session, tmp_path, capsys):
    run = OfflineTraining([session], tmp_path / "out", PROFILE, CONFIG)
    held_out = [number for number in range(24) if is_held_out(f"g{number:04d}", 0.3)]
    assert 0 < len(held_out) < 24
    assert run.new.episodes == 24 - len(held_out) and len(run.closings) == len(held_out)
    assert "torn.mcap" in capsys.readouterr().out
    run.run()
    best = load_checkpoint(tmp_path / "out" / "best")
    assert best.version == 1 and best.meta["grasps"] == run.new.episodes
    assert unpack(tmp_path / "out" / "best" / "replay.bin").episodes == run.new.episodes
    assert list((tmp_path / "out" / "tensorboard").iterdir())


def test_it_tells_bright_from_dark(session, tmp_path):
    fine_tune = replace(CONFIG.fine_tune, bellman=replace(CONFIG.fine_tune.bellman, learning_rate=3e-3, polyak=0.9))
    config = replace(CONFIG, updates=150, evaluate_every=25, fine_tune=fine_tune)
    run = OfflineTraining([session], tmp_path / "out", PROFILE, config)
    run.run()
    assert run.progress.best < 0.35  # log-loss; a coin has 0.69


def test_it_says_what_knowing_nothing_would_score(session, tmp_path, capsys):
    run = OfflineTraining([session], tmp_path / "out", PROFILE, CONFIG)
    share = (run.new.successes + 1) / (run.new.episodes + 2)
    losses = [-np.log(share if closing.success else 1 - share) for closing in run.closings]
    assert run.ignorance == pytest.approx(np.mean(losses))
    run.progress = replace(run.progress, best=run.ignorance + 0.1)
    save_checkpoint(tmp_path / "out" / "best", build_network(SMALL, 3), 1, 0, {})
    run._pack()
    assert "no better than knowing nothing" in capsys.readouterr().out


def test_what_is_best_on_the_held_out_is_kept_and_patience_ends_the_run(session, tmp_path, monkeypatch):
    run = OfflineTraining([session], tmp_path / "out", PROFILE, replace(CONFIG, updates=1000, patience=2))
    losses = iter([0.9, 0.5, 0.7, 0.6, 0.1])
    monkeypatch.setattr("robot_finetune.experiments.offline.log_losses", lambda *_: np.array([next(losses)]))
    run.run()
    assert run.tuner.updates == 16 and run.progress.best == 0.5
    assert load_checkpoint(tmp_path / "out" / "best").meta["updates"] == 8


def test_a_run_that_is_cut_off_ends_with_identical_weights(session, tmp_path, monkeypatch):
    straight = OfflineTraining([session], tmp_path / "straight", PROFILE, CONFIG)
    straight.run()
    broken = OfflineTraining([session], tmp_path / "broken", PROFILE, CONFIG)
    update = broken.tuner.update

    def die():
        if broken.tuner.updates == 6:
            raise KeyboardInterrupt
        return update()

    monkeypatch.setattr(broken.tuner, "update", die)
    with pytest.raises(KeyboardInterrupt):
        broken.run()
    resumed = OfflineTraining([session], tmp_path / "broken", PROFILE, CONFIG)
    assert resumed.tuner.updates == 4
    resumed.run()
    assert resumed.progress == straight.progress
    for name, tensor in straight.tuner.network().state_dict().items():
        assert torch.equal(tensor, resumed.tuner.network().state_dict()[name]), name
    with pytest.raises(CheckpointError, match="other settings"):
        OfflineTraining([session], tmp_path / "broken", PROFILE, replace(CONFIG, hold_out=0.5))


def test_from_a_policy_it_rehearses_the_replay_of_that_policy_and_keeps_it(session, tmp_path):
    policy = tmp_path / "policy"
    save_checkpoint(policy, build_network(SMALL, 3), 4, 3, {})
    first = OfflineTraining([session], tmp_path / "first", PROFILE, CONFIG)
    pack(first.new, policy / "replay.bin")
    run = OfflineTraining([session], tmp_path / "out", PROFILE, CONFIG, policy)
    assert run.base.episodes == first.new.episodes
    run.run()
    best = load_checkpoint(tmp_path / "out" / "best")
    assert (best.version, best.parent) == (5, 4)
    start, learned = weights(policy), weights(tmp_path / "out" / "best")
    assert any(not torch.equal(tensor, learned[name]) for name, tensor in start.items())


def test_where_there_is_nothing_to_learn_from_it_says_what_to_give(session, tmp_path):
    with pytest.raises(ConfigError, match="no episodes there; give the --out folder of a session"):
        OfflineTraining([tmp_path], tmp_path / "out", PROFILE, CONFIG)
    with pytest.raises(ConfigError, match="is held out: give more episodes, or raise hold_out"):
        OfflineTraining([session], tmp_path / "out1", PROFILE, replace(CONFIG, hold_out=0.0))
    for path in (session / "episodes").glob("g00*"):
        path.unlink()
    with pytest.raises(ConfigError, match="exploring or scripted"):
        OfflineTraining([session], tmp_path / "out2", PROFILE, CONFIG)
