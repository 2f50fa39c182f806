"""The shipped base policy sees where the gripper really is, wherever it is mounted, and nobody told it; and it knows
where it does not."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from robot_finetune.config import share_path
from robot_finetune.experiments.rollouts import RolloutConfig, rollouts
from robot_finetune.learning.checkpoint import load_checkpoint
from robot_finetune.learning.networks import seeing
from robot_finetune.learning.networks.interface import Features, state_tensors
from robot_finetune.robot.profile import load_robot

BASE = str(share_path("models", "base"))


@torch.inference_mode()
def features(variation: str, looks: int = 2, noise: bool = False) -> Features:
    """What the shipped network makes of the steps of a few grasps. noise: of images of it in the place of theirs."""
    episodes = rollouts(RolloutConfig(BASE, variation, noise=0.0), range(310, 318))
    views = [step.observation for episode in episodes for step in episode.steps]
    network = load_checkpoint(BASE).network.eval()
    network.config = replace(network.config, looks=looks)
    network.geometry.set_profile(load_robot())
    names = ("image", "pose", "opening", "step")
    state = state_tensors(*(np.stack([getattr(view, name) for view in views]) for name in names))
    if noise:
        random = torch.Generator().manual_seed(0)
        state = state._replace(image=torch.randint(0, 256, state.image.shape, generator=random, dtype=torch.uint8))
    return network.encode(state)


def seen(variation: str, looks: int) -> torch.Tensor:
    """Where the gripper is seen on average (2,) [m], tool frame."""
    return features(variation, looks).seen.mean(0)


@pytest.mark.parametrize(
    ("variation", "aside"), [("base", 0.0), ("offset_gripper_3cm", 0.03), ("offset_gripper_10cm", 0.1)]
)
def test_an_offset_is_seen(variation, aside):
    assert seen(variation, looks=2).numpy() == pytest.approx([0.0, -aside], abs=0.006)


def test_a_second_look_finds_a_gripper_at_the_edge_of_the_first(tmp_path):
    farther = tmp_path / "offset_gripper_12cm.yaml"
    farther.write_text("gripper: {offset_m: 0.12}\n")
    (_, once), (_, twice) = (seen(str(farther), looks) for looks in (1, 2))
    assert abs(twice + 0.12) < 0.02 < abs(once + 0.12)


def test_its_own_gripper_is_believed_to_be_where_it_is_seen_and_one_that_it_cannot_make_out_where_it_was_calibrated():
    own, nothing = features("offset_gripper_3cm"), features("base", noise=True)
    assert torch.equal(own.shift, own.seen)
    assert nothing.seen.norm(dim=1).median() > 0.01 and nothing.shift.norm(dim=1).median() == 0


def test_the_error_of_where_it_is_seen_by_hand():
    seen, exact = torch.tensor([[0.01, 0.0], [0.03, 0.02]]), torch.full((2,), 1e-9)
    surprise = [(error / 0.5 + np.log(0.5)) / 2 for error in (1.0, 1.0)]  # both are 1 cm off
    place = torch.tensor([[0.0, 0.0], [0.02, 0.02]])
    assert seeing.misplaced(seen, exact, place).item() == pytest.approx((0.75 + 0.75) / 4 + np.mean(surprise))
    place[1] = torch.nan
    assert seeing.misplaced(seen, exact, place).item() == pytest.approx(0.75 / 4 + surprise[0] / 2)


@pytest.mark.parametrize("error", [0.02, 0.05])
def test_a_spread_like_the_error_is_best(error):
    seen, place = torch.tensor([[0.0, error]]), torch.zeros(1, 2)
    spreads = torch.arange(0.005, 0.1, 0.001)
    losses = torch.stack([seeing.misplaced(seen, spread[None], place) for spread in spreads])
    assert spreads[losses.argmin()].item() == pytest.approx(error, abs=0.0021)


def test_the_gripper_is_not_in_a_window_at_a_place_away_from_it():
    place = torch.tensor([[0.05, -0.1], [torch.nan, torch.nan]]).repeat(200, 1)
    away = seeing.places_away(place, torch.Generator().manual_seed(1))
    far = (away - torch.nan_to_num(place)).norm(dim=1)
    assert far.min() >= 0.2 and far.max() <= 0.35 and far.std() > 0.03


def test_being_sure_of_nothing_costs():
    assert seeing.imagined(torch.tensor([0.11, 0.2])) == 0
    assert seeing.imagined(torch.tensor([0.01, 0.11])).item() == pytest.approx(2.5)
