"""CEM finds the maximum of known functions, keeps bounds, and prefers to close where closing is best."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_finetune.learning.cem import CLOSE_ACTION, CEMConfig, maximise, move_actions

MAX_YAW = 0.8


def quadratic(goal: torch.Tensor, close_value: float = -10.0):
    """Value of a move: minus the squared distance to `goal` (dx, dy, dz, yaw / MAX_YAW); of closing: `close_value`."""

    def q(actions: torch.Tensor) -> torch.Tensor:
        yaw = torch.atan2(actions[..., 3], actions[..., 4]) / MAX_YAW
        params = torch.cat([actions[..., :3], yaw[..., None]], -1)
        value = -((params - goal) ** 2).sum(-1)
        return torch.where(actions[..., 6] > 0, torch.tensor(close_value), value)

    return q


@given(st.lists(st.floats(-0.9, 0.9), min_size=4, max_size=4), st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_finds_the_maximum_of_a_quadratic(goal, seed):
    config = CEMConfig(samples=128, elites=10, iterations=6, min_std=0.0)
    action, value = maximise(quadratic(torch.tensor(goal)), 3, config, MAX_YAW, torch.Generator().manual_seed(seed))
    assert action.shape == (3, 8)
    assert torch.all(value > -0.02)
    assert torch.allclose(action[:, :3], torch.tensor(goal[:3]).expand(3, 3), atol=0.15)


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_candidates_never_leave_the_action_space(seed):
    seen = []

    def q(actions):
        seen.append(actions)
        return actions.sum(-1)

    maximise(q, 2, CEMConfig(samples=16, elites=4, std=2.0), MAX_YAW, torch.Generator().manual_seed(seed))
    moves = torch.cat([batch.reshape(-1, 8) for batch in seen])
    assert moves[:, :3].abs().max() <= 1
    assert torch.allclose(moves[:, 3] ** 2 + moves[:, 4] ** 2, torch.ones(len(moves)), atol=1e-5)
    assert torch.atan2(moves[:, 3], moves[:, 4]).abs().max() <= MAX_YAW + 1e-5


def test_closes_where_closing_is_best_and_moves_where_it_is_not():
    goal = torch.zeros(4)
    generator = torch.Generator().manual_seed(0)
    closing, value = maximise(quadratic(goal, close_value=1.0), 2, CEMConfig(), MAX_YAW, generator)
    assert torch.equal(closing, torch.tensor(CLOSE_ACTION).expand(2, 8)) and torch.all(value == 1.0)
    moving, _ = maximise(quadratic(goal, close_value=-1.0), 2, CEMConfig(), MAX_YAW, generator)
    assert torch.all(moving[:, 6] < 0)


def test_the_same_seed_gives_the_same_action():
    def once():
        return maximise(quadratic(torch.full((4,), 0.3)), 1, CEMConfig(), MAX_YAW, torch.Generator().manual_seed(5))[0]

    assert torch.equal(once(), once())


def test_each_state_of_a_batch_is_searched_on_its_own():
    goals = torch.tensor([[0.8, 0, 0, 0], [-0.8, 0, 0, 0]])

    def q(actions):
        return -((actions[..., 0] - goals[:, None, 0]) ** 2)

    action, _ = maximise(q, 2, CEMConfig(), MAX_YAW, torch.Generator().manual_seed(1))
    assert action[0, 0] > 0.6 and action[1, 0] < -0.6


@pytest.mark.parametrize("yaw", [-1.0, -0.4, 0.0, 1.0])
def test_a_normalised_yaw_is_a_fraction_of_the_largest(yaw):
    action = move_actions(torch.tensor([0.0, 0.0, 0.0, yaw]), MAX_YAW)
    assert math.isclose(float(torch.atan2(action[3], action[4])), yaw * MAX_YAW, abs_tol=1e-6)
