"""The scene is made ready by somebody else before every grasp, or there is no grasp."""

from dataclasses import replace

import pytest
import yaml
from std_srvs.srv import Trigger

from robot_finetune.config import to_mapping
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.robot.profile_groups import SceneConfig


@pytest.fixture
def robot(tmp_path):
    """A file of the simulated cell's profile whose scene `reset_scene` makes ready."""
    profile = replace(RobotProfile(), scene=SceneConfig("reset_scene", 5.0))
    path = tmp_path / "with_scene.yaml"
    path.write_text(yaml.safe_dump(to_mapping(profile)))
    return str(path)


def offer(ros, success=True, message=""):
    """Offer the service; a list of the phases' number at each call."""
    calls = []

    def reset(_, response):
        calls.append(1)
        response.success, response.message = success, message
        return response

    ros.node.create_service(Trigger, "reset_scene", reset)
    return calls


def test_it_is_asked_once_before_each_grasp(cell, ros, robot):
    calls = offer(ros)
    cell.logger()
    cell.policy(robot=robot, max_episodes=2)
    ros.wait_until(lambda: calls, "the first call")
    assert not cell.phases, "the scene is made ready before anything moves"
    ros.wait_until(cell.finished, "two episodes")
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("offered", "cause"),
    [(False, "no service reset_scene: start what offers it"), (True, "service reset_scene refuses: the table jams")],
)
def test_without_a_ready_scene_nothing_moves_and_the_state_says_why(cell, ros, robot, offered, cause):
    if offered:
        offer(ros, False, "the table jams")
    cell.logger()
    policy = cell.policy(robot=robot)
    ros.wait_until(lambda: cell.state == "error", "the error")
    assert cause in cell.status.message and not cell.phases and policy.running
