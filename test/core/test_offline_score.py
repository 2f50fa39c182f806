"""The offline score of a version: log-loss of Q at closing on grasps that were not learned from."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from robot_finetune.learning.networks.build import build_network
from robot_finetune.learning.networks.interface import CPU, NetworkConfig
from robot_finetune.learning.offline_score import Closing, OfflineScore, is_held_out, log_losses, score
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.types import Action, Episode, GraspOutcome, Observation, Step


class Certain:
    """A Q-function that gives every closing the same logit."""

    device = CPU

    def __init__(self, logit):
        self._logit = logit

    def encode(self, state):
        return state.step

    def q(self, features, actions):
        return torch.full(actions.shape[:2], self._logit)


def closing(index, success, action=None):
    image = np.random.default_rng(index).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    seen = Observation(image, np.array([0.6, 0.0, 0.2, 0.0]), 1.0, 1)
    step = Step(seen, action or Action.close(), Action.close())
    return Closing.of(Episode(f"e{index}", (step,), GraspOutcome(success)))


CLOSINGS = [closing(index, index % 4 != 0) for index in range(12)]  # three of four succeed


def test_golden_log_losses():
    assert log_losses(Certain(0.0), CLOSINGS) == pytest.approx(np.log(2))
    right, wrong = np.log1p(np.exp(-3)), np.log1p(np.exp(3))
    assert log_losses(Certain(3.0), CLOSINGS).tolist() == pytest.approx([wrong, right, right, right] * 3)


def test_a_version_that_is_sure_of_the_wrong_is_clearly_worse():
    found = score(Certain(-5.0), Certain(1.0), CLOSINGS)
    assert found.grasps == 12 and found.log_loss > found.first and found.worse > 3
    assert score(Certain(1.0), Certain(-5.0), CLOSINGS).worse < -3
    assert score(Certain(1.0), Certain(1.0), CLOSINGS).worse == 0


def test_a_score_of_too_few_grasps_says_nothing():
    assert score(Certain(0.0), Certain(1.0), []) == OfflineScore()
    assert score(Certain(-5.0), Certain(1.0), CLOSINGS[:1]).worse == 0


def test_only_grasps_that_the_policy_itself_closed_count():
    assert closing(1, True, Action.move((0.1, 0.0, 0.0), 0.0)) is None
    assert Closing.of(Episode("e", (), GraspOutcome(False))) is None


def test_real_networks_are_scored():
    networks = [build_network(NetworkConfig(channels=8, hidden=8), seed).eval() for seed in (0, 1)]
    found = score(*networks, CLOSINGS)
    assert found.log_loss > 0 and found.first > 0 and found.log_loss != found.first


@given(st.text(max_size=40), st.floats(0.0, 0.9))
def test_what_is_held_out_follows_from_the_id(name, share):
    assert is_held_out(name, share) == is_held_out(name, share)
    assert not is_held_out(name, 0.0) and (is_held_out(name, 0.9) or not is_held_out(name, share))


def test_the_share_that_is_held_out():
    assert sum(is_held_out(f"e{index}", 0.1) for index in range(5000)) / 5000 == pytest.approx(0.1, abs=0.015)


def test_many_closings_are_scored_a_few_at_a_time_with_the_same_result(monkeypatch):
    network = build_network(NetworkConfig(channels=4, hidden=8), 0).eval()
    network.geometry.set_profile(RobotProfile())
    closings = [closing(index, index % 3 == 0) for index in range(9)]
    at_once = log_losses(network, closings)
    monkeypatch.setattr("robot_finetune.learning.networks.interface.AT_ONCE", 2)
    assert log_losses(network, closings) == pytest.approx(at_once, abs=1e-5) and len(at_once) == 9
    assert len(log_losses(network, [])) == 0
