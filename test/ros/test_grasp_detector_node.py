"""The node grasp_detector judges as its core does, from topics alone; what it cannot judge it does not guess."""

import copy
import itertools
import time

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import Image, JointState

from robot_finetune.msg import EpisodeLost, EpisodePhase, GraspOutcome
from robot_finetune.perception.grasp_success import GraspDetector
from robot_finetune.robot.episode_runner import EpisodeRunner, SilentObserver
from robot_finetune.robot.interfaces import Frame
from robot_finetune.robot.profile import load_robot
from robot_finetune.ros.constants import MODE, PHASE
from robot_finetune.ros.conversions import message_to_outcome
from robot_finetune.ros.images import numpy_to_image
from robot_finetune.ros.node.qos import COMMAND, EPISODE, SENSOR
from robot_finetune.ros.node.stamps import to_seconds, to_stamp
from robot_finetune.sim.cell import Cell
from robot_finetune.sim.robot import sim_robot
from robot_finetune.sim.teacher_policy import TeacherPolicy

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
    policy = TeacherPolicy(cell, request.param, np.random.default_rng(4))
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
        self.statuses = ros.publisher(EpisodePhase, "episode_phase", EPISODE)
        self.outcomes = ros.collect(GraspOutcome, "grasp_outcome", EPISODE)
        self.health = ros.collect(DiagnosticArray, "/diagnostics", COMMAND)
        ros.wait_until(self.is_heard, "a node that hears its topics")

    def is_heard(self):
        """Publish an image and a joint state; tell whether any have arrived at the node."""
        self.send(Frame(np.zeros((PROFILE.camera.height, PROFILE.camera.width, 3), np.uint8), 0.0), 0.0)
        self.states.publish(JointState(name=["elbow"], position=[0.0]))
        values = {value.key: value.value for value in self.health[-1].status[0].values} if self.health else {}
        return values.get("images", "0") != "0" and values.get("joint_states", "0") != "0"

    def play(self, phases, episode_id, without=(), joints=(JOINT,)):
        """One episode; images of the phases in `without` get lost."""
        for phase, frame, now, position, end_reason in phases:
            state = JointState(name=list(joints), position=[position] * len(joints))
            for stamp in (now - 0.01, now, now + 0.01):
                state.header.stamp = to_stamp(stamp)
                self.states.publish(state)
            if frame is not None and phase not in without:
                for _ in range(3):  # best effort: a busy computer may lose one
                    self.send(frame, frame.stamp)
            status = EpisodePhase(
                episode_id=episode_id, phase=PHASE.number(phase), policy_version=3, variation="base", mode=1
            )
            status.steps, status.end_reason = 5, end_reason
            status.image_stamp = to_stamp(frame.stamp if frame else 0.0)
            status.header.stamp = to_stamp(now)
            self.statuses.publish(status)
            self.pause()

    def send(self, frame, stamp):
        self.images.publish(numpy_to_image(frame.image, "rgb8", to_stamp(stamp), "lens"))
        self.pause()

    def wait_for(self, condition, phases, what):
        """Wait while the camera goes on sending."""
        frame, stamps = phases[-1][1], itertools.count(phases[-1][2] + 1, 0.1)
        return self.ros.wait_until(lambda: self.send(frame, next(stamps)) or condition(), what)

    def pause(self):
        """Let the node take what was published: a camera does not send faster either."""
        time.sleep(0.03)


def test_judges_as_the_core_does(spawn_node, ros, recorded):
    phases, episode = recorded
    process = spawn_node("grasp_detector")
    stage = Stage(ros)
    stage.play(phases, "e1")
    message = stage.wait_for(lambda: stage.outcomes, phases, "an outcome")[0]
    outcome = message_to_outcome(message)
    assert (outcome.success, outcome.contradiction) == (episode.outcome.success, episode.outcome.contradiction)
    assert outcome.confidence == pytest.approx(episode.outcome.confidence, abs=1e-3)
    assert outcome.evidence == pytest.approx(episode.outcome.evidence, abs=1e-3)
    assert (message.episode_id, message.policy_version, message.variation, message.mode) == (
        "e1",
        3,
        "base",
        MODE.number("explore"),
    )
    assert (message.steps, message.end_reason) == (5, episode.end_reason)
    stage.play(phases, "e1")  # a restarted policy repeats itself
    stage.play(phases, "e2")
    stage.wait_for(lambda: len(stage.outcomes) > 1, phases, "the outcome of the next episode")
    assert [outcome.episode_id for outcome in stage.outcomes] == ["e1", "e2"]
    assert process.stop() == 0


def test_a_lost_image_costs_confidence_not_the_episode(spawn_node, ros, recorded):
    phases, episode = recorded
    process = spawn_node("grasp_detector")
    stage = Stage(ros)
    stage.play(phases, "e1", without=("before",))
    message = stage.wait_for(lambda: stage.outcomes, phases, "an outcome")[0]
    assert message.success == episode.outcome.success and "image_probability" not in message.evidence_names
    assert "episode e1: the image before was lost" in process.output


def test_a_grasp_is_judged_though_its_joint_states_come_last_and_no_image_after_them(spawn_node, ros, recorded):
    phases, episode = recorded
    spawn_node("grasp_detector")
    stage, late = Stage(ros), []
    publish = stage.states.publish
    stage.states.publish = lambda state: late.append(copy.deepcopy(state))
    stage.play(phases, "e1")
    for state in late:
        publish(state)
    message = ros.wait_until(lambda: stage.outcomes, "an outcome")[0]
    assert message.success == episode.outcome.success


def test_a_lost_image_is_not_waited_for_for_ever_where_the_camera_has_ended(spawn_node, ros, recorded):
    phases, episode = recorded
    process = spawn_node("grasp_detector")
    stage = Stage(ros)
    stage.play(phases, "e1", without=("after_lift", "after_drop"))
    message = ros.wait_until(lambda: stage.outcomes, "an outcome")[0]
    assert message.success == episode.outcome.success
    assert "episode e1: the image after_drop was lost" in process.output


def test_without_the_gripper_joint_it_does_not_guess(spawn_node, ros, recorded):
    phases, _ = recorded
    process = spawn_node("grasp_detector")
    stage = Stage(ros)
    stage.play(phases, "e1", joints=("elbow",))
    reason = "episode e1 is not judged: no joint state of left_finger_joint"
    stage.wait_for(lambda: reason in process.output, phases, "the reason")
    assert not stage.outcomes


def test_inactive_it_judges_nothing(spawn_node, ros, manage, recorded):
    phases, _ = recorded
    node = manage("grasp_detector")
    spawn_node("grasp_detector")
    stage = Stage(ros)
    node.go("deactivate")
    stage.play(phases, "e1")
    node.rest()
    node.go("activate")
    stage.play(phases, "e2")
    stage.wait_for(lambda: stage.outcomes, phases, "an outcome")
    assert [outcome.episode_id for outcome in stage.outcomes] == ["e2"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_gripper_at_no_position_is_not_judged(spawn_node, ros, recorded, value):
    phases = [(phase, frame, now, value, reason) for phase, frame, now, _, reason in recorded[0]]
    process = spawn_node("grasp_detector")
    losses = ros.collect(EpisodeLost, "episode_lost", EPISODE)
    stage = Stage(ros)
    stage.play(phases, "e1")
    stage.wait_for(lambda: losses, phases, "the refusal")
    assert losses[0].episode_id == "e1" and losses[0].reason.startswith("not judged: no joint state of")
    assert not stage.outcomes and process.running


def test_black_images_are_not_judged(spawn_node, ros, recorded):
    black = {frame.stamp: Frame(np.zeros_like(frame.image), frame.stamp) for _, frame, *_ in recorded[0] if frame}
    phases = [(phase, frame and black[frame.stamp], *rest) for phase, frame, *rest in recorded[0]]
    spawn_node("grasp_detector")
    losses = ros.collect(EpisodeLost, "episode_lost", EPISODE)
    stage = Stage(ros)
    stage.play(phases, "e1")
    stage.wait_for(lambda: losses, phases, "the refusal")
    assert "images are black" in losses[0].reason and not stage.outcomes


def test_another_publisher_of_the_same_joint_a_little_later_changes_nothing(spawn_node, ros, recorded):
    phases, episode = recorded
    spawn_node("grasp_detector")
    stage = Stage(ros)
    second = ros.publisher(JointState, "joint_states", COMMAND)
    publish = stage.states.publish

    def both(state):
        publish(state)
        late = JointState(name=state.name, position=state.position)
        late.header.stamp = to_stamp(max(0.0, to_seconds(state.header.stamp) - 0.03))
        second.publish(late)

    stage.states.publish = both
    stage.play(phases, "e1")
    message = stage.wait_for(lambda: stage.outcomes, phases, "an outcome")[0]
    assert message.success == episode.outcome.success


def test_joint_states_without_a_stamp_are_of_now(spawn_node, ros, recorded):
    phases, episode = recorded
    spawn_node("grasp_detector")
    stage = Stage(ros)

    def unstamped(state):
        publish(JointState(name=state.name, position=state.position))

    publish, stage.states.publish = stage.states.publish, unstamped
    shift = time.time() + 1.0

    def now():
        return time.time() - shift + 1.0

    for phase, frame, _, position, end_reason in phases:  # the policy's clock is the node's own
        stamp = shift + now()
        moved = frame and Frame(frame.image, stamp)
        stage.play([(phase, moved, stamp, position, end_reason)], "e1")
        for _ in range(3):
            unstamped(JointState(name=[JOINT], position=[position]))
            time.sleep(0.02)
    message = stage.wait_for(lambda: stage.outcomes, [(None, moved, time.time() - 1.0)], "an outcome")[0]
    assert message.success == episode.outcome.success
