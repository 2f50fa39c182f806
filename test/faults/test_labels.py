"""A grasp whose camera or gripper cannot be believed is discarded, with the true cause, and never becomes a label."""

import array
import itertools

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from sensor_msgs.msg import Image

from robot_finetune.ros.node.qos import COMMAND, SENSOR


class CameraRelay:
    """Stands between the camera node and the policy, which hears `seen`; `fault` decides what the policy gets."""

    def __init__(self, ros):
        self.fault = ""
        self._first = None
        self._out = ros.node.create_publisher(Image, "seen", SENSOR)
        ros.node.create_subscription(Image, "observation", self._pass_on, SENSOR)

    def _pass_on(self, message):
        if not self.fault:
            self._first = message.data
        elif self.fault == "stuck":
            message.data = self._first
        else:
            level = {"black": 0, "saturated": 255}[self.fault]
            message.data = array.array("B", itertools.repeat(level, len(message.data)))
        self._out.publish(message)


def policy_behind(cell, **params):
    return cell._spawn(
        "policy", {"use_sim_time": True, "policy": str(cell.out / "v0"), **params}, "-r", "observation:=seen"
    )


def level_of(arrays, name):
    levels = [array.status[0].level for array in arrays if array.status[0].name == name]
    return levels[-1] if levels else None


@pytest.mark.parametrize(
    ("fault", "cause"),
    [("stuck", "the camera repeats one image"), ("black", "images are black"), ("saturated", "saturated")],
)
def test_blind_grasps_are_discarded_and_the_policy_waits_for_the_camera(cell, ros, fault, cause):
    relay, health = CameraRelay(ros), ros.collect(DiagnosticArray, "/diagnostics", COMMAND)
    cell.logger()
    policy = policy_behind(cell, max_failures=1)
    ros.wait_until(lambda: cell.summaries, "an episode")
    relay.fault = fault
    ros.wait_until(lambda: cell.state == "paused", "the policy waiting")
    assert cause in cell.status.message and cell.status.message.endswith("Grasping goes on when images are sound")
    ros.wait_until(lambda: level_of(health, "policy") == DiagnosticStatus.ERROR, "the diagnostics")
    assert cell.status.discarded == 1 and cause in cell.status.discard_reasons[0]
    discarded = cell.discarded()
    count = len(cell.summaries)
    relay.fault = ""
    ros.wait_until(lambda: len(cell.summaries) > count + 1, "episodes with the camera back")
    assert not discarded & {summary.episode_id for summary in cell.summaries} and len(discarded) == 1
    assert policy.running and cell.status.discarded == 1


def test_a_detector_that_refuses_says_why_and_is_not_called_silent(cell, ros, tmp_path):
    """The detector's profile has another size of images than the camera."""
    from dataclasses import replace

    import yaml

    from robot_finetune.config import to_mapping
    from robot_finetune.robot.profile import RobotProfile

    profile = RobotProfile()
    path = tmp_path / "other_camera.yaml"
    path.write_text(yaml.safe_dump(to_mapping(replace(profile, camera=replace(profile.camera, width=320, height=240)))))
    cell.detector.stop()
    cell.spawn("grasp_detector", robot=str(path))
    cell.logger()
    policy = cell.policy(max_failures=1, outcome_timeout=60.0)
    ros.wait_until(lambda: cell.state == "error", "the error")
    assert cell.status.message.startswith("not judged: camera image is") and "running?" not in cell.status.message
    assert cell.status.discard_reasons[0].startswith("not judged: camera image is") and policy.running
    assert not cell.summaries
