"""The arm behind a FollowJointTrajectory action, moved by a worker thread as the policy does it."""

from dataclasses import replace

import numpy as np
import pytest
from fakes.interfaces import provide
from fakes.trajectory_controller import TrajectoryController
from fakes.trajectory_rules import refusal

from robot_finetune.robot.interfaces import RobotError
from robot_finetune.robot.joint_limits import measured_limits
from robot_finetune.robot.kinematics import Kinematics, Unreachable
from robot_finetune.robot.motion_gate import MotionGate
from robot_finetune.robot.profile import load_robot
from robot_finetune.ros.arms.make_arm import make_arm
from robot_finetune.ros.arms.trajectory_topic import trajectory_message
from robot_finetune.ros.conversions import message_to_trajectory
from robot_finetune.ros.node.joint_states import JointStates
from robot_finetune.ros.node.stamps import to_seconds
from robot_finetune.ros.node.waiting import RosClock

PROFILE = replace(load_robot("sim"), arm_action="controller/follow_joint_trajectory")
LIMITS = measured_limits(load_robot("sim"))
START = Kinematics(PROFILE).inverse(np.array(PROFILE.start_pose))
TARGET = np.array([0.62, 0.1, 0.15, 0.2])


@pytest.fixture
def controller(ros):
    provide("control_msgs")
    return TrajectoryController(ros, PROFILE.joints, START)


@pytest.fixture
def arm(ros, controller):
    clock = RosClock(ros.node)
    return make_arm(ros.node, JointStates(ros.node, "joint_states", clock, LIMITS), PROFILE, clock)


def test_the_controller_takes_a_thousand_random_motions():
    kinematics, rng, box = Kinematics(PROFILE), np.random.default_rng(0), PROFILE.workspace
    gate = MotionGate(PROFILE, kinematics.low, kinematics.high, kinematics.velocity_limits)
    joints, sent, q = list(PROFILE.joints), 0, START
    while sent < 1000:
        try:
            if rng.random() < 0.2:
                made = kinematics.joint_line(q, rng.uniform(kinematics.low, kinematics.high))
            else:
                made = kinematics.line(q, np.array([*rng.uniform(box.low, box.high), rng.uniform(-1.5, 1.5)]))
        except (Unreachable, RobotError):
            q = START
            continue
        gate.trajectory(made, q)
        message = trajectory_message(joints, made)
        assert refusal(message, joints) == ""
        assert all(len(point.velocities) == len(joints) for point in message.points)
        np.testing.assert_allclose(message_to_trajectory(message, joints).speeds(q), made.speeds(q), rtol=1e-6)
        q, sent = made.positions[-1], sent + 1


@pytest.mark.parametrize("wrong", ["joints", "velocity", "times", "points", "sizes"])
def test_the_rules_refuse_what_the_controller_refuses(wrong):
    joints = list(PROFILE.joints)
    message = trajectory_message(joints, Kinematics(PROFILE).joint_line(START, START + 0.1))
    if wrong == "joints":
        message.joint_names[0] = "elbow"
    elif wrong == "velocity":
        message.points[-1].velocities[2] = 0.01
    elif wrong == "times":
        message.points[1].time_from_start = message.points[0].time_from_start
    elif wrong == "points":
        message.points = []
    else:
        message.points[0].positions = message.points[0].positions[:-1]
    assert refusal(message, joints)
    with pytest.raises(ValueError):
        message_to_trajectory(message, joints)


def holds(ros, controller, goals=2):
    """Whether the newest of so many goals has the positions that the joints have."""
    ros.wait_until(lambda: len(controller.goals) == goals, "the newest goal")
    return np.allclose(controller.goals[-1].trajectory.points[-1].positions, controller.q, atol=0.03)


def test_a_move_arrives_and_the_goal_says_how_long_it_may_take(arm, controller, worker):
    result = worker(arm.move, TARGET)
    assert result.reached
    np.testing.assert_allclose(result.pose, TARGET, atol=0.002)
    (goal,) = controller.goals
    assert goal.trajectory.joint_names == list(PROFILE.joints)
    duration = goal.trajectory.points[-1].time_from_start
    allowed = PROFILE.motion.timeout + 10 * to_seconds(duration)
    assert to_seconds(goal.goal_time_tolerance) == pytest.approx(allowed), "also with a speed slider at a tenth"
    assert worker(arm.move_joints, np.array(PROFILE.home_joints)).reached


@pytest.mark.parametrize("path_tolerance", [0.02, 10.0])
def test_a_violated_tolerance_is_a_block_and_the_arm_holds_still(arm, controller, worker, ros, path_tolerance):
    controller.wall, controller.path_tolerance = START[0] + 0.05, path_tolerance
    assert worker(arm.move, TARGET).reason == "blocked"
    assert holds(ros, controller)


def test_a_goal_that_the_controller_gives_up_at_its_end_is_a_block(arm, controller, worker, ros):
    controller.wall, controller.path_tolerance = START[0] + 0.05, 10.0
    driver = arm._driver
    q = START + [0.3, 0, 0, 0, 0, 0, 0]
    driver._patience = -10 * float(Kinematics(PROFILE).joint_line(START, q).times[-1])
    worker(driver.send, Kinematics(PROFILE).joint_line(START, q))
    assert ros.wait_until(driver.failure, "the controller's result") == "blocked"


def test_a_stop_holds_the_arm(arm, controller, worker, ros):
    aside = START + [1.2, 0, 0, 0, 0, 0, 0]
    motion = worker.submit(arm.move_joints, aside)
    ros.wait_until(lambda: controller.q[0] > START[0] + 0.05, "the arm moving")
    arm.stop()
    ros.wait_until(motion.done, "the end of the motion")
    assert motion.result().reason == "stopped"
    assert holds(ros, controller) and controller.q[0] < aside[0] - 0.1


def test_a_controller_that_is_deactivated_stops_the_motion(arm, controller, worker, ros):
    motion = worker.submit(arm.move_joints, START + [1.2, 0, 0, 0, 0, 0, 0])
    ros.wait_until(lambda: controller.q[0] > START[0] + 0.05, "the arm moving")
    controller.deactivate()
    ros.wait_until(motion.done, "the end of the motion")
    assert motion.result().reason == "stopped"


def test_a_controller_that_refuses_is_named(arm, controller, worker):
    controller.active = False
    with pytest.raises(RobotError, match="follow_joint_trajectory refuses a trajectory: is the controller active"):
        worker(arm.move, TARGET)
