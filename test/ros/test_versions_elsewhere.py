"""A trainer on another computer: versions come in pieces or by way of a folder elsewhere; what is lost or damaged on
the way holds up no grasp. Trainer and policy share no folder here."""

import os
import shutil
from array import array
from contextlib import suppress
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from test_trainer_node import TRAINING, grasp, log_grasps

from robot_finetune.data.promotion_log import OFFERED, facts, read_promotion
from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.data.replay_file import pack
from robot_finetune.data.version_card import WEIGHTS
from robot_finetune.data.version_store import CHUNK, Announced, read_piece
from robot_finetune.exit_codes import MISCONFIGURED
from robot_finetune.learning.checkpoint import load_checkpoint, save_checkpoint
from robot_finetune.learning.networks.build import build_network
from robot_finetune.learning.networks.interface import NetworkConfig
from robot_finetune.ros.node.qos import COMMAND
from robot_finetune.srv import ReadVersion


@pytest.fixture
def there(tmp_path):
    """The output folder of a trainer elsewhere."""
    return tmp_path / "there"


@pytest.fixture
def trainer(cell, there, spawn_node):
    """Starts a trainer in that folder, from the cell's version 0."""
    replay = ReplayBuffer(None, 10)
    replay.add(grasp(1000))
    pack(replay, cell.out / "v0" / "replay.bin")
    params = {
        "policy": str(cell.out / "v0"),
        "out": str(there),
        "poll_period": 0.1,
        "training.tensorboard": False,
        **TRAINING,
    }
    return lambda **more: spawn_node("trainer", {**params, **more})


def acts(ros, cell, version):
    ros.wait_until(lambda: cell.summaries and cell.summaries[-1].policy_version == version, f"version {version} acting")


def version_1(there):
    """Made by the trainer there, too large for one piece; as it is announced."""
    folder = there / "checkpoints" / "v0001"
    meta = {"variation": "base", "grasps": 3, "updates": 8}
    network = build_network(NetworkConfig(max_steps=3), 1)
    return Announced(str(folder), 1, save_checkpoint(folder, network, 1, 0, meta))


@pytest.mark.parametrize("way", ["dds", "s3"])
def test_versions_come_from_a_trainer_that_shares_no_folder(way, cell, trainer, there, ros, request):
    versions = f"{request.getfixturevalue('s3')}/lineage" if way == "s3" else way
    here = cell.out / "here"
    cell.logger()
    policy = cell.policy(versions=versions, out=str(here))
    log_grasps(there, range(5))
    trained = trainer(versions=versions)
    acts(ros, cell, 2)
    offered = [fact for fact in facts(read_promotion(here)[0]) if fact.fact == OFFERED]
    assert offered and all(fact.path.startswith(f"{here}/received/") for fact in offered)
    newest = load_checkpoint(offered[-1].path, offered[-1].sha256)
    assert (newest.version, newest.parent) == (2, 1)
    policy.kill()  # what it has received it has
    trained.stop()
    shutil.rmtree(there)
    count = len(cell.summaries)
    policy = cell.policy(versions="", out=str(here))
    ros.wait_until(lambda: len(cell.summaries) > count + 1, "grasps of the policy that was started again")
    acts(ros, cell, 2)
    assert policy.stop() == 0 and trained.stop() == 0
    assert all("Traceback" not in process.output for process in (policy, trained))


class NextAsked(Exception):
    """One more piece is asked for: all before it have arrived."""


class Pieces:
    """The service of a trainer, in the test's node, that gives `count` pieces and is gone once the last one has
    arrived. change: what the line makes of a piece. arrived: tells that it has; else the next one is asked for."""

    def __init__(self, ros, announced, count, change=bytes, arrived=None):
        self.offsets, self._wanted = [], count
        service = ros.node.create_service(ReadVersion, "trainer/read_version", self._answer)
        self._announced, self._change = announced, change
        ros.wait_until(lambda: len(self.offsets) == count, "the pieces asked for")
        with suppress(NextAsked):
            ros.wait_until(arrived or (lambda: False), "the arrival of the last one")
        ros.node.destroy_service(service)

    def _answer(self, asked, response):
        if len(self.offsets) == self._wanted:
            raise NextAsked
        data, response.size = read_piece(Path(self._announced.path), self._announced, asked.file, asked.offset)
        response.data = array("B", self._change(data))
        self.offsets.append(asked.offset)
        return response


def late(health):
    """What the policy's diagnostics have said of versions that did not arrive."""
    statuses = [status for message in health for status in message.status if status.name == "policy"]
    return [status.message for status in statuses if status.level == DiagnosticStatus.WARN]


def test_the_robot_works_on_while_a_version_does_not_arrive_and_its_rest_comes_from_the_trainer_started_again(
    cell, trainer, there, ros
):
    health = ros.collect(DiagnosticArray, "/diagnostics", COMMAND)
    announced = version_1(there)
    cell.logger()
    policy = cell.policy(versions="dds", out=str(cell.out / "here"))
    ros.wait_until(lambda: cell.summaries, "a grasp")
    cell.tell(1, announced.path, announced.sha256)
    assert Pieces(ros, announced, 3).offsets == [0, CHUNK, 2 * CHUNK]
    ros.wait_until(lambda: late(health), "that it has not arrived")
    assert "version 1 has not arrived, version 0 goes on: " in late(health)[-1]
    count = len(cell.summaries)
    ros.wait_until(lambda: len(cell.summaries) > count + 1, "grasps meanwhile")
    assert Pieces(ros, announced, 1).offsets == [3 * CHUNK]
    trained = trainer()
    ros.wait_until(lambda: "active" in trained.output, "the trainer")
    acts(ros, cell, 1)
    health.clear()
    ros.wait_until(lambda: [status for message in health for status in message.status if status.name == "policy"], "it")
    assert not late(health), "it has arrived"
    assert policy.stop() == 0 and trained.stop() == 0 and "Traceback" not in policy.output + trained.output


def test_a_damaged_piece_is_refused_in_one_line(cell, there, ros):
    announced = version_1(there)
    cell.logger()
    policy = cell.policy(versions="dds", out=str(cell.out / "here"))
    ros.wait_until(lambda: cell.summaries, "a grasp")
    cell.tell(1, announced.path, announced.sha256)
    pieces = -(-os.path.getsize(f"{announced.path}/{WEIGHTS}") // CHUNK)
    refusal = f"version 1 is not used, version 0 goes on: {WEIGHTS} has arrived with another sha256 than was announced"
    damage = lambda data: bytes([data[0] ^ 1]) + data[1:]  # noqa: E731
    Pieces(ros, announced, pieces, damage, arrived=lambda: refusal in policy.output)
    assert cell.status.message == refusal and "Traceback" not in policy.output
    cell.tell(1, announced.path, announced.sha256)
    Pieces(ros, announced, pieces + 1, arrived=lambda: cell.summaries[-1].policy_version == 1)


def test_a_way_that_is_none_ends_the_node_with_one_line(cell):
    for name, params in (("policy", {"policy": str(cell.out / "v0")}), ("trainer", {"out": str(cell.out)})):
        node = cell.spawn(name, versions="trainer", **params)
        assert node.wait() == MISCONFIGURED
        (line,) = [line for line in node.output.splitlines() if "versions = 'trainer'" in line]
        assert "dds" in line and "Traceback" not in node.output
