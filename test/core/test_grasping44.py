"""QT-Opt's network: its size and layers, one encoding for all candidates, and every place where a network is used."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from robot_finetune.config import ConfigError, from_mapping
from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.learning.bellman import BellmanConfig
from robot_finetune.learning.cem import CEMConfig, move_actions
from robot_finetune.learning.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from robot_finetune.learning.finetuner import FineTuneConfig, FineTuner
from robot_finetune.learning.networks import grasping44
from robot_finetune.learning.networks.build import build_network
from robot_finetune.learning.networks.interface import NetworkConfig, State
from robot_finetune.learning.q_policy import PolicyConfig, QPolicy, probe
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.types import CELL_SIZE, Action, Episode, GraspOutcome, Observation, Step

CONFIG = NetworkConfig("grasping44", image_size=472)
PROFILE = RobotProfile()
SMALL_CEM = CEMConfig(samples=4, elites=2, iterations=1)

STATE_BLOCKS, ACTION_BLOCKS = [("Linear", (256,))] * 2, [("Linear", (256,))] * 5
IMAGE_LAYERS = [
    ("Conv2d", (64, 236, 236)), ("MaxPool2d", (64, 79, 79)),
    *[("Conv2d", (64, 79, 79))] * 6, ("MaxPool2d", (64, 27, 27)),
]  # fmt: skip
MERGED_LAYERS = [
    ("Linear", (64,)),
    *[("Conv2d", (64, 27, 27))] * 6, ("MaxPool2d", (64, 14, 14)),
    ("Conv2d", (64, 12, 12)), ("Conv2d", (64, 10, 10)), ("Conv2d", (64, 8, 8)),
    ("Linear", (64,)), ("Linear", (64,)), ("Linear", (1,)),
]  # fmt: skip


def states(count: int, seed: int = 0) -> State:
    generator = torch.Generator().manual_seed(seed)
    image = torch.randint(0, 256, (count, 472, 472, 3), generator=generator, dtype=torch.uint8)
    pose = torch.rand(count, 4, generator=generator) * torch.tensor([0.3, 0.4, 0.2, 1.0]) + torch.tensor(
        [0.45, -0.2, 0, 0]
    )
    cell = torch.full((count, CELL_SIZE), torch.nan)
    return State(image, pose, torch.rand(count, generator=generator), torch.arange(count).float(), cell)


def actions(batch: int, candidates: int) -> torch.Tensor:
    return move_actions(torch.rand(batch, candidates, 4, generator=torch.Generator().manual_seed(1)) * 2 - 1, 0.8)


@pytest.fixture
def network():
    """As if it had learned: weights and statistics with which every layer passes on what it gets."""
    network = build_network(CONFIG).eval()
    network.geometry.set_profile(PROFILE)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                inputs = layer.weight[0].numel()
                layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator) * math.sqrt(2 / inputs))
            if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
                layer.running_var.uniform_(0.5, 1.5, generator=generator)
    return network


def test_it_has_as_many_parameters_as_qt_opts():
    parameters = list(build_network(CONFIG).parameters())
    assert sum(parameter.numel() for parameter in parameters) == 1_242_817
    assert all(parameter.requires_grad for parameter in parameters)


def test_layers_are_those_of_the_paper(network):
    seen = []
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.MaxPool2d, nn.Linear)):
            name = type(layer).__name__
            layer.register_forward_hook(lambda _, __, output, name=name: seen.append((name, tuple(output.shape))))
    with torch.no_grad():
        features = network.encode(states(1))
        assert seen == [(name, (1, *shape)) for name, shape in [*STATE_BLOCKS, *IMAGE_LAYERS]]
        seen.clear()
        network.q(features, actions(1, 3))
    assert seen[:5] == [(name, (1, 3, *shape)) for name, shape in ACTION_BLOCKS]
    assert seen[5:] == [(name, (3, *shape)) for name, shape in MERGED_LAYERS]
    kernels = [layer.kernel_size[0] for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    assert kernels == [6, *[5] * 6, *[3] * 9]


def test_other_image_sizes_are_refused():
    with pytest.raises(ConfigError, match="image_size = 64: network grasping44 takes 472 px"):
        NetworkConfig("grasping44")
    with pytest.raises(ConfigError, match="robot.yaml: image_size = 128"):
        from_mapping(NetworkConfig, {"name": "grasping44", "image_size": 128}, "robot.yaml")


@torch.no_grad()
def test_encoding_once_equals_the_whole_network_for_each_candidate(network, monkeypatch):
    monkeypatch.setattr(grasping44, "ROWS_AT_ONCE", 4)  # two candidates of each state at a time
    state, action = states(2), actions(2, 3)
    together = network.q(network.encode(state), action)
    for row in range(2):
        for candidate in range(3):
            features = network.encode(state[row : row + 1])
            alone = network.q(features, action[row : row + 1, candidate : candidate + 1])
            assert torch.allclose(together[row, candidate], alone[0, 0], rtol=1e-3, atol=1e-4)
    assert together.std() > 1e-2, "the values differ, or their equality would mean nothing"


@torch.no_grad()
@pytest.mark.parametrize("index", range(8))
def test_every_number_of_the_action_counts(network, index):
    action = actions(1, 1)
    other = action.clone()
    other[..., index] += 0.5
    features = network.encode(states(1))
    assert abs(float(network.q(features, other) - network.q(features, action))) > 1e-5


@torch.no_grad()
def test_image_opening_and_height_count_and_nothing_else_of_the_state(network):
    state = states(1)
    before = network.q(network.encode(state), actions(1, 1))

    def change(**what):
        return abs(float(network.q(network.encode(state._replace(**what)), actions(1, 1)) - before))

    up, aside = torch.tensor([[0, 0, 0.05, 0]]), torch.tensor([[0.05, 0.05, 0, 0.5]])
    assert min(change(image=255 - state.image), change(opening=1 - state.opening), change(pose=state.pose + up)) > 1e-5
    assert change(step=state.step + 1, pose=state.pose + aside) == 0


def test_the_gradient_reaches_every_parameter():
    network = build_network(CONFIG).train()
    logits = network.q(network.encode(states(2)), actions(2, 2))
    nn.functional.binary_cross_entropy_with_logits(logits, torch.tensor([[0.0, 1.0], [1.0, 0.0]])).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all() and parameter.grad.any(), name


def test_a_checkpoint_of_it_acts_as_before(network, tmp_path):
    save_checkpoint(tmp_path, network, 2, 1, {})
    loaded = load_checkpoint(tmp_path)
    assert loaded.network.config == CONFIG
    probe(loaded, PROFILE)
    image = states(1).image[0].numpy()
    observation = Observation(image, np.array(PROFILE.start_pose), 1.0, 0)
    config = PolicyConfig(cem=SMALL_CEM)
    decisions = [QPolicy(it, PROFILE, config, seed=4).act(observation) for it in (Checkpoint(network), loaded)]
    assert np.array_equal(decisions[0].action.vector, decisions[1].action.vector)
    assert decisions[0].q == decisions[1].q and 0 < decisions[0].q < 1


def test_it_is_fine_tuned_like_the_other(tmp_path):
    buffer, rng = ReplayBuffer(None, capacity=4, image_size=472), np.random.default_rng(0)
    for index in range(2):
        seen = [
            Observation(rng.integers(0, 256, (472, 472, 3), dtype=np.uint8), np.array(PROFILE.start_pose), 1.0, step)
            for step in range(2)
        ]
        move = Action.move((0.1, -0.2, -0.5), 0.1)
        steps = Step(seen[0], move, move), Step(seen[1], Action.close(), Action.close())
        buffer.add(Episode(f"e{index}", steps, GraspOutcome(index == 0)))
    base = Checkpoint(build_network(CONFIG))
    settings = FineTuneConfig(batch_size=2, base_weight=0.0, bellman=BellmanConfig(target_cem=SMALL_CEM))
    tuner = FineTuner(base, buffer, buffer, PROFILE, settings)
    assert np.isfinite(tuner.update().loss)
    before, after = (network.head[-1].weight for network in (base.network, tuner.network()))
    assert not torch.equal(before, after)
    statistics = [network.stem[1].running_mean for network in (tuner.learner.network, tuner.network())]
    assert torch.equal(*statistics) and statistics[0].any(), "what is deployed normalises as what was trained"
    tuner.save_state(tmp_path / "state.pt")
    resumed = FineTuner(base, buffer, buffer, PROFILE, settings, seed=1)
    resumed.load_state(tmp_path / "state.pt")
    for mine, other in zip(tuner.network().state_dict().values(), resumed.network().state_dict().values(), strict=True):
        assert torch.equal(mine, other)
