"""How a move of the arm ends, with a trajectory controller in the test."""

from dataclasses import replace

import numpy as np
import pytest

from robot_finetune.robot.interfaces import RobotError
from robot_finetune.robot.joint_arm import JointArm
from robot_finetune.robot.kinematics import Kinematics
from robot_finetune.robot.motion_gate import CommandRefused
from robot_finetune.robot.profile import load_robot

PROFILE = load_robot("sim")
KINEMATICS = Kinematics(PROFILE)
START = KINEMATICS.inverse(np.array(PROFILE.start_pose))
TARGET = np.array([0.65, 0.05, 0.1, 0.3])


class Controller:
    """A JointDriver and its Clock. share: how far a trajectory gets. slider: at which share of its speed.

    drift: rad/s at which joint 1 never stops. delay: s after which a trajectory begins."""

    def __init__(self):
        self.time, self.share, self.drift, self.slider, self.sent = 0.0, 1.0, 0.0, 1.0, []
        self.begin, self.started, self.delay = START.copy(), 0.0, 0.0
        self.on_sleep = lambda: None
        self.cancelled = 0

    def positions(self, since=0.0):
        if not self.sent:
            return self.begin.copy()
        trajectory = self.sent[-1]
        times = [0.0, *trajectory.times]
        points = np.vstack([self.begin, trajectory.positions])
        now = min(self.slider * (self.time - self.started - self.delay), self.share * times[-1])
        q = np.array([np.interp(now, times, points[:, joint]) for joint in range(7)])
        q[0] += self.drift * self.time
        return q

    def newest(self):
        return self.positions()

    def cancel(self):
        self.cancelled += 1

    def send(self, trajectory):
        self.begin, self.started = self.positions(), self.time
        self.sent.append(trajectory)

    def now(self):
        return self.time

    elapsed = now

    def sleep(self, seconds):
        self.time += seconds
        self.on_sleep()


@pytest.fixture
def controller():
    return Controller()


def arm_of(controller, profile=PROFILE):
    return JointArm(controller, KINEMATICS, controller, profile)


def test_a_move_that_arrives(controller):
    result = arm_of(controller).move(TARGET)
    assert result.reached
    np.testing.assert_allclose(result.pose, TARGET, atol=1e-3)
    assert len(controller.sent) == 1, "nothing is sent after arriving"


def test_a_move_to_where_the_arm_is_sends_nothing(controller):
    assert arm_of(controller).move(np.array(PROFILE.start_pose)).reached
    assert controller.sent == []


def test_an_arm_at_rest_beside_its_target_was_blocked_and_holds_its_place(controller):
    controller.share = 0.6
    result = arm_of(controller).move(TARGET)
    assert result.reason == "blocked"
    assert 0.1 < result.pose[2] < 0.2
    np.testing.assert_allclose(KINEMATICS.forward(controller.sent[-1].positions[-1]), result.pose, atol=1e-6)


@pytest.mark.parametrize("delay", [0.03, 0.1, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("down", [0.03, 0.1])
def test_a_controller_that_begins_late_is_waited_for(controller, delay, down):
    controller.delay = delay
    target = np.array(PROFILE.start_pose) - [0, 0, down, 0]
    assert arm_of(controller).move(target).reached
    assert len(controller.sent) == 1


def test_a_controller_that_does_not_begin_was_blocked_after_its_reaction_time(controller):
    controller.delay = 2.0
    quick = replace(PROFILE, motion=replace(PROFILE.motion, reaction=0.3))
    assert arm_of(controller, quick).move(np.array(PROFILE.start_pose) - [0, 0, 0.03, 0]).reason == "blocked"
    assert controller.time < 0.7


def test_less_than_the_tolerance_is_no_block(controller):
    controller.share = 0.9
    loose = replace(PROFILE, motion=replace(PROFILE.motion, tolerance=0.05))
    assert arm_of(controller, loose).move(TARGET).reached
    assert arm_of(Controller()).move(TARGET).reached


def test_an_arm_that_never_rests_times_out(controller):
    controller.drift = 0.1
    result = arm_of(controller).move(TARGET)
    assert result.reason == "timeout"
    assert controller.time < 2 + PROFILE.motion.timeout


def test_a_stop_ends_the_move_where_the_arm_is(controller):
    arm = arm_of(controller)
    controller.on_sleep = lambda: arm.stop() if len(controller.sent) == 1 else None
    result = arm.move(TARGET)
    assert result.reason == "stopped"
    assert np.linalg.norm(result.pose[:3] - TARGET[:3]) > 0.03
    controller.on_sleep = lambda: None
    assert arm.move(TARGET).reached, "the next move is not stopped"


def test_unreachable_targets_move_nothing(controller):
    arm = arm_of(controller)
    assert arm.move(np.array([1.4, 0.0, 0.1, 0.0])).reason == "unreachable"
    assert arm.move_joints(START + [0, 3.0, 0, 0, 0, 0, 0]).reason == "unreachable"
    assert controller.sent == []


def test_a_joint_move_arrives(controller):
    result = arm_of(controller).move_joints(np.array(PROFILE.out_of_view_joints))
    assert result.reached
    np.testing.assert_allclose(controller.positions(), PROFILE.out_of_view_joints, atol=1e-6)


def test_what_the_controller_says_ends_a_move(controller):
    arm = JointArm(controller, KINEMATICS, controller, PROFILE, lambda: "blocked" if controller.time > 0.15 else "")
    result = arm.move(TARGET)
    assert result.reason == "blocked" and controller.time < 0.4
    np.testing.assert_allclose(KINEMATICS.forward(controller.sent[-1].positions[-1]), result.pose, atol=1e-6)


def test_a_stop_without_any_measurement_holds_where_the_motion_has_brought_the_arm(controller):
    arm = arm_of(controller)

    def silence_and_stop():
        if controller.time > 0.3 and not controller.cancelled:
            where = controller.positions()
            controller.newest = lambda: None
            arm.stop()
            np.testing.assert_allclose(controller.sent[-1].positions[-1], where, atol=1e-3)

    controller.on_sleep = silence_and_stop
    assert arm.move_joints(START + [1.2, 0, 0, 0, 0, 0, 0]).reason == "stopped"
    assert controller.cancelled == 1 and len(controller.sent) == 2, "the motion and one hold"


def test_a_stop_before_any_motion_sends_nothing_where_the_arm_is_not_known(controller):
    controller.newest = lambda: None
    arm_of(controller).stop()
    assert controller.cancelled == 1 and controller.sent == []


def test_no_motion_begins_where_the_check_forbids_it(controller):
    def forbid():
        raise RobotError("emergency stop")

    arm = JointArm(controller, KINEMATICS, controller, PROFILE, check=forbid)
    with pytest.raises(RobotError, match="emergency stop"):
        arm.move(TARGET)
    assert controller.sent == []


@pytest.mark.parametrize("target", [TARGET * np.nan, [0.6, 0.0, np.inf, 0.0]])
def test_a_target_that_is_no_number_is_refused_and_nothing_is_sent(controller, target):
    with pytest.raises(CommandRefused, match="not a number"):
        arm_of(controller).move(np.array(target))
    with pytest.raises(CommandRefused, match="not a number"):
        arm_of(controller).move_joints(START * np.nan)
    assert controller.sent == []


@pytest.mark.parametrize("tip_speed", [0.1, 0.35])
@pytest.mark.parametrize("slider", [0.1, 0.5])
def test_an_arm_that_is_slowed_down_is_waited_for(controller, slider, tip_speed):
    """A speed slider: the controller follows correctly and takes its time."""
    controller.slider = slider
    profile = replace(PROFILE, motion=replace(PROFILE.motion, tip_speed=tip_speed, timeout=1.0))
    arm = JointArm(controller, Kinematics(profile), controller, profile)
    assert arm.move(TARGET).reached
    assert controller.time > 0.8 / slider * controller.sent[-1].times[-1]


def test_an_arm_that_gets_stuck_on_its_slow_way_is_blocked(controller):
    controller.slider, controller.share = 0.1, 0.5
    result = arm_of(controller).move(TARGET)
    assert result.reason == "blocked"
