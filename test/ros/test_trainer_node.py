"""The node trainer: learns from the episode directory alone, and may be killed at any time."""

import numpy as np
import pytest
from std_srvs.srv import Trigger

from robot_finetune.data.episode_log import write_episode
from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.data.replay_file import pack
from robot_finetune.exit_codes import MISCONFIGURED
from robot_finetune.learning.checkpoint import load_checkpoint, save_checkpoint
from robot_finetune.learning.networks.build import build_network
from robot_finetune.learning.networks.interface import NetworkConfig
from robot_finetune.msg import ModelUpdate, TrainerStatus
from robot_finetune.ros.node.qos import LATCHED
from robot_finetune.types import Action, Episode, GraspOutcome, Observation, Step

TRAINING = {
    "training.min_grasps": 3,
    "training.updates_per_grasp": 4.0,
    "training.publish_every": 8,
    "training.save_every": 2,
    "training.replay_capacity": 200,
    "training.fine_tune.batch_size": 4,
}


def grasp(number):
    image = np.random.default_rng(number).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    seen = Observation(image, np.array([0.6, 0.0, 0.2, 0.0]), 1.0, 0)
    step = Step(seen, Action.close(), Action.close())
    return Episode(f"e{number:04d}", (step,), GraspOutcome(bool(number % 2)))


def log_grasps(out, numbers):
    for number in numbers:
        write_episode(out / "episodes", grasp(number))


@pytest.fixture
def start(spawn_node, ros, tmp_path):
    """Starts the trainer; returns its process and the statuses and versions it tells of."""
    base = tmp_path / "base"
    save_checkpoint(base, build_network(NetworkConfig(channels=8, hidden=8), 0), 5, 4, {})
    replay = ReplayBuffer(None, 10)
    replay.add(grasp(1000))
    pack(replay, base / "replay.bin")
    statuses = ros.collect(TrainerStatus, "trainer_status", LATCHED)
    versions = ros.collect(ModelUpdate, "model_update", LATCHED)
    params = {"policy": str(base), "out": str(tmp_path), "poll_period": 0.1, **TRAINING}
    return lambda **more: (spawn_node("trainer", {**params, **more}), statuses, versions)


def test_it_publishes_sound_versions_within_its_budget(start, ros, tmp_path):
    process, statuses, versions = start()
    ros.wait_until(lambda: statuses and statuses[-1].state == TrainerStatus.WAITING_FOR_DATA, "the trainer waiting")
    assert "0 of the first 3 grasps" in statuses[-1].message and statuses[-1].version == 5
    log_grasps(tmp_path, range(5))
    ros.wait_until(
        lambda: statuses[-1].updates == 20 and statuses[-1].state == TrainerStatus.WAITING_FOR_DATA, "its budget"
    )
    assert statuses[-1].grasps == 5 and 0 < statuses[-1].loss < 5 and 0 <= statuses[-1].mean_q <= 1
    assert [(update.version, update.parent, update.updates) for update in versions] == [(6, 5, 8), (7, 6, 16)]
    assert load_checkpoint(versions[-1].path, versions[-1].sha256).version == 7
    assert ros.call(Trigger, "trainer/publish").success
    ros.wait_until(lambda: versions[-1].version == 8, "the version that was asked for")
    assert versions[-1].updates == 20 and versions[-1].grasps == 5
    assert process.stop() == 0 and "Traceback" not in process.output


def test_after_a_kill_it_goes_on(start, ros, tmp_path):
    log_grasps(tmp_path, range(5))
    process, statuses, versions = start(**{"training.updates_per_grasp": 1000.0})
    ros.wait_until(lambda: versions, "a version")
    process.kill()
    killed = versions[-1]
    log_grasps(tmp_path, range(5, 8))
    statuses.clear()
    versions.clear()
    process, _, _ = start(**{"training.updates_per_grasp": 1000.0})
    ros.wait_until(lambda: len(versions) >= 2, "the next version")
    again, new = versions[:2]
    assert again.version >= killed.version and new.version == again.version + 1 and new.parent == again.version
    assert new.updates == again.updates + 8 and new.grasps == 8
    assert all(status.updates >= killed.updates for status in statuses if status.state == TrainerStatus.TRAINING)


def test_a_second_start_announces_the_newest_version_again(start, ros, tmp_path):
    log_grasps(tmp_path, range(3))
    process, _, versions = start()
    ros.wait_until(lambda: versions, "a version")
    assert process.stop() == 0
    announced = versions[-1]
    versions.clear()
    start()
    ros.wait_until(lambda: versions, "the announcement")
    assert (versions[0].version, versions[0].sha256) == (announced.version, announced.sha256)


def test_a_second_trainer_of_a_folder_is_refused_by_the_name_of_the_first(start, ros, tmp_path):
    first, statuses, _ = start()
    ros.wait_until(lambda: statuses, "the first trainer")
    second, _, _ = start()
    assert second.wait() == MISCONFIGURED and "Traceback" not in second.output
    (line,) = [line for line in second.output.splitlines() if "is in use by" in line]
    assert f"trainer /trainer (process {first.pid}" in line and first.running
    first.kill()
    statuses.clear()
    start()
    ros.wait_until(lambda: statuses, "its successor")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"policy": "/no/such/folder"}, "no checkpoint there"),
        ({"training.fine_tune.new_fraction": 1.5}, "new_fraction = 1.5: allowed is 0.0 to 1.0"),
    ],
)
def test_what_it_cannot_start_with_is_one_line_and_an_exit_code(start, params, message):
    process, _, _ = start(**params)
    assert process.wait() == MISCONFIGURED
    lines = [line for line in process.output.splitlines() if message in line]
    assert len(lines) == 1 and "Traceback" not in process.output
