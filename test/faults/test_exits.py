"""However the policy ends or is told to stop, the last thing that the arm hears is to hold."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from robot_finetune.ros.environment import executable
from robot_finetune.ros.node.qos import COMMAND
from robot_finetune.ros.node.stamps import to_seconds

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

    ros.wait_until(lambda: is_moving(commands), "a motion")
    return policy


def is_moving(commands):
    points = commands[-1].points if commands else []
    return len(points) > 1 and to_seconds(points[-1].time_from_start) > LONG


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


def test_a_policy_whose_launch_is_killed_holds_the_arm_and_ends(slow_cell, ros, commands, tmp_path):
    """As when `ros2 launch` is killed, or ends by an error and leaves its processes."""
    slow_cell.logger()
    words = [f"{sys.executable} {executable('policy')} --ros-args -p use_sim_time:=true -p policy:={tmp_path}/v0"]
    launch = subprocess.Popen(["bash", "-c", f"{words[0]} & echo $!; wait"], stdout=subprocess.PIPE, text=True)
    policy = int(launch.stdout.readline())
    try:
        ros.wait_until(lambda: is_moving(commands), "a motion")
        launch.kill()
        ros.wait_until(lambda: is_hold(commands[-1]), "the hold")
        ros.wait_until(lambda: not Path(f"/proc/{policy}").exists(), "the end of the policy")
    finally:
        launch.wait()
        with suppress(ProcessLookupError):
            os.kill(policy, signal.SIGKILL)
