"""Scores of versions on whole held-out episodes, and the statistics that they are made of."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.learning.held_out import BELLMAN, HeldOut, split
from robot_finetune.learning.networks.build import build_network
from robot_finetune.learning.networks.interface import Features, NetworkConfig, QNetwork
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.stats import auc, calibration_error, rank_correlation, ranks
from robot_finetune.types import CLOSE, Action, Episode, GraspOutcome, Observation, Step

NUMBERS = st.lists(st.integers(-3, 3), min_size=1, max_size=30)


class Foreseeing(QNetwork):
    """A Q-function that reads the outcome from the image: logit `sure` where it is white, else -`sure`; closing is the
    best action by far."""

    def __init__(self, sure):
        super().__init__(NetworkConfig(channels=4, hidden=8))
        self.sure = torch.nn.Parameter(torch.tensor(float(sure)))

    def encode(self, state):
        white = state.image.float().mean((1, 2, 3)) > 127
        sign = torch.where(white, 1.0, -1.0)[:, None]
        nothing = torch.zeros(len(sign), 0, 1, 1)
        return Features.at_calibration(nothing, sign, state.pose, self.geometry.cells(state.cell))

    def q(self, features, action):
        return self.sure * features.context - 20.0 * (action[..., CLOSE] < 0) * (features.context > 2)


def episode(name, success, steps=3, surprising=False):
    image = np.full((64, 64, 3), 255 * (success != surprising), np.uint8)
    actions = [Action.move((0.1, 0.0, 0.0), 0.0)] * (steps - 1) + [Action.close()]
    pose = np.array([0.6, 0.0, 0.2, 0.0])
    made = [Step(Observation(image, pose, 1.0, number), action, action) for number, action in enumerate(actions)]
    return Episode(name, tuple(made), GraspOutcome(success))


@pytest.fixture
def replay():
    buffer = ReplayBuffer(None, 400)
    for number in range(100):
        buffer.add(episode(f"e{number}", number % 4 != 0))
    return buffer


def scores(replay, network, first):
    return HeldOut(replay, first, RobotProfile().workspace.max_step_yaw).scores(network)


def test_golden_scores_of_a_network_that_foresees_everything(replay):
    found = scores(replay, Foreseeing(3.0), Foreseeing(1.0))
    high, low = 1 / (1 + math.exp(-3)), 1 / (1 + math.exp(3))
    assert found.auc == 1 and found.agreement == pytest.approx(1)
    assert found.log_loss == pytest.approx(math.log1p(math.exp(-3)), rel=1e-5)
    assert found.calibration_error == pytest.approx(low, abs=1e-6)
    assert found.soft_opc == pytest.approx(high - (0.75 * high + 0.25 * low), abs=1e-6)
    ahead = [BELLMAN.discount * q - BELLMAN.step_cost for q in (high, low)]  # all actions have the value of the state
    errors = [(2 * abs(high - ahead[0]) + 1 - high) / 3, (2 * abs(low - ahead[1]) + low) / 3]
    assert found.bellman_error == pytest.approx(0.75 * errors[0] + 0.25 * errors[1], abs=1e-5)


def test_one_that_is_sure_of_the_wrong_is_worse_by_every_score(replay):
    replay.add(episode("surprise", True, surprising=True))
    good, bad = (scores(replay, Foreseeing(sure), Foreseeing(2.0)) for sure in (2.0, -2.0))
    assert bad.worse > 3 and good.worse == 0 and bad.log_loss > good.log_loss
    assert bad.auc < 0.1 and bad.soft_opc < 0 < good.soft_opc
    assert bad.calibration_error > good.calibration_error and bad.bellman_error > good.bellman_error
    assert bad.agreement == pytest.approx(-1) and good.agreement == pytest.approx(1)


def test_many_transitions_are_scored_a_few_at_a_time_with_the_same_result(replay, monkeypatch):
    networks = [build_network(NetworkConfig(channels=4, hidden=8), seed).eval() for seed in range(2)]
    for network in networks:
        network.geometry.set_profile(RobotProfile())
    at_once = scores(replay, *networks)
    monkeypatch.setattr("robot_finetune.learning.networks.interface.AT_ONCE", 7)
    again = scores(replay, *networks)
    for name in ("log_loss", "worse", "auc", "calibration_error", "soft_opc", "agreement"):
        assert getattr(again, name) == pytest.approx(getattr(at_once, name), abs=1e-4), name


def test_episodes_that_none_closed_cannot_be_scored(replay):
    nothing = ReplayBuffer(None, 1)
    with pytest.raises(ValueError, match="hold out more episodes"):
        scores(nothing, Foreseeing(1.0), Foreseeing(1.0))


def test_a_split_keeps_every_episode_whole_on_one_side(replay):
    learned, held = split(replay, 0.3)
    assert learned.episodes + held.episodes == 100 and 15 < held.episodes < 45
    assert len(held) == 3 * held.episodes and len(learned) == 3 * learned.episodes
    on_sides = [(f"e{number}" in learned) + (f"e{number}" in held) for number in range(100)]
    assert on_sides == [1] * 100


def test_every_transition_of_a_replay_is_there_once_also_when_it_has_forgotten_some():
    ring = ReplayBuffer(None, 10)
    for number in range(9):
        ring.add(episode(f"e{number}", number % 2 == 0))
    batch = ring.every(1, 0.9)
    assert batch.step.tolist() == [0, 1, 2] * 3 and batch.done.tolist() == [0, 0, 1] * 3
    assert batch.success.tolist() == [1] * 3 + [0] * 3 + [1] * 3
    assert batch.next_step.tolist() == [1, 2, 2] * 3 and batch.reward.tolist() == [0, 0, 1, 0, 0, 0, 0, 0, 1]


@given(NUMBERS)
def test_ranks_are_those_of_a_sorted_list(values):
    order = sorted(values)
    expected = [1 + np.mean([place for place, other in enumerate(order) if other == value]) for value in values]
    assert ranks(np.array(values)).tolist() == pytest.approx(expected)


@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=1, max_size=30))
def test_auc_is_the_chance_that_a_success_is_above_a_failure(pairs):
    values, outcomes = (np.array(column) for column in zip(*pairs, strict=True))
    good, bad = values[outcomes], values[~outcomes]
    pairs = [(one > other) + 0.5 * (one == other) for one in good for other in bad]
    assert auc(values, outcomes.astype(float)) == pytest.approx(np.mean(pairs) if pairs else 0.5)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=20, unique=True))
def test_a_monotonic_change_has_rank_correlation_one(values):
    values = np.array(values)
    assert rank_correlation(values, np.arctan(ranks(values))) == pytest.approx(1)
    assert rank_correlation(values, -ranks(values)) == pytest.approx(-1)
    assert math.isnan(rank_correlation(values, np.zeros(len(values))))


def test_golden_calibration_error():
    outcomes = np.array([1.0, 0.0, 1.0, 1.0])
    assert calibration_error(np.array([0.55, 0.55, 1.0, 1.0]), outcomes) == pytest.approx(0.05 / 2)
    assert calibration_error(np.full(4, 0.75), outcomes) == pytest.approx(0)
    assert calibration_error(np.zeros(0), np.zeros(0)) == 0
