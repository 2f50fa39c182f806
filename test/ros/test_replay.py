"""A recording of a session, played to new nodes, is judged and logged as it was while the robot worked."""

import numpy as np
import pytest
from bag import Recorder, play
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, JointState

from robot_finetune.data.episode_store import episodes_in
from robot_finetune.data.step_arrays import step_arrays
from robot_finetune.graph.bringup import node_graph
from robot_finetune.graph.options import BringupOptions
from robot_finetune.graph.recording import replayed_topics
from robot_finetune.msg import EpisodePhase, PolicyStep
from robot_finetune.robot.profile import load_robot
from robot_finetune.ros.node.qos import CLOCK, COMMAND, EPISODE, STEP, series

GRASPS = 4
TOPICS = {
    "image_raw": (Image, series(200), COMMAND),
    "camera_info": (CameraInfo, series(200), COMMAND),
    "joint_states": (JointState, series(500), COMMAND),
    "episode_phase": (EpisodePhase, EPISODE, EPISODE),
    "policy_step": (PolicyStep, STEP, STEP),
    "clock": (Clock, CLOCK, CLOCK),
}
"""Type, and quality of service as it is recorded and played; `ros2 bag play --clock` makes the clock of the stamps."""
HEARD = ("image_raw", "joint_states", "policy_step")


def test_a_played_recording_is_judged_and_logged_as_it_was(cell, ros, spawn_node, tmp_path):
    assert {*replayed_topics(load_robot()), "clock"} == set(TOPICS)
    recorder = Recorder(ros, tmp_path / "bag", [(name, kind, qos) for name, (kind, qos, _) in TOPICS.items()])
    nodes = [cell.logger(), cell.policy(mode="scripted", max_episodes=GRASPS)]
    ros.wait_until(lambda: len(cell.summaries) >= GRASPS, "the grasps")
    ros.spin_for(0.5)
    recorder.close()
    for node in [*nodes, cell.camera, cell.detector, cell.sim]:
        assert node.stop() == 0

    known = len(cell.summaries)
    options = BringupOptions(bag=str(tmp_path / "bag"), out=str(tmp_path / "again"))
    started = [spawn_node(spec.executable, spec.parameters) for spec in node_graph(options)]
    play(ros, tmp_path / "bag", {name: qos for name, (_, _, qos) in TOPICS.items()}, HEARD)
    ros.wait_until(lambda: len(cell.summaries) >= known + GRASPS, "the same grasps again")
    assert all(node.stop() == 0 for node in started)

    logged, again = (
        {episode.episode_id: episode for episode in episodes_in(folder).new()}
        for folder in (tmp_path, tmp_path / "again")
    )
    assert len(logged) == GRASPS and logged.keys() == again.keys()
    for name, episode in logged.items():
        outcome, other = episode.outcome, again[name].outcome
        assert (other.success, other.contradiction) == (outcome.success, outcome.contradiction) and outcome.evidence
        assert other.evidence == pytest.approx(outcome.evidence, rel=0.02, abs=0.02)  # a joint state may be lost
        assert again[name].end_reason == episode.end_reason and again[name].mode == "scripted"
        for key, values in step_arrays(episode).items():
            np.testing.assert_array_equal(step_arrays(again[name])[key], values, err_msg=key)
