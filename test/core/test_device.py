"""Devices: the choice of one and its errors, and everything that learns and decides on one that is not the CPU.

No GPU is needed: the device is simulated, and refuses what a real one refuses. test_gpu.py is for a real one.
"""

import contextlib
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from simulated_device import DEVICE, MixedDevices, SimulatedDevice
from test_learner import SMALL, episode, replay

from robot_finetune.cli import main
from robot_finetune.config import ConfigError
from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.learning.augmentation import augment
from robot_finetune.learning.batches import Batches
from robot_finetune.learning.bellman import BellmanConfig, QLearner, mixed_batch
from robot_finetune.learning.cem import CEMConfig
from robot_finetune.learning.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from robot_finetune.learning.device import DeviceError, choose, has_bfloat16
from robot_finetune.learning.finetuner import FineTuneConfig, FineTuner
from robot_finetune.learning.networks.build import build_network
from robot_finetune.learning.networks.interface import CPU, NetworkConfig
from robot_finetune.learning.offline_score import Closing, score
from robot_finetune.learning.q_policy import PolicyConfig, QPolicy, probe
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.types import Action, Episode, GraspOutcome, Observation, Step

PROFILE = RobotProfile()
NETWORKS = {"compact": SMALL, "grasping44": NetworkConfig("grasping44", image_size=472)}
CEM = CEMConfig(samples=4, elites=2, iterations=2)
PRECISE = BellmanConfig(target_cem=CEM, lag=2, n_step=1)


@pytest.fixture(autouse=True)
def float32(monkeypatch):
    """Also where the processor has bfloat16: the simulated device has not."""
    monkeypatch.setattr("robot_finetune.learning.device.has_bfloat16", lambda device: False)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*from a non-meta parameter")  # the simulation copies all the same
        yield


@contextlib.contextmanager
def place(device):
    with SimulatedDevice() if device == DEVICE else contextlib.nullcontext():
        yield device


def grasps(size, count=4, offset=0):
    """Grasps of two steps, whose images differ."""
    rng = np.random.default_rng(offset)
    for index in range(count):
        seen = [
            Observation(rng.integers(0, 256, (size, size, 3), dtype=np.uint8), np.array(PROFILE.start_pose), 1.0, step)
            for step in range(2)
        ]
        move = Action.move((0.1, -0.2, -0.5), 0.1)
        steps = Step(seen[0], move, move), Step(seen[1], Action.close(), Action.close())
        yield Episode(f"e{offset + index}", steps, GraspOutcome(index % 2 == 0))


def filled(size, count=4, offset=0):
    buffer = ReplayBuffer(None, capacity=100, image_size=size)
    for one in grasps(size, count, offset):
        buffer.add(one)
    return buffer


def fine_tuner(name, device, batch_size=4, seed=0):
    config = FineTuneConfig(batch_size, bellman=PRECISE)
    start = Checkpoint(build_network(NETWORKS[name]).eval().to(device))
    size = NETWORKS[name].image_size
    return FineTuner(start, filled(size), filled(size, offset=50), PROFILE, config, seed)


def work(name, device, folder):
    """All that is done with a network: fine-tuning, saving, going on, a checkpoint, its score, decisions; of the large
    one less of each."""
    small = name == "compact"
    observation = next(grasps(NETWORKS[name].image_size)).steps[0].observation
    closings = [Closing.of(one) for one in grasps(NETWORKS[name].image_size, 2 if small else 1, 90)]
    folder.mkdir()
    with place(device):
        tuner = fine_tuner(name, device, batch_size=4 if small else 2)
        metrics = [tuner.update() for _ in range(2 if small else 1)]
        tuner.save_state(folder / "state.pt")
        tuner.load_state(folder / "state.pt")
        save_checkpoint(folder / "v1", tuner.network(), 1, 0, {})
        held_out = score(tuner.network().eval(), tuner.start, closings)
        loaded = load_checkpoint(folder / "v1", device=device)
        assert loaded.network.device == device
        if small:
            probe(loaded, PROFILE)
        config = PolicyConfig(CEM, explore_probability=1.0)
        policy = QPolicy(loaded, PROFILE, config, seed=3)
        assert policy.views == "the image and its mirror image"
        policy.begin_episode("explore")
        decisions = [policy.act(observation) for _ in range(2 if small else 1)]
    numbers = [number for decision in decisions for number in (*decision.action.vector, decision.q)]
    return [*metrics, held_out], numbers, (folder / "v1" / "model.safetensors").read_bytes()


@pytest.mark.parametrize("name", NETWORKS)
def test_another_device_does_what_the_cpu_does_and_no_tensor_is_left_behind(name, tmp_path):
    expected, there = work(name, CPU, tmp_path / "cpu"), work(name, DEVICE, tmp_path / "there")
    assert expected == there, "numbers and weights are those of the CPU, bit for bit"


def test_a_tensor_that_is_left_on_the_cpu_is_found():
    network = build_network(SMALL)
    batch = filled(16).sample(np.random.default_rng(0), 4)
    with place(DEVICE):
        learner = QLearner(network.to(DEVICE), PRECISE, 0.8)
        learner.update(batch)
        learner.network.geometry.center = torch.zeros(3)  # one small buffer, deep inside
        with pytest.raises(MixedDevices, match="was left on the CPU"):
            learner.update(batch)
        with pytest.raises(RuntimeError, match="numpy"):
            network.head[-1].bias.detach().numpy()


def test_what_was_saved_on_one_device_goes_on_on_another(tmp_path):
    """Once there and back, in the middle of a run, gives what the CPU alone gives."""
    straight = fine_tuner("compact", CPU)
    with place(DEVICE):
        there = fine_tuner("compact", DEVICE)
        for tuner in (straight, there):
            tuner.update()
            tuner.update()
        there.save_state(tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert all(tensor.device == CPU for tensor in state["learner"]["network"].values())
    here = fine_tuner("compact", CPU, seed=7)
    here.load_state(tmp_path / "state.pt")
    straight.update()
    here.update()
    assert straight.updates == here.updates == 3
    for name, tensor in straight.network().state_dict().items():
        assert torch.equal(tensor, here.network().state_dict()[name]), name


def test_batches_that_are_drawn_ahead_are_those_that_would_have_been():
    """Also when episodes come and outcomes change between two updates."""

    def taken(device):
        buffer = replay(6)
        batches = Batches(
            lambda rng: mixed_batch([(buffer, 8)], PRECISE, rng), lambda: buffer.revision, torch.device(device), 5
        )
        images, states = [], []
        for turn in range(12):
            if turn in (4, 9):
                buffer.add(episode(f"new{turn}", 100 + turn, True))
            if turn == 6:
                assert buffer.relabel("e1", True)
            if turn == 10:
                batches.random_state = states[2]
            states.append(batches.random_state)
            with batches.next() as batch:
                images.append([batch.state.image, batch.reward, batch.error, batch.going])
        return images, states

    (here, before), (there, ahead) = taken("cpu"), taken("meta")
    assert before == ahead
    assert all(
        torch.equal(*pair) for one, other in zip(here, there, strict=True) for pair in zip(one, other, strict=True)
    )


def test_compiled_networks_are_those_of_the_learner(monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda function, dynamic: compiled.append(function) or function)
    QLearner(build_network(SMALL), PRECISE, 0.8)
    assert not compiled
    learner = QLearner(build_network(SMALL), replace(PRECISE, compile=True), 0.8)
    assert [function.__self__ for function in compiled[::2]] == [learner.network, learner.target, learner.lagged]


def test_images_are_augmented_where_they_are():
    image = torch.randint(0, 256, (3, 16, 16, 3), dtype=torch.uint8)
    expected = augment(image, PRECISE.augmentation, torch.Generator().manual_seed(2))
    with place(DEVICE):
        there = augment(image.to(DEVICE), PRECISE.augmentation, torch.Generator().manual_seed(2))
        assert there.device == DEVICE and torch.equal(there.cpu(), expected)


@pytest.mark.parametrize(
    ("name", "message"),
    [("gpu", "allowed is auto, cpu"), ("cuda:x", "allowed is auto, cpu"), ("meta", "allowed is"), ("", "allowed is")],
)
def test_a_name_that_is_none_is_refused(name, message):
    with pytest.raises(ConfigError, match=message):
        choose(name)


def cuda(monkeypatch, built=True, cards=1, error=None):
    """This computer with so many cards; `error` is what the driver says."""

    real = torch.ones

    def ones(*shape, device=CPU, **more):
        if device.type == "cuda" and error:
            raise RuntimeError(error)
        return real(*shape, **more)

    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: built)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cards > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cards)
    monkeypatch.setattr("robot_finetune.learning.device.torch.ones", ones)


@pytest.mark.parametrize(
    ("name", "computer", "message"),
    [
        ("cuda", {"built": False}, "is built without CUDA; install its CUDA version, or set device: cpu"),
        ("cuda", {"cards": 0}, "no graphics card or driver .see `nvidia-smi`."),
        ("cuda:7", {}, "there is only cuda:0; choose"),
        ("cuda:7", {"cards": 2}, "there is cuda:0 to cuda:1; choose"),
        ("cuda", {"error": "CUDA driver error: unknown\nmore"}, r"does not work .CUDA driver error: unknown.; see"),
        ("cuda", {"error": "CUDA error: out of memory"}, "does not work .CUDA error: out of memory"),
        ("mps", {}, "has no mps on this computer; set device: cpu"),
    ],
)
def test_a_device_that_is_not_there_is_one_line_with_the_cure(monkeypatch, name, computer, message):
    cuda(monkeypatch, **computer)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=message) as error:
        choose(name)
    assert f"device = {name!r}" in str(error.value) and "\n" not in str(error.value)
    assert choose("cpu") == CPU


def test_auto_is_an_accelerator_for_learning_and_the_cpu_for_small_decisions(monkeypatch):
    cuda(monkeypatch)
    card = torch.device("cuda:0")
    assert choose("auto") == choose("cuda") == choose("auto", acting=NETWORKS["grasping44"]) == card
    assert choose("auto", acting=SMALL) == CPU
    assert choose("cuda", acting=SMALL) == card, "what is asked for is done"
    cuda(monkeypatch, error="the driver is older than the library")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose("auto") == CPU


@pytest.mark.parametrize("words", [["evaluate"], ["pretrain", "--out", "x"], ["benchmark", "decision"]])
def test_commands_say_in_one_line_that_a_device_is_not_there(words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cuda(monkeypatch, built=False)
    assert main([*words, "--device", "cuda"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: device = 'cuda': torch") and "set device: cpu" in line


def test_full_memory_says_what_to_do(monkeypatch):
    learner = fine_tuner("compact", CPU)

    def full(*_):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has\nmore")

    monkeypatch.setattr(learner.learner, "_online", learner.learner._online._replace(encode=full))
    with pytest.raises(DeviceError, match=r"out of memory .*smaller batch_size.*device: cpu") as error:
        learner.update()
    assert "\n" not in str(error.value)


def test_bfloat16_needs_no_private_part_of_torch(monkeypatch):
    assert has_bfloat16(CPU) in (True, False)
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)  # as in older releases
    assert has_bfloat16(CPU) is False and has_bfloat16(DEVICE) is False
