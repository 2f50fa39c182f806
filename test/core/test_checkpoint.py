"""A checkpoint is verified before it may act; whatever is wrong with it is named in one line."""

import pytest
import torch
import yaml

from robot_finetune.learning.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from robot_finetune.learning.networks.build import build_network
from robot_finetune.learning.networks.interface import NetworkConfig
from robot_finetune.learning.q_policy import probe
from robot_finetune.robot.profile import RobotProfile

SMALL = NetworkConfig(image_size=16, channels=4, patch=4, search=4, gripper_patch=4, hidden=8)


@pytest.fixture
def folder(tmp_path):
    save_checkpoint(tmp_path / "v3", build_network(SMALL, 1), 3, 2, {"grasps": 40})
    return tmp_path / "v3"


def test_round_trip(folder):
    checkpoint = load_checkpoint(folder)
    assert (checkpoint.version, checkpoint.parent, checkpoint.meta) == (3, 2, {"grasps": 40})
    for name, tensor in build_network(SMALL, 1).state_dict().items():
        assert torch.equal(tensor, checkpoint.network.state_dict()[name])
    probe(checkpoint, RobotProfile())


def break_weights(folder):
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "model.safetensors").write_bytes(bytes(data))


def truncate(folder):
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])


def edit_card(folder, change):
    card = yaml.safe_load((folder / "model.yaml").read_text())
    change(card)
    (folder / "model.yaml").write_text(yaml.safe_dump(card))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (break_weights, "damaged"),
        (truncate, "damaged"),
        (lambda f: (f / "model.safetensors").unlink(), "unreadable"),
        (lambda f: (f / "model.yaml").unlink(), "no checkpoint there"),
        (lambda f: (f / "model.yaml").write_text("a: ["), "not valid YAML"),
        (lambda f: edit_card(f, lambda card: card["network"].update(channels=8)), "does not fit"),
        (lambda f: edit_card(f, lambda card: card["network"].update(chanels=8)), "did you mean 'channels'"),
        (lambda f: edit_card(f, lambda card: card.update(format=99)), "update robot_finetune"),
        (lambda f: edit_card(f, lambda card: card.pop("version")), "unreadable"),
    ],
)
def test_damage_is_named(folder, damage, message):
    damage(folder)
    with pytest.raises(CheckpointError, match=message) as error:
        load_checkpoint(folder)
    assert "\n" not in str(error.value)


def test_announced_hash_must_match(folder):
    with pytest.raises(CheckpointError, match="announcement"):
        load_checkpoint(folder, "0" * 64)


def test_weights_that_are_not_finite_are_refused(tmp_path):
    network = build_network(SMALL)
    with torch.no_grad():
        network.head[-1].bias.fill_(float("nan"))
    save_checkpoint(tmp_path, network, 1, 0, {})
    with pytest.raises(CheckpointError, match="not finite"):
        load_checkpoint(tmp_path)


def test_an_interrupted_write_leaves_no_checkpoint_or_the_whole_one(folder, monkeypatch):
    import robot_finetune.learning.checkpoint as module

    def full(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "atomic_file", full)
    with pytest.raises(OSError):
        save_checkpoint(folder.parent / "v4", build_network(SMALL), 4, 3, {})
    with pytest.raises(CheckpointError):
        load_checkpoint(folder.parent / "v4")
    assert load_checkpoint(folder).version == 3
