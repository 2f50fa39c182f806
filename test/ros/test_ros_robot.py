"""The devices over topics, moved by a worker thread as the policy does it."""

import math
import time
from dataclasses import replace

import numpy as np
import pytest
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64

from robot_finetune.config import ConfigError
from robot_finetune.robot.interfaces import RobotError
from robot_finetune.robot.joint_limits import JointLimit
from robot_finetune.robot.profile import GripperConfig, load_robot
from robot_finetune.ros.grippers.gripper_client import GripperClient, PositionTopic
from robot_finetune.ros.node.joint_states import JointStates
from robot_finetune.ros.node.qos import COMMAND
from robot_finetune.ros.node.waiting import RosClock, no_check
from robot_finetune.ros.ros_robot import RosCamera, ros_robot, wait_until_ready

PROFILE = load_robot("sim")


@pytest.fixture
def robot(spawn_node, ros, worker):
    """The robot on the simulated cell."""
    ros.node.set_parameters([Parameter("use_sim_time", value=True)])
    made = ros_robot(ros.node, PROFILE)
    spawn_node("sim_cell", {"real_time_factor": 0.0})
    spawn_node("camera", {"use_sim_time": True})
    worker(wait_until_ready, made, 60.0, no_check, print)
    return made


def test_the_arm_goes_where_it_is_told_and_images_are_newer_than_the_call(robot, worker):
    home = worker(robot.arm.move_joints, np.array(PROFILE.home_joints))
    assert home.reached
    target = np.array([0.55, 0.1, 0.15, 0.5])
    start = worker(robot.arm.move, np.array(PROFILE.start_pose))
    moved = worker(robot.arm.move, target)
    assert start.reached and moved.reached
    np.testing.assert_allclose(moved.pose, target, atol=0.003)
    np.testing.assert_allclose(worker(robot.arm.pose), target, atol=0.003)
    now = robot.clock.now()
    frame = worker(robot.camera.frame)
    assert frame.stamp > now and frame.image.shape == (64, 64, 3)
    assert worker(robot.camera.frame).stamp > frame.stamp
    assert not worker(robot.arm.move, np.array([2.0, 0.0, 0.2, 0.0])).reached


def test_images_of_another_size_than_the_networks_are_not_scaled_silently(robot, ros, worker):
    camera = RosCamera(ros.node, robot.clock, 5.0, image_size=96)
    with pytest.raises(RobotError, match="64 x 64 px.*image_size: 96"):
        worker(camera.frame)


def test_the_gripper_answers_when_its_fingers_rest(robot, worker):
    assert worker(robot.gripper.command, 0.0) < 0.05
    assert worker(robot.gripper.command, 1.0) > 0.95
    assert worker(robot.gripper.command, 1.0) > 0.95, "where it is already"
    assert worker(robot.gripper.command, 0.5) == pytest.approx(0.5, abs=0.05)


def test_a_stop_ends_a_motion_where_the_arm_is(robot, worker, ros):
    worker(robot.arm.move, np.array(PROFILE.start_pose))
    begin = worker(robot.arm.joint_positions)
    aside = begin + [1.2, 0, 0, 0, 0, 0, 0]
    motion = worker.submit(robot.arm.move_joints, aside)
    ros.wait_until(lambda: np.abs(robot.arm.joint_positions() - begin).max() > 0.05 or motion.done(), "the arm moving")
    robot.arm.stop()
    ros.wait_until(motion.done, "the end of the motion")
    assert motion.result().reason == "stopped"
    assert np.abs(worker(robot.arm.joint_positions) - aside).max() > 0.1


class Fingers:
    """A gripper driver in the test: a joint state for each position that it is given."""

    def __init__(self, ros):
        self.states = ros.publisher(JointState, "joint_states", COMMAND, listened=False)
        self.commands = ros.collect(Float64, "gripper_controller/command", COMMAND)
        self.time = 0.0

    def at(self, position):
        self.time += 0.01
        message = JointState(name=["finger"], position=[position])
        message.header.stamp.sec = 100 + int(self.time)
        message.header.stamp.nanosec = int(self.time % 1 * 1e9)
        before = self.received.stamp("finger")
        self.states.publish(message)
        for _ in range(25):  # the client keeps up with a driver; a message may be lost, as best effort allows
            time.sleep(0.002)
            if self.received.stamp("finger") > before:
                return


@pytest.fixture
def fingers(ros):
    """A gripper whose joint counts from open (0) to closed (0.8), as a Robotiq's does, and its client."""
    config = GripperConfig(joint="finger", open_position=0.0, closed_position=0.8, timeout=1.0)
    made = Fingers(ros)
    made.received = JointStates(ros.node, "joint_states", RosClock(ros.node), {"finger": JointLimit()}, 0.5)
    driver = PositionTopic(ros.node, config, "gripper_controller/command")
    made.client = GripperClient(driver, made.received, config)
    return made


def drive(ros, fingers, worker, positions):
    """The answer to a close command, while the fingers take `positions` one after the other, the last for ever."""
    ros.wait_until(lambda: fingers.states.get_subscription_count() > 0, "the client")
    ros.wait_until(lambda: fingers.at(positions[0]) or fingers.received.stamp("finger"), "its state, confirmed")
    future = worker.submit(fingers.client.command, 0.0)
    ros.wait_until(lambda: fingers.commands, "the command")
    remaining = iter(positions)
    position = positions[0]

    def done():
        nonlocal position
        position = next(remaining, position)
        fingers.at(position() if callable(position) else position)
        return future.done()

    ros.wait_until(done, "the client's answer")
    return future.result()


def test_fingers_stopped_by_an_object_count_as_resting_there(ros, fingers, worker):
    late = [0.0] * 30 + list(np.linspace(0.0, 0.5, 20))
    assert drive(ros, fingers, worker, late) == pytest.approx(1 - 0.5 / 0.8, abs=0.02)
    assert fingers.commands[-1].data == pytest.approx(0.8)


def test_fingers_that_never_rest_are_an_error(ros, fingers, worker):
    shaking = np.random.default_rng(0)
    with pytest.raises(RobotError, match=r"joint finger still moves 1\.0 s after its command"):
        drive(ros, fingers, worker, [0.0, lambda: shaking.uniform(0.2, 0.6)])


def test_a_joint_that_the_driver_does_not_have_is_named(ros, worker):
    states = JointStates(ros.node, "joint_states", RosClock(ros.node), {"joint_1": JointLimit()}, 0.5)
    publisher = ros.publisher(JointState, "joint_states", COMMAND)
    publisher.publish(JointState(name=["elbow"], position=[0.1]))
    with pytest.raises(RobotError, match="lack joint_1, there are elbow: check the robot profile"):
        worker(states.positions, ["joint_1"])


def test_two_publishers_of_joint_states_are_named(ros, worker):
    states = JointStates(ros.node, "joint_states", RosClock(ros.node), {"elbow": JointLimit(-3, 3, 2.0)}, 0.5)
    publishers = [ros.publisher(JointState, "joint_states", COMMAND) for _ in range(2)]
    future = worker.submit(states.positions, ["elbow"])

    def publish():
        for publisher, position in zip(publishers, (0.0, 1.56), strict=True):
            publisher.publish(JointState(name=["elbow"], position=[position]))
            ros.spin_for(0.01)
        return future.done()

    ros.wait_until(publish, "the answer")
    with pytest.raises(RobotError, match=r"no sound joint_states .*: elbow jumped 1\.56 .*do two publishers write"):
        future.result()


def test_a_joint_state_that_is_no_number_is_passed_over(ros, worker):
    states = JointStates(ros.node, "joint_states", RosClock(ros.node), {"elbow": JointLimit(-3, 3, 2.0)}, 5.0)
    publisher = ros.publisher(JointState, "joint_states", COMMAND)

    def publish(position):
        publisher.publish(JointState(name=["elbow"], position=[position]))
        ros.spin_for(0.01)
        return states.newest(["elbow"]) is not None

    ros.wait_until(lambda: publish(0.5), "a state that is believed")
    for position in (math.nan, 1e6, 0.51):
        publish(position)
    assert worker(states.positions, ["elbow"]) == pytest.approx([0.51])


def test_positions_of_a_time_are_waited_for_and_late_clocks_are_named(ros, worker):
    """A move's end is judged by states of after it, also where they come later than the clock."""
    states = JointStates(ros.node, "joint_states", RosClock(ros.node), {"elbow": JointLimit()}, 2.0)
    publisher = ros.publisher(JointState, "joint_states", COMMAND)

    def measure(seconds, position):
        message = JointState(name=["elbow"], position=[position])
        message.header.stamp.sec = seconds
        publisher.publish(message)

    ros.wait_until(lambda: measure(100, 0.1) or states.stamp("elbow") == 100.0, "the first state, confirmed")
    assert worker(states.positions, ["elbow"], 100.0) == pytest.approx([0.1])
    later = worker.submit(states.positions, ["elbow"], 101.0)
    with pytest.raises(TimeoutError):
        later.result(timeout=0.3)
    measure(102, 0.12)
    ros.wait_until(later.done, "the next state")
    assert later.result() == pytest.approx([0.12])
    measure(103, 0.14)
    late = worker.submit(states.positions, ["elbow"], 109.5)
    ros.wait_until(lambda: measure(103, 0.14) or late.done(), "the answer")
    with pytest.raises(RobotError, match=r"stamped 6\.5 s behind the clock of this node: synchronise the clocks"):
        late.result()


def test_a_robot_that_was_not_measured_does_not_move(ros):
    with pytest.raises(ConfigError, match="robot profile sim: home_joints are place holders; measure them"):
        ros_robot(ros.node, replace(PROFILE, to_measure=("home_joints",)))
