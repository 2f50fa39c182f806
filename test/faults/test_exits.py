"""However the policy ends or is told to stop, the last thing that the arm hears is to hold."""

import signal

import pytest
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from robot_finetune.ros.node.qos import COMMAND

LONG = 0.5
"""Seconds of a motion in whose middle the end can come."""


@pytest.fixture
def commands(ros):
    """What the arm's controller hears."""
    return ros.collect(JointTrajectory, "arm_controller/joint_trajectory", COMMAND)


@pytest.fixture
def moving(slow_cell, ros, commands):
    """A policy whose arm has just begun a long motion, in real time."""
    slow_cell.logger()
    policy = slow_cell.policy()

    def in_motion():
        points = commands[-1].points if commands else []
        return len(points) > 1 and points[-1].time_from_start.nanosec * 1e-9 + points[-1].time_from_start.sec > LONG

    ros.wait_until(in_motion, "a motion")
    return policy


def is_hold(command):
    return len(command.points) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_makes_the_arm_hold_before_the_process_ends(moving, ros, commands, number):
    assert moving.stop(number) == 0 and "Traceback" not in moving.output
    ros.wait_until(lambda: is_hold(commands[-1]), "the hold")


@pytest.mark.parametrize("service", ["stop", "emergency_stop"])
def test_a_stop_is_the_last_command(moving, ros, commands, service):
    assert ros.call(Trigger, f"policy/{service}").success
    ros.wait_until(lambda: is_hold(commands[-1]), "the hold")
    count = len([command for command in commands if not is_hold(command)])
    ros.spin_for(1.0)
    assert is_hold(commands[-1]) and len([one for one in commands if not is_hold(one)]) == count


def test_a_deactivated_node_lets_the_arm_hold(moving, ros, commands, manage):
    manage("policy").go("deactivate")
    ros.wait_until(lambda: is_hold(commands[-1]), "the hold")
