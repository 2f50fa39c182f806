"""The arm behind MoveIt Servo's topics and services, moved by a worker thread as the policy does it."""

from dataclasses import replace

import numpy as np
import pytest
from fakes.interfaces import provide
from fakes.servo_node import ServoNode
from fakes.trajectory_controller import TrajectoryController

from robot_finetune.config import ConfigError
from robot_finetune.robot.interfaces import RobotError
from robot_finetune.robot.joint_limits import measured_limits
from robot_finetune.robot.kinematics import Kinematics
from robot_finetune.robot.profile import load_robot
from robot_finetune.robot.profile_groups import ServoConfig
from robot_finetune.ros.arms.make_arm import make_arm
from robot_finetune.ros.node.joint_states import JointStates
from robot_finetune.ros.node.waiting import RosClock

SIM = load_robot("sim")
PROFILE = replace(
    SIM,
    arm_action="controller/follow_joint_trajectory",
    motion=replace(SIM.motion, backend="servo", timeout=1.0),
    workspace=replace(SIM.workspace, high=(1.5, 0.5, 0.5)),  # wider than the arm reaches
    servo=ServoConfig(tip_frame="link_7"),
)
LIMITS = measured_limits(load_robot("sim"))
START = Kinematics(SIM).inverse(np.array(SIM.start_pose))
TARGET = np.array([0.64, 0.05, 0.15, 0.3])


@pytest.fixture
def controller(ros):
    provide("control_msgs")
    return TrajectoryController(ros, SIM.joints, START)


@pytest.fixture
def servo(ros, controller):
    provide("moveit_msgs")
    return ServoNode(ros, controller, SIM)


@pytest.fixture
def arm(ros, servo):
    clock = RosClock(ros.node)
    return make_arm(ros.node, JointStates(ros.node, "joint_states", clock, LIMITS), PROFILE, clock)


def test_the_tool_arrives_though_servo_moves_another_link(arm, worker):
    result = worker(arm.move, TARGET)
    assert result.reached
    np.testing.assert_allclose(result.pose, TARGET, atol=0.003)
    assert worker(arm.move, result.pose).reached, "where it is already"


def test_targets_are_young_and_many_and_servo_is_paused_before_and_after(arm, servo, worker):
    worker(arm.move, TARGET)
    worker(arm.move_joints, np.array(SIM.home_joints))
    assert servo.history == ["pose", "go", "pause", "pause"]
    gaps = np.diff(servo.stamps)
    assert 1 / 60 < np.median(gaps) < 1 / 25 and len(gaps) > 5
    assert servo.target.header.frame_id == "base_link"


def test_a_joint_move_goes_through_the_controller(arm, controller, worker):
    assert worker(arm.move_joints, np.array(SIM.home_joints)).reached
    np.testing.assert_allclose(controller.q, SIM.home_joints, atol=0.01)
    assert worker(arm.move, TARGET).reached, "and Servo goes on from there"


def test_a_displacement_adds_to_what_was_commanded_and_stays_in_the_box(arm, worker):
    arm._commanded = np.array([*SIM.start_pose[:3], 0.0]) + [0.004, 0.0, 0.0, 0.0]
    result = worker(arm.move, np.array([0.63, 0.0, 0.2, 0.0]))
    assert result.reached
    np.testing.assert_allclose(result.pose, [0.634, 0.0, 0.2, 0.0], atol=0.002)
    arm._commanded = arm.pose() + [0.0, 0.0, -0.005, 0.0]
    begin, target = arm._line(arm.pose(), np.array([0.63, 0.0, SIM.workspace.low[2], 0.0]))
    assert begin[2] < arm.pose()[2] and target[2] == SIM.workspace.low[2]
    arm._commanded = np.array([0.5, 0.1, 0.2, 0.0])
    np.testing.assert_allclose(arm._line(arm.pose(), TARGET)[0], arm.pose())


def test_a_collision_ahead_ends_the_move(arm, servo, worker):
    servo.collision_z = 0.28
    result = worker(arm.move, np.array([0.6, 0.0, 0.05, 0.0]))
    assert result.reason == "collision" and 0.06 < result.pose[2] < 0.2
    assert servo.paused


def test_an_arm_that_does_not_follow_was_blocked(arm, servo, worker):
    servo.frozen = True
    assert worker(arm.move, TARGET).reason == "blocked"


def test_a_target_out_of_reach_moves_nothing(arm, servo, worker):
    assert worker(arm.move, np.array([1.4, 0.0, 0.1, 0.0])).reason == "unreachable"
    assert servo.stamps == []


def test_a_stop_ends_the_move_where_the_arm_is(arm, servo, controller, worker, ros):
    motion = worker.submit(arm.move, np.array([0.6, 0.2, 0.1, 0.0]))
    ros.wait_until(lambda: len(servo.stamps) > 3, "the arm moving")
    arm.stop()
    ros.wait_until(motion.done, "the end of the motion")
    assert motion.result().reason == "stopped" and motion.result().pose[1] < 0.18
    ros.wait_until(lambda: controller.goals, "the controller holding")
    assert worker(arm.move, TARGET).reached, "the next move is not stopped"


def test_servo_that_does_not_know_the_frame_is_an_error(arm, servo, worker):
    servo.frame = "world"
    with pytest.raises(RobotError, match="MoveIt Servo finds the target invalid"):
        worker(arm.move, TARGET)
    assert servo.paused


def test_no_servo_is_an_error_that_names_the_service(ros, controller, worker):
    provide("moveit_msgs")
    clock = RosClock(ros.node)
    arm = make_arm(ros.node, JointStates(ros.node, "joint_states", clock, LIMITS), PROFILE, clock)
    with pytest.raises(RobotError, match="no service servo_node/switch_command_type: is MoveIt Servo running"):
        worker(arm.move, TARGET)


def test_a_link_that_moves_against_the_tool_cannot_be_servos(ros, servo):
    clock = RosClock(ros.node)
    wrong = replace(PROFILE, servo=ServoConfig(tip_frame="link_4"))
    with pytest.raises(ConfigError, match="'link_4' is not fixed to 'tcp'"):
        make_arm(ros.node, JointStates(ros.node, "joint_states", clock, LIMITS), wrong, clock)
