"""Overlay and markers of decisions: what somebody looks at, and nothing while nobody does."""

import math

import numpy as np
from sensor_msgs.msg import Image
from visualization_msgs.msg import Marker, MarkerArray

from robot_finetune.learning.checkpoint import Checkpoint
from robot_finetune.learning.networks.build import build_network
from robot_finetune.learning.networks.interface import NetworkConfig
from robot_finetune.learning.q_policy import QPolicy
from robot_finetune.perception.overlay import EDGE
from robot_finetune.robot.episode_runner import SilentObserver
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.ros.decision_view import DecisionView
from robot_finetune.ros.images import image_to_rgb
from robot_finetune.ros.node.qos import VIEW
from robot_finetune.types import Observation, Step

PROFILE = RobotProfile()


def test_decisions_are_shown_while_somebody_listens_and_samples_are_kept_for_that_alone(ros):
    policy = QPolicy(Checkpoint(build_network(NetworkConfig(channels=8, hidden=8), 0), 4), PROFILE)
    view = DecisionView(ros.node, PROFILE, policy, SilentObserver())
    seen = Observation(np.zeros((64, 64, 3), np.uint8), np.array(PROFILE.start_pose), 1.0, 0, 12.5)

    def decide():
        decision = policy.act(seen)
        step = Step(seen, decision.action, decision.action, decision.q, decision.version)
        view.on_step(step)
        return step

    decide()
    assert policy.samples is None, "nobody looks"
    images = ros.collect(Image, "~/overlay", VIEW)
    markers = ros.collect(MarkerArray, "~/markers", VIEW)
    ros.wait_until(lambda: view._watched() and decide() and images and markers, "what is shown")
    assert image_to_rgb(images[-1]).shape == (EDGE, EDGE, 3) and images[-1].header.stamp.sec == 12
    lines, samples = markers[-1].markers
    assert lines.header.frame_id == PROFILE.base_frame and len(samples.points) == len(samples.colors) == 64
    assert all(0 < point.z <= PROFILE.workspace.high[2] for point in samples.points)
    markers.clear()
    view.on_step(Step(seen, *[decide().asked] * 2, math.nan))
    ros.wait_until(lambda: markers and markers[-1].markers[1].action == Marker.DELETE, "a decision of no network")
