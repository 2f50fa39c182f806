"""Whatever is in a message: a conversion gives what is sound or raises ValueError in one short line; no node ends."""

import itertools
import math
import time

import numpy as np
import pytest
from fuzz.messages import PROFILE, TOPICS, damaged, hostile
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_finetune.msg import EpisodePhase, EpisodeSummary, GraspOutcome, PolicyStep
from robot_finetune.ros.conversions import (
    check_context,
    message_to_outcome,
    message_to_step,
    message_to_trajectory,
    message_to_version,
)
from robot_finetune.ros.images import compressed_to_rgb, image_to_numpy, image_to_rgb
from robot_finetune.ros.node.qos import EPISODE, STEP


def is_image(image):
    return image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3 and image.size > 0


def is_step(step):
    seen = step.observation
    numbers = [*seen.pose, seen.opening, seen.stamp, *step.joint_positions, *step.asked.vector, *step.commanded.vector]
    return is_image(seen.image) and np.isfinite(numbers).all() and 0 <= seen.step < 100 and not math.isinf(step.q)


def is_outcome(outcome):
    return 0 <= outcome.confidence <= 1 and np.isfinite(list(outcome.evidence.values())).all()


def is_trajectory(trajectory):
    times, positions = trajectory.times, trajectory.positions
    return np.isfinite(positions).all() and positions.shape == (len(times), 7) and (np.diff(times) > 0).all()


CONVERSIONS = {
    "image": ("image_raw", image_to_rgb, is_image),
    "observation": ("observation", image_to_rgb, is_image),
    "pixels": ("observation", image_to_numpy, lambda pixels: pixels.size > 0),
    "compressed": ("image_raw/compressed", compressed_to_rgb, is_image),
    "step": ("policy_step", message_to_step, is_step),
    "outcome": ("grasp_outcome", message_to_outcome, is_outcome),
    "step's context": ("policy_step", check_context, lambda _: True),
    "outcome's context": ("grasp_outcome", check_context, lambda _: True),
    "phase's context": ("episode_phase", check_context, lambda _: True),
    "version": ("model_update", message_to_version, lambda version: version.path.startswith("/")),
    "trajectory": (PROFILE.arm_topic, lambda message: message_to_trajectory(message, PROFILE.joints), is_trajectory),
}


@pytest.mark.parametrize("name", CONVERSIONS)
@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_conversion_gives_what_is_sound_or_a_short_line(name, seed):
    topic, convert, is_sound = CONVERSIONS[name]
    try:
        made = convert(hostile(topic, seed))
    except ValueError as error:
        assert str(error).isprintable() and len(str(error)) < 600
    else:
        assert is_sound(made)


@pytest.mark.parametrize("name", [name for name in CONVERSIONS if name != "compressed"])
def test_what_is_sound_goes_through(name):
    topic, convert, is_sound = CONVERSIONS[name]
    assert is_sound(convert(TOPICS[topic].sound("e1")))


def bombard(ros, topics, count, nodes=()):
    """Publish hostile messages of all topics: `count` of each, and on until each of `nodes` says that it dropped some.

    A node that still starts keeps but the newest few of what comes, and those may be sound.
    """
    publishers = {topic: ros.publisher(TOPICS[topic].kind, topic, TOPICS[topic].qos) for topic in topics}
    numbers = itertools.count()

    def fire():
        number = next(numbers)
        for topic, publisher in publishers.items():
            publisher.publish(hostile(topic, number, f"e{number % 50}"))
            publisher.publish(damaged(topic, number, f"e{number % 50}"))
        time.sleep(0.005)

    for _ in range(count):
        fire()
    ros.wait_until(lambda: all("is dropped" in node.output for node in nodes) or fire(), "lines about dropped messages")
    for publisher in publishers.values():
        ros.node.destroy_publisher(publisher)


def sound(ros, topic, episode_id):
    return TOPICS[topic].sound(episode_id)


def test_the_logger_lives_and_logs(spawn_node, ros, tmp_path):
    logger = spawn_node("episode_logger", {"out": str(tmp_path)})
    summaries = ros.collect(EpisodeSummary, "episode_summary", EPISODE)
    bombard(ros, ("policy_step", "grasp_outcome", "episode_phase"), 400, [logger])
    assert logger.running, logger.output
    phases, steps, outcomes = (
        ros.publisher(EpisodePhase, "episode_phase", EPISODE),
        ros.publisher(PolicyStep, "policy_step", STEP),
        ros.publisher(GraspOutcome, "grasp_outcome", EPISODE),
    )
    phases.publish(sound(ros, "episode_phase", "good"))  # as the policy does, before anything else
    time.sleep(0.5)
    steps.publish(sound(ros, "policy_step", "good"))
    outcomes.publish(sound(ros, "grasp_outcome", "good"))
    ros.wait_until(lambda: "good" in {summary.episode_id for summary in summaries}, "the episode")
    assert (tmp_path / "episodes" / "good.mcap").is_file() and not (tmp_path.parent / "x.mcap").exists()


def test_a_flood_of_other_ids_does_not_evict_the_real_episode(spawn_node, ros, tmp_path):
    spawn_node("episode_logger", {"out": str(tmp_path)})
    summaries = ros.collect(EpisodeSummary, "episode_summary", EPISODE)
    phases, steps, outcomes = (
        ros.publisher(TOPICS[topic].kind, topic, TOPICS[topic].qos)
        for topic in ("episode_phase", "policy_step", "grasp_outcome")
    )
    phases.publish(sound(ros, "episode_phase", "real"))
    steps.publish(sound(ros, "policy_step", "real"))
    time.sleep(0.5)
    for number in range(60):
        steps.publish(sound(ros, "policy_step", f"other{number}"))
        time.sleep(0.005)
    outcomes.publish(sound(ros, "grasp_outcome", "real"))
    ros.wait_until(lambda: "real" in {summary.episode_id for summary in summaries}, "the real episode")


def test_camera_and_detector_live(spawn_node, ros):
    nodes = [spawn_node("camera"), spawn_node("grasp_detector")]
    bombard(ros, ("image_raw", "joint_states", "episode_phase"), 200, nodes)
    assert all(node.running for node in nodes), [node.output for node in nodes]
    assert all(node.stop() == 0 for node in nodes)


def test_the_simulated_cell_lives(spawn_node, ros):
    cell = spawn_node("sim_cell", {"real_time_factor": 0.0})
    states = ros.collect(TOPICS["joint_states"].kind, "joint_states", TOPICS["joint_states"].qos)
    bombard(ros, (PROFILE.arm_topic, PROFILE.gripper_topic, "episode_phase"), 200)
    states.clear()
    ros.wait_until(lambda: len(states) > 10, "joint states")
    assert cell.running and np.isfinite(states[-1].position).all()
    assert cell.stop() == 0


def test_a_whole_graph_goes_on_grasping_under_fire(cell, ros):
    logger, policy = cell.logger(), cell.policy()
    ros.wait_until(lambda: cell.summaries, "an episode")
    topics = ("observation", "policy_step", "grasp_outcome", "episode_summary", "episode_lost", "model_update")
    topics += ("grasp_verdict",)
    bombard(ros, (*topics, "policy/joy"), 200)
    joy = TOPICS["policy/joy"]
    ros.publisher(joy.kind, "policy/joy", joy.qos).publish(joy.sound(""))  # whoever held the button lets go
    count = len([summary for summary in cell.summaries if summary.path])

    def grasps():
        return len([summary for summary in cell.summaries if summary.path.startswith(str(cell.out))])

    count = grasps()
    ros.wait_until(lambda: grasps() > count + 1, "episodes after it")
    nodes = (cell.sim, cell.camera, cell.detector, logger, policy)
    assert all(node.running for node in nodes) and cell.state == "running"
    assert not any("Traceback" in node.output for node in nodes)
