"""What every Q-network keeps to, whatever its architecture: the interface that CEM, the learner and checkpoints use."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from robot_finetune.config import share_path
from robot_finetune.learning.checkpoint import load_checkpoint, save_checkpoint
from robot_finetune.learning.networks.build import NETWORKS, build_network
from robot_finetune.learning.networks.interface import ARCHITECTURES, NetworkConfig, state_tensors
from robot_finetune.perception.cell_numbers import cell_numbers
from robot_finetune.robot.profile import RobotProfile

PROFILE = RobotProfile()


@pytest.fixture(scope="module", params=sorted(ARCHITECTURES))
def network(request):
    config = NetworkConfig(request.param, image_size=ARCHITECTURES[request.param] or 64)
    made = build_network(config, seed=1).eval()
    made.geometry.set_profile(PROFILE)
    return made


def states(network, count=2):
    rng, size = np.random.default_rng(0), network.config.image_size
    images = rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    return state_tensors(images, np.tile(PROFILE.start_pose, (count, 1)), np.ones(count), np.arange(count))


def actions(count, states=2):
    return torch.from_numpy(np.random.default_rng(1).uniform(-1, 1, (states, count, 8)).astype(np.float32))


def test_every_choice_of_the_setting_is_a_network():
    assert set(ARCHITECTURES) == set(NETWORKS)


@torch.inference_mode()
def test_an_action_has_the_same_value_alone_and_among_others(network):
    features, candidates = network.encode(states(network)), actions(3)
    together = network.q(features, candidates)
    assert together.shape == (2, 3) and together.isfinite().all()
    alone = torch.cat([network.q(features, candidates[:, index : index + 1]) for index in range(3)], 1)
    torch.testing.assert_close(alone, together, atol=0, rtol=1e-3)  # fresh values can be tiny


@torch.inference_mode()
def test_the_value_depends_on_image_and_action(network):
    seen, candidates = states(network), actions(2)
    values = network.q(network.encode(seen), candidates)
    dark = seen._replace(image=torch.zeros_like(seen.image))
    assert not torch.equal(values, network.q(network.encode(dark), candidates))
    assert not torch.equal(values[:, 0], values[:, 1])


@torch.inference_mode()
def test_each_state_is_seen_through_the_camera_of_its_own_cell(network):
    """A batch of several robots' states has the values that each robot's own network gives."""
    other = replace(
        PROFILE,
        camera=replace(PROFILE.camera, position=(1.2, 0.3, 0.7), focal=1.2 * PROFILE.camera.focal),
        bin_center=(0.55, 0.05),
        floor_z=-0.1,
        workspace=replace(PROFILE.workspace, max_step_xy=0.05),
    )
    seen, candidates = states(network), actions(3)
    own = network.q(network.encode(seen), candidates)
    numbers = torch.from_numpy(np.stack([cell_numbers(PROFILE), cell_numbers(other)]))
    mixed = network.q(network.encode(seen._replace(cell=numbers)), candidates)
    network.geometry.set_profile(other)
    others = network.q(network.encode(seen), candidates)
    network.geometry.set_profile(PROFILE)
    torch.testing.assert_close(mixed, torch.stack([own[0], others[1]]))
    assert not torch.equal(own[1], others[1])


def test_every_parameter_is_trained(network):
    network.train()
    network.q(network.encode(states(network)), actions(2)).sum().backward()
    without = [name for name, parameter in network.named_parameters() if parameter.grad is None]
    network.zero_grad()
    network.eval()
    assert without == []


@torch.inference_mode()
def test_a_checkpoint_gives_the_same_network_back(network, tmp_path):
    save_checkpoint(tmp_path, network, 2, 1, {})
    again = load_checkpoint(tmp_path).network.eval()
    again.geometry.set_profile(PROFILE)
    seen, candidates = states(network), actions(2)
    expected = network.q(network.encode(seen), candidates)
    assert again.config == network.config
    torch.testing.assert_close(again.q(again.encode(seen), candidates), expected, atol=0, rtol=0)


def test_equal_seeds_give_equal_weights_and_leave_torch_alone():
    config = NetworkConfig(channels=4, hidden=8)
    before = torch.random.get_rng_state()
    first, second, third = (build_network(config, seed).state_dict() for seed in (3, 3, 4))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], third[name]) for name in first)


def test_the_shipped_policy_is_one_of_them():
    assert load_checkpoint(share_path("models", "base")).network.config.name in NETWORKS


def test_the_network_of_the_page_can_be_asked():
    page = (Path(__file__).parents[2] / "docs" / "own_network.md").read_text()
    code = next(block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "class Plain" in block)
    exec(code, names := {})
    network = names["Plain"](NetworkConfig())
    images, poses = np.zeros((3, 64, 64, 3), np.uint8), np.zeros((3, 4))
    features = network.encode(state_tensors(images, poses, np.ones(3), np.zeros(3)))
    assert network.q(features, torch.zeros(3, 5, 8)).shape == (3, 5)
