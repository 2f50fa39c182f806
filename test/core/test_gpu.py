"""On a real accelerator: `pytest -m gpu test/core/test_gpu.py`. What can be shown without one is in test_device.py."""

import gc
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_device import CEM, NETWORKS, PRECISE, PROFILE, filled, grasps

from robot_finetune.learning.bellman import QLearner
from robot_finetune.learning.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from robot_finetune.learning.device import DeviceError, choose, has_bfloat16, synchronise
from robot_finetune.learning.finetuner import FineTuneConfig, FineTuner
from robot_finetune.learning.networks.build import build_network
from robot_finetune.learning.networks.interface import CPU
from robot_finetune.learning.q_policy import PolicyConfig, QPolicy, probe

DEVICE = choose("auto")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(DEVICE == CPU, reason="no accelerator that torch can use"),
]


@pytest.fixture(params=NETWORKS)
def name(request):
    return request.param


def exact(monkeypatch):
    """float32 everywhere, as on the CPU."""
    monkeypatch.setattr("robot_finetune.learning.device.has_bfloat16", lambda device: False)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def learner(name, device, config=PRECISE):
    network = build_network(NETWORKS[name]).to(device)
    network.geometry.set_profile(PROFILE)
    return QLearner(network, config, 0.8)


def tuner(name, seed=0):
    size = NETWORKS[name].image_size
    start = Checkpoint(build_network(NETWORKS[name]).eval().to(DEVICE))
    config = FineTuneConfig(8, bellman=PRECISE)
    return FineTuner(start, filled(size, 8), filled(size, 8, offset=50), PROFILE, config, seed)


def batch(name, count=16):
    return filled(NETWORKS[name].image_size, 8).sample(np.random.default_rng(0), count, terminal_fraction=0.5)


def weights(network):
    return {name: tensor.cpu() for name, tensor in network.state_dict().items()}


def test_targets_loss_and_weights_are_those_of_the_cpu(name, monkeypatch):
    exact(monkeypatch)
    here, there = learner(name, CPU), learner(name, DEVICE)
    drawn = batch(name)
    assert torch.allclose(here.targets(drawn), there.targets(drawn).cpu(), atol=1e-3)
    rate = here.config.learning_rate
    for near in (2e-3, 2e-2):  # before the second update Adam has made a whole step of what may be rounding
        assert here.update(drawn) == pytest.approx(tuple(there.update(drawn)), abs=near)
    others = weights(there.network)
    for key, tensor in weights(here.network).items():  # Adam's first steps are the rate, whatever small a gradient is
        assert torch.allclose(tensor.float(), others[key].float(), atol=4 * rate), key


def test_mixed_precision_learns_the_same(name):
    if not has_bfloat16(DEVICE):
        pytest.skip(f"{DEVICE} has no bfloat16")
    drawn, mixed, precise = batch(name), learner(name, DEVICE), learner(name, CPU)
    assert mixed.update(drawn).loss == pytest.approx(precise.update(drawn).loss, abs=0.05)


def test_a_resumed_run_has_the_same_state_and_the_same_batches(name, tmp_path):
    """The state bit for bit; after it steps differ by rounding, since a GPU sums gradients in any order."""
    straight = tuner(name)
    for _ in range(3):
        straight.update()
    straight.save_state(tmp_path / "state.pt")
    resumed = tuner(name, seed=9)
    resumed.load_state(tmp_path / "state.pt")
    for mine, other in zip(weights(straight.network()).values(), weights(resumed.network()).values(), strict=True):
        assert torch.equal(mine, other)
    resumed.save_state(tmp_path / "again.pt")
    assert_same(*(torch.load(tmp_path / file, weights_only=True) for file in ("state.pt", "again.pt")))
    assert straight.update() == pytest.approx(tuple(resumed.update()), rel=1e-2, abs=1e-3)
    straight.save_state(tmp_path / "state.pt")
    resumed.save_state(tmp_path / "again.pt")
    mine, other = (torch.load(tmp_path / file, weights_only=True) for file in ("state.pt", "again.pt"))
    assert_same(mine["rng"], other["rng"])
    assert_same(mine["learner"]["generator"], other["learner"]["generator"])


def assert_same(mine, other):
    """Nested dictionaries and lists, bit for bit."""
    assert type(mine) is type(other)
    if isinstance(mine, dict):
        assert mine.keys() == other.keys()
        for key, value in mine.items():
            assert_same(value, other[key])
    elif isinstance(mine, (list, tuple)):
        for pair in zip(mine, other, strict=True):
            assert_same(*pair)
    else:
        assert torch.equal(mine, other) if isinstance(mine, torch.Tensor) else mine == other


def test_a_checkpoint_there_and_back_is_the_same_file(name, tmp_path):
    sha256 = save_checkpoint(tmp_path / "cpu", build_network(NETWORKS[name]), 1, 0, {})
    there = load_checkpoint(tmp_path / "cpu", device=DEVICE)
    probe(there, PROFILE)
    assert save_checkpoint(tmp_path / "there", there.network, 1, 0, {}) == sha256
    assert load_checkpoint(tmp_path / "there").network.device == CPU


def test_decisions_are_those_of_the_cpu(name, monkeypatch):
    exact(monkeypatch)
    seen = next(grasps(NETWORKS[name].image_size)).steps[0].observation
    network, config = build_network(NETWORKS[name]).eval(), PolicyConfig(replace(CEM, samples=64, elites=6))
    here = QPolicy(Checkpoint(network), PROFILE, config, seed=1).act(seen)
    moved = Checkpoint(build_network(NETWORKS[name]).eval().to(DEVICE))
    there = QPolicy(moved, PROFILE, config, seed=1).act(seen)
    assert there.q == pytest.approx(here.q, abs=1e-3)


def test_compiled_networks_learn_the_same():
    drawn = batch("compact")
    plain, compiled = learner("compact", DEVICE), learner("compact", DEVICE, replace(PRECISE, compile=True))
    assert plain.update(drawn) == pytest.approx(tuple(compiled.update(drawn)), abs=0.02)


def test_full_memory_says_what_to_do_and_learning_goes_on_with_less():
    if DEVICE.type != "cuda":
        pytest.skip("only CUDA's memory can be limited")
    learning = learner("grasping44", DEVICE)
    small, large = batch("grasping44", 2), batch("grasping44", 64)
    learning.update(small)
    synchronise(DEVICE)
    used = torch.cuda.memory_reserved(DEVICE) + (64 << 20)
    torch.cuda.set_per_process_memory_fraction(used / torch.cuda.get_device_properties(DEVICE).total_memory, DEVICE)
    try:
        with pytest.raises(DeviceError, match=r"out of memory .*smaller batch_size.*device: cpu"):
            learning.update(large)
        gc.collect()  # what the failed update had begun is held by its traceback
        torch.cuda.empty_cache()
        learning.update(small)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, DEVICE)
