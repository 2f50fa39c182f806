"""Versions change between episodes only, a bad one never acts, and one that was rolled back never comes again."""

import numpy as np
import pytest

from robot_finetune.learning.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from robot_finetune.learning.networks.build import build_network
from robot_finetune.learning.networks.interface import NetworkConfig
from robot_finetune.learning.promotion.gate import Gate, PromotionConfig
from robot_finetune.learning.promotion.look import look_of
from robot_finetune.learning.q_policy import QPolicy
from robot_finetune.learning.version_switch import SwitchingPolicy, version_id
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.types import Observation


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Checkpoint folders of versions 0 to 4, and their hashes."""
    root = tmp_path_factory.mktemp("versions")
    made = [root / f"v{version:04d}" for version in range(5)]
    return [
        (folder, save_checkpoint(folder, build_network(NetworkConfig(), version), version, max(0, version - 1), {}))
        for version, folder in enumerate(made)
    ]


@pytest.fixture
def policy(folders):
    first = load_checkpoint(folders[0][0])
    return SwitchingPolicy(QPolicy(first, RobotProfile()), Gate(version_id(first), PromotionConfig(mode="immediate")))


def offer(policy, folders, version):
    folder, sha256 = folders[version]
    return policy.offer(folder, version, sha256)


def acting(policy):
    policy.begin_episode("evaluate")
    image = np.zeros((64, 64, 3), np.uint8)
    return policy.act(Observation(image, np.array([0.6, 0.0, 0.2, 0.0]), 1.0, 0)).version


def test_an_offered_version_acts_from_the_next_episode_on(policy, folders):
    assert acting(policy) == 0
    assert offer(policy, folders, 1) and policy.version == 0
    assert acting(policy) == 1


def test_the_version_stays_while_updates_are_not_accepted(policy, folders):
    policy.accept_updates = False
    offer(policy, folders, 2)
    assert acting(policy) == 0
    policy.accept_updates = True
    assert acting(policy) == 2


def test_a_damaged_checkpoint_is_refused_and_the_old_version_goes_on(policy, folders, tmp_path):
    weights = bytearray((folders[1][0] / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (tmp_path / "model.safetensors").write_bytes(weights)
    (tmp_path / "model.yaml").write_bytes((folders[1][0] / "model.yaml").read_bytes())
    with pytest.raises(CheckpointError, match="sha256"):
        policy.offer(tmp_path, 1, folders[1][1])
    with pytest.raises(CheckpointError, match="announced"):
        policy.offer(folders[1][0], 3)
    assert acting(policy) == 0


def test_rollback_goes_back_and_refuses_what_it_left(policy, folders):
    for version in (1, 2):
        offer(policy, folders, version)
        assert acting(policy) == version
    offer(policy, folders, 3)
    assert policy.rollback().version == 1
    assert acting(policy) == 1
    with pytest.raises(CheckpointError, match="version 2 was rolled back"):
        offer(policy, folders, 2)
    assert acting(policy) == 1
    assert offer(policy, folders, 4)
    assert acting(policy) == 4


def test_there_is_no_way_back_beyond_the_first_version(policy):
    with pytest.raises(CheckpointError, match="version 0 is the first"):
        policy.rollback()


def test_an_older_version_is_not_taken(policy, folders):
    offer(policy, folders, 3)
    assert acting(policy) == 3
    assert not offer(policy, folders, 2)


def save(folder, version, **config):
    save_checkpoint(folder, build_network(NetworkConfig(**config), version), version, 0, {})
    return folder


def test_a_version_from_elsewhere_does_not_stand_in_the_way_of_the_trainers_next(policy, folders, tmp_path):
    offer(policy, folders, 1)
    assert acting(policy) == 1
    assert policy.offer(save(tmp_path / "v", 900_000), 900_000)
    assert acting(policy) == 900_000
    assert offer(policy, folders, 2)
    assert acting(policy) == 2


@pytest.mark.parametrize("config", [{"image_size": 32}, {"max_steps": 7}])
def test_a_network_that_does_not_fit_the_running_policy_is_refused(policy, tmp_path, config):
    with pytest.raises(CheckpointError, match=f"its network has {next(iter(config))}"):
        policy.offer(save(tmp_path / "v", 1, **config), 1)
    assert acting(policy) == 0


CARDS = [
    "version: [1]\n",
    "version: {a: 1}\nparent: 0\nsha256: 0\nnetwork: []\n",
    "network: 3\nversion: 1\nparent: 0\nsha256: x\n",
    "network: {name: [x]}\nversion: 1\nparent: 0\nsha256: x\n",
    "[" * 3000,
    "{a: " * 3000,
    "\x00",
    "version: 1e999\nparent: .nan\nsha256: x\nnetwork: {}\n",
]


@pytest.mark.parametrize("card", CARDS)
def test_a_card_of_another_kind_is_refused(policy, tmp_path, card):
    (tmp_path / "model.yaml").write_text(card)
    (tmp_path / "model.safetensors").write_bytes(b"x")
    with pytest.raises(CheckpointError):
        policy.offer(tmp_path, 1)
    assert acting(policy) == 0


@pytest.mark.parametrize("folder", ["\0", "/" + "x" * 5000, "/proc/self/mem", "/dev/null/v"])
def test_a_folder_that_cannot_be_one_is_refused(policy, folder):
    with pytest.raises(CheckpointError):
        policy.offer(folder, 1)


@pytest.mark.parametrize("mode", ["scripted", "demonstrate"])
def test_grasps_that_no_version_made_are_no_evidence_and_change_none(policy, folders, mode):
    offer(policy, folders, 1)
    told = []
    policy._record = told.append
    policy.begin_episode(mode)
    policy.judged("e1", True)
    assert not told and policy.version == 0


@pytest.mark.parametrize(("wish", "looks"), [("auto", [True, False]), ("evaluate", [False, False])])
def test_the_look_where_a_grasp_at_work_begins_is_recorded(folders, wish, looks):
    """In mode auto, and not of a grasp that a person began."""
    first, recorded = load_checkpoint(folders[0][0]), []
    policy = SwitchingPolicy(QPolicy(first, RobotProfile()), record=recorded.append)
    for step in (0, 1):
        policy.begin_episode(policy.chosen_mode(wish))
        image = np.full((64, 64, 3), 90, np.uint8)
        policy.act(Observation(image, np.array([0.6, 0.0, 0.2, 0.0]), 1.0, step))
        policy.judged(f"e{step}", True)
    assert [fact.look == look_of(image) for fact in recorded] == looks
    assert all(fact.look == [] for fact, look in zip(recorded, looks, strict=True) if not look)
