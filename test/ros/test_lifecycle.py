"""Our nodes as managed nodes: what they do in which state, and that every transition can be gone again."""

import numpy as np
import yaml
from sensor_msgs.msg import Image, JointState
from std_srvs.srv import Trigger
from test_episode_logger import Grasps, ids
from test_trainer_node import TRAINING, grasp, log_grasps
from trajectory_msgs.msg import JointTrajectory

from robot_finetune.config import to_mapping
from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.data.replay_file import pack
from robot_finetune.learning.checkpoint import save_checkpoint
from robot_finetune.learning.networks.build import build_network
from robot_finetune.learning.networks.interface import NetworkConfig
from robot_finetune.msg import EpisodeSummary, ModelUpdate, TrainerStatus
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.ros.images import numpy_to_image
from robot_finetune.ros.node.qos import COMMAND, EPISODE, LATCHED, SENSOR
from robot_finetune.ros.node.stamps import to_stamp


def test_a_camera_publishes_only_while_it_is_active(spawn_node, ros, manage):
    node, process = manage("camera"), spawn_node("camera", {"bring_up": False})
    observations = ros.collect(Image, "observation", SENSOR)
    assert node.state == "unconfigured" and not ros.node.count_publishers("observation")
    node.go("configure")
    driver = ros.publisher(Image, "image_raw", SENSOR)
    sent = 0

    def publish():
        nonlocal sent
        sent += 1
        driver.publish(numpy_to_image(np.zeros((48, 48, 3), np.uint8), "rgb8", to_stamp(float(sent)), "lens"))

    def sees():
        """Publish until there is an observation of an image that was sent since the call."""
        before = sent
        ros.wait_until(
            lambda: publish() or (observations and observations[-1].header.stamp.sec > before), "an observation"
        )

    def ignores():
        node.rest()
        observations.clear()
        publish()
        node.rest()
        return not observations

    assert node.state == "inactive" and ignores()
    node.go("activate")
    sees()
    node.go("deactivate")
    assert node.state == "inactive" and ignores()
    node.go("activate")
    sees()
    node.go("deactivate", "cleanup")
    ros.wait_until(lambda: not ros.node.count_publishers("observation"), "the end of the publisher")
    node.go("configure", "activate")
    sees()
    node.go("shutdown")
    assert node.state == "finalized"
    ros.wait_until(lambda: node.events[-1:] == ["finalized"], "the last event")
    assert {"inactive", "active", "unconfigured"} < set(node.events)
    assert process.stop() == 0 and "Traceback" not in process.output


def test_what_is_wrong_can_be_corrected_and_configured_again(spawn_node, ros, manage, tmp_path):
    file = tmp_path / "robot.yaml"
    file.write_text("name: [sim")
    node, process = manage("camera"), spawn_node("camera", {"bring_up": False, "robot": str(tmp_path / "none.yaml")})
    assert not node.ask("configure") and node.state == "unconfigured"
    assert ros.set_parameter("camera", "robot", str(file)).successful
    assert not node.ask("configure") and node.state == "unconfigured"
    file.write_text(yaml.safe_dump(to_mapping(RobotProfile())))
    node.go("configure", "activate")
    refused = ros.set_parameter("camera", "robot", "sim")
    assert not refused.successful and "ros2 lifecycle set /camera cleanup" in refused.reason
    assert ros.set_parameter("camera", "use_sim_time", True).successful
    assert process.stop() == 0
    lines = [line for line in process.output.splitlines() if "not configured" in line]
    assert "none.yaml: no such file" in lines[0] and "robot.yaml:1: not valid YAML" in lines[1] and len(lines) == 2
    assert "Traceback" not in process.output


def test_an_inactive_trainer_neither_learns_nor_announces(spawn_node, ros, manage, tmp_path):
    statuses = ros.collect(TrainerStatus, "trainer_status", LATCHED)
    versions = ros.collect(ModelUpdate, "model_update", LATCHED)
    log_grasps(tmp_path, range(5))
    base = tmp_path / "base"
    params = {**TRAINING, "training.updates_per_grasp": 1000.0, "poll_period": 0.1}
    node = manage("trainer")
    process = spawn_node("trainer", {"bring_up": False, "policy": str(base), "out": str(tmp_path), **params})
    assert not node.ask("configure") and "not configured: " in process.output
    save_checkpoint(base, build_network(NetworkConfig(channels=8, hidden=8), 0), 5, 4, {})
    replay = ReplayBuffer(None, 10)
    replay.add(grasp(1000))
    pack(replay, base / "replay.bin")

    def settled():
        node.rest()
        assert statuses[-1].state == TrainerStatus.INACTIVE
        return statuses[-1].updates, len(versions)

    node.go("configure")
    assert settled() == (0, 0)
    refused = ros.call(Trigger, "trainer/publish")
    assert not refused.success and "the node is inactive" in refused.message
    node.go("activate")
    ros.wait_until(lambda: len(versions) > 1, "versions")
    node.go("deactivate")
    before = settled()
    assert settled() == before
    node.go("cleanup", "configure", "activate")
    ros.wait_until(lambda: statuses[-1].updates > before[0] and len(versions) > before[1] + 1, "another version")
    numbers = [version.version for version in versions]
    assert numbers == sorted(numbers), "it goes on from its own state"
    assert process.stop() == 0 and "Traceback" not in process.output


def test_an_inactive_logger_loses_no_grasp(spawn_node, ros, manage, tmp_path):
    node, process = manage("episode_logger"), spawn_node("episode_logger", {"out": str(tmp_path)})
    grasps, summaries = Grasps(ros), ros.collect(EpisodeSummary, "episode_summary", EPISODE)
    grasps.publish(1)
    ros.wait_until(lambda: summaries, "the first summary")
    node.go("deactivate")
    grasps.publish(2)
    node.rest()
    assert ids(summaries) == {"e0001"}
    node.go("activate")
    ros.wait_until(lambda: ids(summaries) == {"e0001", "e0002"}, "the grasp from before")
    node.go("deactivate")
    grasps.publish(3)
    node.rest()
    assert process.stop() == 0
    assert (tmp_path / "episodes" / "e0003.mcap").is_file() and "e0003" not in ids(summaries)


def test_a_deactivated_policy_stops_the_arm_and_starts_again_when_active(slow_cell, ros, manage):
    cell = slow_cell  # so that the transition falls into a grasp
    cell.logger()
    node, process = manage("policy"), cell.policy(bring_up=False)
    positions = []
    ros.node.create_subscription(JointState, "joint_states", lambda state: positions.append(state.position), SENSOR)
    commands = ros.collect(JointTrajectory, "arm_controller/joint_trajectory", COMMAND)
    node.go("configure")
    refused = ros.call(Trigger, "policy/start")
    assert not refused.success and "the node is inactive: activate it first" in refused.message
    node.rest()
    assert not commands and not cell.statuses
    node.go("activate")
    ros.wait_until(lambda: cell.phase == "approach", "an approach")
    node.go("deactivate")
    ros.wait_until(lambda: (cell.phase, cell.state) == ("discarded", "stopped"), "the end of the episode")
    assert cell.status.message == "stopped: the node is inactive"
    node.rest()
    count, begin = len(commands), len(positions)
    node.rest()
    assert len(commands) == count and np.ptp(positions[begin:], axis=0).max() < 1e-3
    assert not ros.call(Trigger, "policy/start").success
    for transitions in (["activate"], ["deactivate", "cleanup", "configure", "activate"]):
        episode = cell.status.episode_id
        node.go(*transitions)
        ros.wait_until(lambda past=episode: cell.status.episode_id != past and cell.phase == "lifted", "a grasp")
    assert process.stop() == 0 and "Traceback" not in process.output
