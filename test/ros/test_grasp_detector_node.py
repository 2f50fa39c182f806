"""The node grasp_detector judges as its core does, from topics alone; what it cannot judge it does not guess."""

import time

import numpy as np
import pytest
from sensor_msgs.msg import Image, JointState

from robot_finetune.msg import GraspOutcome, PolicyStatus
from robot_finetune.perception.grasp_success import GraspDetector
from robot_finetune.robot.episode_runner import EpisodeRunner, SilentObserver
from robot_finetune.robot.profile import load_robot
from robot_finetune.ros.conversions import message_to_outcome, numpy_to_image, to_stamp
from robot_finetune.ros.qos import COMMAND, EPISODE, SENSOR
from robot_finetune.sim.cell import Cell
from robot_finetune.sim.robot import sim_robot
from robot_finetune.sim.scripted_policy import ScriptedPolicy

PROFILE = load_robot("sim")
JOINT = PROFILE.gripper.joint


class Recorder(SilentObserver):
    """Phases of an episode as (phase, frame, time, gripper joint position)."""

    def __init__(self, cell):
        self.cell, self.phases = cell, []

    def on_phase(self, phase, frame, end_reason=""):
        self.phases.append((phase, frame, self.cell.time, self.cell.finger_position, end_reason))
        self.cell.advance(0.05)


@pytest.fixture(scope="module", params=[0.0, 1.0], ids=["good_policy", "bad_policy"])
def recorded(request):
    """A grasp in the cell without ROS: its phases and its judgement."""
    cell = Cell(PROFILE, seed=4)
    observer = Recorder(cell)
    policy = ScriptedPolicy(cell, request.param, np.random.default_rng(4))
    runner = EpisodeRunner(sim_robot(cell), PROFILE, policy, GraspDetector(PROFILE), observer)
    episode = runner.run("e1", "base", "explore")
    cell.close()
    return [phase for phase in observer.phases if phase[0] != "done"], episode  # a policy is done when it is judged


class Stage:
    """Publishes what camera, arm and policy would."""

    def __init__(self, ros):
        self.ros = ros
        self.images = ros.publisher(Image, "image_raw", SENSOR)
        self.states = ros.publisher(JointState, "joint_states", COMMAND)
        self.statuses = ros.publisher(PolicyStatus, "policy_status", EPISODE)
        self.outcomes = ros.collect(GraspOutcome, "grasp_outcome", EPISODE)

    def play(self, phases, episode_id, without=(), joints=(JOINT,)):
        """One episode; images of the phases in `without` get lost."""
        for phase, frame, now, position, end_reason in phases:
            state = JointState(name=list(joints), position=[position] * len(joints))
            for stamp in (now - 0.01, now, now + 0.01):
                state.header.stamp = to_stamp(stamp)
                self.states.publish(state)
            if frame is not None and phase not in without:
                self.images.publish(numpy_to_image(frame.image, "rgb8", to_stamp(frame.stamp), "lens"))
            self.pause()
            status = PolicyStatus(
                episode_id=episode_id, phase=phase, policy_version=3, variation="base", mode="explore"
            )
            status.steps, status.end_reason = 5, end_reason
            status.image_stamp = to_stamp(frame.stamp if frame else 0.0)
            status.header.stamp = to_stamp(now)
            self.statuses.publish(status)
            self.pause()

    def later_images(self, count, frame, now):
        for index in range(count):
            self.images.publish(numpy_to_image(frame.image, "rgb8", to_stamp(now + 0.1 * (index + 1)), "lens"))
            self.pause()

    def pause(self):
        """Let the node take what was published: a camera does not send faster either."""
        time.sleep(0.03)


def test_judges_as_the_core_does(spawn_node, ros, recorded):
    phases, episode = recorded
    process = spawn_node("grasp_detector")
    stage = Stage(ros)
    stage.play(phases, "e1")
    message = ros.wait_until(lambda: stage.outcomes, "an outcome")[0]
    outcome = message_to_outcome(message)
    assert (outcome.success, outcome.contradiction) == (episode.outcome.success, episode.outcome.contradiction)
    assert outcome.confidence == pytest.approx(episode.outcome.confidence, abs=1e-3)
    assert outcome.evidence == pytest.approx(episode.outcome.evidence, abs=1e-3)
    assert (message.episode_id, message.policy_version, message.variation, message.mode) == ("e1", 3, "base", "explore")
    assert (message.steps, message.end_reason) == (5, episode.end_reason)
    stage.play(phases, "e1")  # a restarted policy repeats itself
    stage.play(phases, "e2")
    ros.wait_until(lambda: len(stage.outcomes) > 1, "the outcome of the next episode")
    assert [outcome.episode_id for outcome in stage.outcomes] == ["e1", "e2"]
    assert process.stop() == 0


def test_a_lost_image_costs_confidence_not_the_episode(spawn_node, ros, recorded):
    phases, episode = recorded
    process = spawn_node("grasp_detector")
    stage = Stage(ros)
    stage.play(phases, "e1", without=("before",))
    frames = [frame for _, frame, *_ in phases if frame is not None]
    stage.later_images(6, frames[-1], phases[-1][2])
    message = ros.wait_until(lambda: stage.outcomes, "an outcome")[0]
    assert message.success == episode.outcome.success and "image_probability" not in message.evidence_names
    assert "episode e1: the image before was lost" in process.output


def test_without_the_gripper_joint_it_does_not_guess(spawn_node, ros, recorded):
    phases, _ = recorded
    process = spawn_node("grasp_detector")
    stage = Stage(ros)
    stage.play(phases, "e1", joints=("elbow",))
    ros.wait_until(
        lambda: "episode e1 is not judged: no joint state of left_finger_joint" in process.output, "the reason"
    )
    assert not stage.outcomes
