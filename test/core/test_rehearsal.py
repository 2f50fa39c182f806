"""Sessions chain: what earlier ones recorded is rehearsed, each with a bounded share, damaged files are passed over."""

import numpy as np
import pytest

from robot_finetune.config import ConfigError
from robot_finetune.data.episode_log import write_episode
from robot_finetune.data.label_log import DISCARD, Label, add_label
from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.data.replay_storage import SETTINGS
from robot_finetune.learning import rehearsal
from robot_finetune.learning.checkpoint import Checkpoint, save_checkpoint
from robot_finetune.learning.finetuner import FineTuneConfig, FineTuner
from robot_finetune.learning.networks.build import build_network
from robot_finetune.learning.networks.interface import NetworkConfig
from robot_finetune.learning.rehearsal import earlier_replay, earlier_sessions
from robot_finetune.learning.trainer import Trainer, TrainerConfig
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.types import Action, Episode, GraspOutcome, Observation, Step

SHAPE = NetworkConfig(channels=8, hidden=8)


@pytest.fixture(scope="module")
def network():
    return build_network(SHAPE, 0)


def episode(name, grey=0, mode="explore", size=64):
    seen = Observation(np.full((size, size, 3), grey, np.uint8), np.array([0.6, 0.0, 0.2, 0.0]), 1.0, 0)
    return Episode(name, (Step(seen, Action.close(), Action.close()),), GraspOutcome(True), mode=mode)


def session(folder, count, grey=0, mode="explore"):
    for number in range(count):
        write_episode(folder / "episodes", episode(f"{folder.name}-{number}", grey, mode))
    return folder


def test_a_policy_from_a_session_rehearses_it_and_what_is_named(tmp_path):
    one, two = session(tmp_path / "one", 1), session(tmp_path / "two", 1)
    policy = one / "checkpoints" / "v0003"
    assert earlier_sessions(policy, [two, one], tmp_path / "new") == [one, two]
    assert earlier_sessions(policy, [], one) == [], "not its own session"
    assert earlier_sessions(tmp_path / "models" / "base", [], tmp_path / "new") == []


def test_what_may_be_learned_from_is_rehearsed_and_what_is_damaged_named(tmp_path, network):
    one = session(tmp_path / "one", 3)
    write_episode(one / "episodes", episode("measured", mode="evaluate"))
    write_episode(one / "episodes", episode("large", size=96))
    (one / "episodes" / "torn.mcap").write_bytes(b"x")
    add_label(one / "episodes", Label("one-0", DISCARD, "me"))
    said = []
    replay = earlier_replay([one], tmp_path / "out", network, said.append)
    assert replay.episodes == 2 and "one-1" in replay and "one-0" not in replay and "measured" not in replay
    assert len(said) == 2 and any("torn.mcap" in line for line in said)


def test_each_session_has_a_bounded_share(tmp_path, network, monkeypatch):
    monkeypatch.setattr(rehearsal, "MOST", 2)
    sessions = [session(tmp_path / "one", 5), session(tmp_path / "two", 3)]
    replay = earlier_replay(sessions, tmp_path / "out", network, print)
    assert replay.episodes == 4


def test_a_chain_of_sessions_goes_all_the_way_back(tmp_path, network):
    one, two = session(tmp_path / "one", 2), session(tmp_path / "two", 2)
    earlier_replay([one], two / "trainer" / "earlier", network, print)
    third = earlier_replay([two], tmp_path / "three" / "trainer" / "earlier", network, print)
    assert third.episodes == 4 and "one-1" in third and "two-1" in third


def test_it_is_kept_and_made_anew_for_other_sessions_or_where_it_is_damaged(tmp_path, network):
    one, two, out = session(tmp_path / "one", 1), session(tmp_path / "two", 2), tmp_path / "out"
    assert earlier_replay([one], out, network, print).episodes == 1
    session(tmp_path / "one", 4)
    assert earlier_replay([one], out, network, print).episodes == 1, "the session has begun with it"
    assert earlier_replay([one, two], out, network, print).episodes == 6
    (out / SETTINGS).write_text("{")
    said = []
    assert earlier_replay([one, two], out, network, said.append).episodes == 6 and len(said) == 1


def test_a_folder_without_episodes_is_an_error(tmp_path, network):
    with pytest.raises(ConfigError, match="no episodes there"):
        earlier_replay([tmp_path / "nothing"], tmp_path / "out", network, print)


@pytest.mark.parametrize(("fraction", "expected"), [(0.25, 4), (0.0, 0), (1.0, 16)])
def test_earlier_grasps_have_their_share_of_the_base_half(network, fraction, expected, monkeypatch):
    base, new, earlier = (ReplayBuffer(None, 40) for _ in range(3))
    for grey, buffer in ((0, base), (100, new), (200, earlier)):
        for number in range(30):
            buffer.add(episode(f"{grey}-{number}", grey))
    config = FineTuneConfig(batch_size=32, transfer=0.0, earlier_fraction=fraction)
    tuner = FineTuner(Checkpoint(network), base, new, RobotProfile(), config, earlier=earlier)
    batches = []
    monkeypatch.setattr(tuner.learner, "update", batches.append)
    tuner.update()
    greys = batches[0].state.image[:, 0, 0, 0].tolist()
    assert (greys.count(0), greys.count(100), greys.count(200)) == (16 - expected, 16, expected)


def test_the_trainer_rehearses_the_session_that_its_policy_is_from(tmp_path, network):
    one = session(tmp_path / "one", 3)
    policy = one / "checkpoints" / "v0008"
    save_checkpoint(policy, network, 8, 7, {})
    Trainer(policy, tmp_path / "new", RobotProfile(), TrainerConfig())
    kept = ReplayBuffer.open(tmp_path / "new" / "trainer" / "earlier")
    assert kept.episodes == 3
