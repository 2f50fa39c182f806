"""Two robots side by side in one ROS domain, in the namespaces /a and /b: two whole graphs on two simulated cells."""

import os

import pytest

from robot_finetune.graph.bringup import node_graph
from robot_finetune.graph.options import BringupOptions
from robot_finetune.graph.process_runner import ProcessRunner

EPISODES = 2


@pytest.fixture
def runner(tmp_path, domain_id):
    runners = []

    def start(namespace, seed):
        options = BringupOptions(
            namespace=namespace, out=str(tmp_path / namespace), mode="evaluate", seed=seed, train=False,
            max_episodes=EPISODES, real_time_factor=1.0,
        )  # fmt: skip
        runners.append(ProcessRunner(tmp_path / f"logs_{namespace}", os.environ, print))
        runners[-1].start(node_graph(options))
        return runners[-1]

    yield start
    for each in runners:
        each.stop()


def test_each_robot_minds_its_own_episodes(ros, runner, tmp_path):
    from robot_finetune.data.episode_log import read_episode
    from robot_finetune.msg import EpisodeSummary
    from robot_finetune.ros.node.qos import EPISODE

    names = ("a", "b")
    summaries = {name: ros.collect(EpisodeSummary, f"/{name}/episode_summary", EPISODE) for name in names}
    for seed, name in enumerate(names):
        runner(name, seed)
    ros.wait_until(lambda: all(len(each) == EPISODES for each in summaries.values()), "the episodes of both")
    logged = {name: sorted((tmp_path / name).rglob("*.mcap")) for name in names}
    for name in names:
        ids = {summary.episode_id for summary in summaries[name]}
        assert {read_episode(path).episode_id for path in logged[name]} == ids
    first = [read_episode(logged[name][0]).steps[0].observation.image for name in names]
    assert (first[0] != first[1]).any(), "both robots saw the same cell"
    topics = {topic for topic, _ in ros.node.get_topic_names_and_types()}
    assert {"/a/clock", "/b/clock", "/a/observation", "/b/observation"} <= topics
    assert not topics & {"/clock", "/observation", "/policy_step", "/joint_states"}
