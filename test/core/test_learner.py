"""The update of QT-Opt pinned by hand-computed numbers, convergence on a problem with a known answer, and exact
resume."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.learning.augmentation import AugmentationConfig, miscalibrate
from robot_finetune.learning.bellman import BellmanConfig, bellman_target
from robot_finetune.learning.checkpoint import Checkpoint, CheckpointError
from robot_finetune.learning.finetuner import FineTuneConfig, FineTuner
from robot_finetune.learning.networks.build import build_network
from robot_finetune.learning.networks.interface import NetworkConfig
from robot_finetune.learning.q_policy import QPolicy
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.types import Action, Episode, GraspOutcome, Observation, Step

SMALL = NetworkConfig(image_size=16, channels=4, patch=4, search=4, gripper_patch=4, hidden=8, max_steps=4)
PROFILE = RobotProfile()


def observation(value: int, step: int = 0) -> Observation:
    image = np.full((16, 16, 3), value, np.uint8)
    return Observation(image, np.array(PROFILE.start_pose), 1.0, step, 0.0)


def episode(name: str, value: int, success: bool) -> Episode:
    """A move, then closing; `value` is the grey level of both images."""
    move = Action.move((0.1, -0.2, -0.5), 0.1)
    steps = (Step(observation(value), move, move), Step(observation(value, 1), Action.close(), Action.close()))
    return Episode(name, steps, GraspOutcome(success))


def replay(count: int, offset: int = 0) -> ReplayBuffer:
    """Bright scenes succeed, dark ones fail."""
    buffer = ReplayBuffer(None, capacity=200, image_size=16)
    for index in range(count):
        bright = index % 2 == 0
        buffer.add(episode(f"e{offset + index}", 220 if bright else 30, bright))
    return buffer


def tuner(seed: int = 0, **bellman) -> FineTuner:
    config = FineTuneConfig(
        batch_size=16, bellman=BellmanConfig(**{"learning_rate": 3e-3, "polyak": 0.95, "lag": 5, **bellman})
    )
    return FineTuner(Checkpoint(build_network(SMALL)), replay(10), replay(10, 100), PROFILE, config, seed)


def test_bellman_targets_by_hand():
    reward = torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0])
    bootstrap = torch.tensor([0.7, 0.7, 0.8, 0.001, 1.0])
    discount = torch.tensor([0.0, 0.0, 0.9, 0.9, 0.9])
    expected = torch.tensor([1.0, 0.0, 0.72 - 0.05, 0.0, 1.0])
    assert torch.allclose(bellman_target(reward, bootstrap, discount, 0.05), expected)


def test_the_target_bootstraps_by_the_smaller_of_both_target_networks():
    learner = tuner().learner
    with torch.no_grad():  # the two target networks differ by their last bias alone: Q is constant
        for network, logit in ((learner.target, 1.0), (learner.lagged, -1.0)):
            network.head[-1].weight.zero_()
            network.head[-1].bias.fill_(logit)
    batch = replay(4).sample(np.random.default_rng(0), 32, 1, 0.9)
    low = 0.9 / (1 + np.e) - learner.config.step_cost
    expected = np.where(batch.done > 0, batch.reward, low)
    assert np.allclose(learner.targets(batch).numpy(), expected, atol=1e-5)


def test_one_update_by_hand():
    """A Q-function that is its last bias alone: loss, Adam's first step, and both target networks in numbers."""
    learner = tuner(learning_rate=0.01, weight_decay=0.0, lag=2, polyak=0.9, see_gripper=0.0).learner
    for network in (learner.network, learner.target, learner.lagged):
        with torch.no_grad():
            network.head[-1].weight.zero_()
            network.head[-1].bias.fill_(0.5)
    batch = replay(4).sample(np.random.default_rng(0), 16, terminal_fraction=1.0)  # targets are the rewards
    success = batch.reward.mean()
    q = 1 / (1 + np.exp(-0.5))
    metrics = learner.update(batch)
    assert metrics.loss == pytest.approx(-success * np.log(q) - (1 - success) * np.log(1 - q), abs=1e-5)
    assert metrics.mean_q == pytest.approx(q, abs=1e-5)
    assert metrics.td_error == pytest.approx(success * (1 - q) + (1 - success) * q, abs=1e-5)
    step = 0.01 if q > success else -0.01  # Adam: the rate, against the gradient q - success
    assert learner.network.head[-1].bias.item() == pytest.approx(0.5 - step, abs=1e-5)
    assert float(learner.target.head[-1].bias) == pytest.approx(0.5 - 0.1 * step, abs=1e-6)
    assert float(learner.lagged.head[-1].bias) == 0.5
    learner.update(batch)
    assert torch.equal(learner.lagged.head[-1].bias, learner.target.head[-1].bias)


def test_an_error_of_calibration_is_the_same_before_and_after_the_action():
    batch = replay(10).sample(np.random.default_rng(0), 400)
    moved = miscalibrate(batch, AugmentationConfig(calibration=0.02), np.random.default_rng(1))
    yaw = batch.pose[:, 3]
    for name in ("pose", "next_pose"):
        error = (getattr(moved, name) - getattr(batch, name))[:, :2]
        turned = np.stack([np.cos(yaw) * error[:, 0] + np.sin(yaw) * error[:, 1],
                           -np.sin(yaw) * error[:, 0] + np.cos(yaw) * error[:, 1]], 1)  # fmt: skip
        assert np.allclose(turned, moved.error, atol=1e-6)
    assert 0.015 < moved.error.std() < 0.025 and np.array_equal(moved.image, batch.image)


def test_q_converges_to_the_discounted_success_probability():
    learning = tuner(discount=0.9, step_cost=0.0)
    for _ in range(300):
        learning.update()
    network = learning.learner.target
    with torch.inference_mode():
        for value, success in ((220, 1.0), (30, 0.0)):
            obs = observation(value, 1)
            policy = QPolicy(Checkpoint(network), PROFILE)
            from robot_finetune.learning.q_policy import _state

            features = network.encode(_state(obs))
            close = torch.sigmoid(network.q(features, torch.from_numpy(Action.close().vector)[None, None]))
            assert float(close) == pytest.approx(success, abs=0.15)
            assert policy.act(obs).q >= float(close) - 1e-5


@pytest.mark.parametrize("part", [0.0, 0.25, 1.0])
def test_what_is_deployed_lies_between_the_start_and_what_was_learned(part):
    learning = tuner()
    learning.config = replace(learning.config, base_weight=part)
    learning.update()
    start, learned = build_network(SMALL).state_dict(), learning.learner.target.state_dict()
    for name, weight in learning.network().state_dict().items():
        assert torch.allclose(weight, part * start[name] + (1 - part) * learned[name], atol=1e-7), name


def test_resume_goes_on_with_identical_weights(tmp_path):
    straight, interrupted = tuner(), tuner()
    for _ in range(4):
        straight.update()
        interrupted.update()
    interrupted.save_state(tmp_path / "state.pt")
    resumed = tuner(seed=9)
    resumed.load_state(tmp_path / "state.pt")
    for _ in range(7):
        straight.update()
        resumed.update()
    assert resumed.updates == straight.updates == 11
    for name, tensor in straight.network().state_dict().items():
        assert torch.equal(tensor, resumed.network().state_dict()[name]), name


def test_a_damaged_state_file_says_what_to_do(tmp_path):
    (tmp_path / "state.pt").write_bytes(b"half a file")
    with pytest.raises(CheckpointError, match="remove the file"):
        tuner().load_state(tmp_path / "state.pt")


def test_batches_are_half_new_and_half_base():
    learning = tuner()
    batches = []
    learning.learner.update = lambda batch: batches.append(batch)  # type: ignore[method-assign,assignment]
    base, new = [], []
    for name, seen in (("base", base), ("new", new)):
        buffer = getattr(learning, name)
        original = buffer.sample
        buffer.sample = lambda rng, count, *rest, original=original, seen=seen: (
            seen.append(count) or original(rng, count, *rest)
        )
    learning.update()
    assert (base, new) == ([8], [8]) and len(batches[0].reward) == 16


def test_a_share_of_the_batch_is_what_persons_did_once_there_is_any():
    learning = tuner()
    batches = []
    learning.learner.update = lambda batch: batches.append(batch)  # type: ignore[method-assign,assignment]
    learning.update()
    shown = episode("by hand", 77, True)
    steps = tuple(replace(step, intervention=True) for step in shown.steps)
    learning.new.add(replace(shown, steps=steps))
    learning.update()
    counts = [int((batch.state.image[:, 0, 0, 0] == 77).sum()) for batch in batches]
    assert counts[0] == 0 and counts[1] >= 2 and len(batches[1].reward) == 16
    assert (batches[1].state.image[14:, 0, 0, 0] == 77).all(), "an eighth of the batch, after base and new data"
