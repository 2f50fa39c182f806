"""A person at a joystick takes over from the node policy, over real DDS with the simulated cell."""

import numpy as np
import pytest
from sensor_msgs.msg import Joy
from std_srvs.srv import Trigger

from robot_finetune.data.episode_log import read_episode
from robot_finetune.data.promotion_log import JUDGED, Fact, read_promotion
from robot_finetune.msg import PolicyStep
from robot_finetune.robot.joystick import JoystickConfig
from robot_finetune.robot.profile import load_robot
from robot_finetune.ros.conversions import message_to_pose
from robot_finetune.ros.node.qos import COMMAND

MAPPING, BOX = JoystickConfig(), load_robot("sim").workspace


class Person:
    """Publishes what they hold and push, 50 times a second, until told otherwise."""

    def __init__(self, ros):
        self.axes, self.pressed = [0.0] * 6, set()
        self._publisher = ros.node.create_publisher(Joy, "policy/joy", COMMAND)
        self._timer = ros.node.create_timer(0.02, self._publish)

    def pushes(self, x=0.0, y=0.0, z=0.0, yaw=0.0):
        for axis, value in zip(MAPPING.axes, (x, y, z, yaw), strict=True):
            self.axes[axis] = value

    def falls_silent(self):
        self._timer.cancel()

    def speaks(self):
        self._timer.reset()

    def _publish(self):
        self._publisher.publish(Joy(axes=self.axes, buttons=[int(button in self.pressed) for button in range(8)]))


@pytest.fixture
def person(ros):
    return Person(ros)


def by_hand(cell):
    return [step for step in cell.steps if step.intervention]


def run_with(person, cell, ros, **params):
    """The policy, which starts when it hears the joystick and the person holds."""
    policy = cell.policy(start_grasping=False, **params)
    ros.wait_until(lambda: "a joystick is heard" in policy.output, "the policy to hear the joystick")
    person.pressed = {MAPPING.hold}
    ros.wait_until(lambda: cell.state == "idle", "the policy to be ready")
    assert ros.call(Trigger, "policy/start").success
    ros.wait_until(lambda: cell.phase == "approach", "an approach, in which the arm stands still")
    return policy


def test_a_person_takes_over_closes_and_gives_back(cell, ros, person):
    cell.logger()
    policy = run_with(person, cell, ros, out=str(cell.out), **{"joystick.timeout": 5.0})
    person.pushes(y=1.0, z=-1.0)
    ros.wait_until(lambda: by_hand(cell), "a step by hand")
    step = by_hand(cell)[0]
    moved = np.array(step.commanded[:3])
    assert moved[1] > 0.2 and moved[2] < -0.2 and abs(moved[0]) < 1e-3 and (np.abs(moved) <= 1 + 1e-6).all()
    assert (np.isnan(step.q), step.decision_ms, list(step.commanded)) == (True, 0.0, list(step.asked))
    person.pushes()
    person.pressed = {MAPPING.hold, MAPPING.close}
    ros.wait_until(lambda: cell.summaries, "its summary")
    summary = cell.summaries[0]
    logged = read_episode(summary.path)
    assert logged.interventions == summary.interventions == len(by_hand(cell)) > 1
    assert logged.end_reason == "closed" and logged.steps[-1].intervention and logged.steps[-1].commanded.closes
    for each in by_hand(cell):
        at = message_to_pose(each.pose)[:3]
        assert (at > np.array(BOX.low) - 0.01).all() and (at < np.array(BOX.high) + 0.01).all()
    person.pressed = set()
    count = len(cell.summaries)
    ros.wait_until(lambda: len(cell.summaries) > count + 1, "grasps by the policy")
    assert not cell.summaries[-1].interventions
    ros.wait_until(lambda: "steps by hand" in policy.output, "a line about it")
    judged = [fact.episode_id for fact in read_promotion(cell.out)[0] if isinstance(fact, Fact) and fact.fact == JUDGED]
    assert summary.episode_id not in judged, "no evidence about a version"


def test_stops_hold_for_a_person_and_a_joystick_that_falls_silent_holds(cell, ros, person):
    cell.logger()
    run_with(person, cell, ros, **{"joystick.patience": 3600.0, "joystick.timeout": 2.0})
    person.pushes(x=-1.0)
    ros.wait_until(lambda: by_hand(cell), "a step by hand")
    assert ros.call(Trigger, "policy/emergency_stop").success
    ros.wait_until(lambda: (cell.phase, cell.state) == ("discarded", "stopped"), "the episode discarded")
    count = len(cell.steps)
    assert ros.call(Trigger, "policy/reset_emergency_stop").success
    ros.spin_for(0.5)
    assert len(cell.steps) == count, "the person alone starts nothing"
    person.pushes()
    assert ros.call(Trigger, "policy/start").success
    ros.wait_until(lambda: cell.phase == "approach", "an approach")
    person.falls_silent()
    ros.spin_for(3.0)
    assert len(cell.steps) == count and cell.phase == "approach", "neither person nor policy acts"
    assert ros.call(Trigger, "policy/stop").success
    assert ros.call(Trigger, "policy/start").success
    ros.wait_until(lambda: len(cell.steps) > count, "the policy, which a start gives the arm back to")
    assert not cell.steps[-1].intervention


def test_in_mode_demonstrate_a_grasp_begins_with_the_button_and_the_policy_does_nothing(cell, ros, person):
    cell.logger()
    cell.policy(mode="demonstrate", max_episodes=1, **{"joystick.timeout": 5.0})
    ros.wait_until(lambda: cell.state == "running", "the policy")
    ros.wait_until(lambda: "waiting for a person" in cell.status.message, "what it waits for")
    assert not cell.phases
    person.pressed = {MAPPING.hold}
    person.pushes(x=-1.0)
    ros.wait_until(lambda: cell.phase == "approach", "an approach")
    ros.wait_until(lambda: by_hand(cell), "a step by hand")
    person.pressed = {MAPPING.hold, MAPPING.close}
    ros.wait_until(cell.finished, "the end of the grasp")
    ros.wait_until(lambda: cell.summaries, "its summary")
    assert cell.summaries[0].mode == PolicyStep.DEMONSTRATE
    assert all(step.intervention for step in read_episode(cell.summaries[0].path).steps)
    assert "waiting for a person" not in cell.status.message
