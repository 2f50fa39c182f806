"""The example's simulator, which is not the package's own, as a cell: nodes grasp in it, judge and log."""

import json
import os
import sys

import pytest
from processes import NodeProcess

from robot_finetune.config import SHARE
from robot_finetune.graph.bringup import node_graph
from robot_finetune.graph.options import BringupOptions
from robot_finetune.graph.process_runner import ProcessRunner

pytest.importorskip("pybullet")
EXAMPLE = SHARE / "examples" / "pybullet_panda"
EPISODES = 2


@pytest.fixture
def simulator(tmp_path):
    words = [sys.executable, str(EXAMPLE / "simulator.py"), "--truth", str(tmp_path / "truth.jsonl")]
    process = NodeProcess(words, os.environ, tmp_path / "simulator.log")
    yield process
    assert process.stop() == 0


def test_a_foreign_simulator_is_a_cell_like_any_other(ros, simulator, tmp_path):
    from robot_finetune.data.episode_log import read_episode
    from robot_finetune.msg import EpisodeSummary
    from robot_finetune.ros.node.qos import EPISODE

    summaries = ros.collect(EpisodeSummary, "episode_summary", EPISODE)
    options = BringupOptions(
        robot=str(EXAMPLE / "panda.yaml"),
        out=str(tmp_path / "out"),
        mode="scripted",
        train=False,
        max_episodes=EPISODES,
    )
    runner = ProcessRunner(tmp_path / "logs", os.environ, print)
    specs = node_graph(options)
    assert "sim_cell" not in [spec.name for spec in specs]
    runner.start(specs)
    try:
        ros.wait_until(lambda: len(summaries) == EPISODES, "the grasps")
    finally:
        runner.stop()
    logged = {summary.episode_id: read_episode(summary.path) for summary in summaries}
    scenes = [episode.steps[0].observation.image for episode in logged.values()]
    assert (scenes[0] != scenes[1]).any(), "the scene hook has brought other objects"
    lifted = {line["episode_id"] for line in map(json.loads, (tmp_path / "truth.jsonl").read_text().splitlines())}
    assert lifted <= set(logged)
