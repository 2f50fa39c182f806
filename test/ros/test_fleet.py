"""Two robots and one trainer that shares no folder with them: both get the same versions, and no grasp is lost where a
logger and the trainer are killed. Episodes of one robot come by way of a folder elsewhere."""

import os
import signal

import pytest
from test_trainer_node import TRAINING, grasp

from robot_finetune.data.episode_log import read_episode
from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.data.replay_file import pack
from robot_finetune.data.version_card import WEIGHTS
from robot_finetune.graph.bringup import node_graph
from robot_finetune.graph.options import BringupOptions
from robot_finetune.graph.process_runner import ProcessRunner
from robot_finetune.learning.checkpoint import save_checkpoint
from robot_finetune.learning.networks.build import build_network
from robot_finetune.learning.networks.interface import NetworkConfig
from robot_finetune.msg import EpisodeSummary, ModelUpdate, TrainerStatus
from robot_finetune.ros.node.qos import EPISODE, LATCHED

NAMES = ("a", "b")


@pytest.fixture
def base(tmp_path):
    folder = tmp_path / "base"
    save_checkpoint(folder, build_network(NetworkConfig(channels=8, hidden=8, max_steps=3), 0), 0, 0, {})
    replay = ReplayBuffer(None, 10)
    replay.add(grasp(1000))
    pack(replay, folder / "replay.bin")
    return str(folder)


@pytest.fixture
def robots(tmp_path, domain_id, base):
    """The graphs of both robots, by namespace."""
    runners = {name: ProcessRunner(tmp_path / f"logs_{name}", os.environ, print) for name in NAMES}
    for seed, (name, runner) in enumerate(runners.items()):
        options = BringupOptions(
            namespace=name, out=str(tmp_path / name), policy=base, seed=seed, train=False, promotion="immediate",
            versions="dds:/fleet", upload=f"file://{tmp_path}/elsewhere" if name == "b" else "", real_time_factor=0.0,
        )  # fmt: skip
        runner.start(node_graph(options))
    yield runners
    for runner in runners.values():
        runner.stop()


def test_a_fleet_has_one_lineage_and_loses_nothing_to_kills(robots, base, ros, spawn_node, tmp_path):
    summaries = {name: ros.collect(EpisodeSummary, f"/{name}/episode_summary", EPISODE) for name in NAMES}
    statuses = ros.collect(TrainerStatus, "/fleet/trainer_status", LATCHED)
    updates = ros.collect(ModelUpdate, "/fleet/model_update", LATCHED)
    sources = f"{tmp_path}/a, file://{tmp_path}/elsewhere"
    params = {
        "policy": base,
        "out": str(tmp_path / "fleet"),
        "sources": sources,
        "training.tensorboard": False,
        **TRAINING,
    }

    def start():
        return spawn_node("trainer", params, "-r", "__ns:=/fleet")

    def wait_until(condition, what):
        def come():
            for runner in robots.values():
                runner.poll()
            return condition()

        ros.wait_until(come, what)

    def acting(version):
        return all(heard and heard[-1].policy_version >= version for heard in summaries.values())

    trainer = start()
    for name, heard in summaries.items():
        wait_until(lambda: heard, f"a grasp of robot {name}")  # noqa: B023
    wait_until(lambda: updates, "a version")
    wait_until(lambda: acting(1), "a version of the fleet's trainer acting on both robots")
    os.kill(robots["a"].pid("episode_logger"), signal.SIGKILL)
    trainer.kill()
    known = updates[-1].version
    counts = {name: len(heard) for name, heard in summaries.items()}
    wait_until(lambda: all(len(heard) > counts[name] + 1 for name, heard in summaries.items()), "grasps meanwhile")
    trainer = start()
    wait_until(lambda: updates[-1].version > known, "its next version")
    wait_until(lambda: acting(known + 1), "a version of the trainer that was started again")
    for runner in robots.values():
        runner.stop("policy")
    told = {name: {summary.episode_id for summary in heard} for name, heard in summaries.items()}
    logged = {name: {read_episode(path).episode_id for path in (tmp_path / name).rglob("*.mcap")} for name in NAMES}
    assert all(told[name] <= logged[name] for name in NAMES)
    total = sum(map(len, logged.values()))
    ros.wait_until(lambda: statuses[-1].grasps == total, f"the trainer having all {total} grasps")
    received = {path.parent.name: path for path in (tmp_path / "a" / "received").rglob(WEIGHTS)}
    same = [path for path in (tmp_path / "b" / "received").rglob(WEIGHTS) if path.parent.name in received]
    assert same and all(path.read_bytes() == received[path.parent.name].read_bytes() for path in same)
    assert trainer.stop() == 0 and "Traceback" not in trainer.output
