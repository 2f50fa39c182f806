"""A stop signal of the cell stops, whatever its publisher's quality of service is."""

import pytest
from std_msgs.msg import Bool

from robot_finetune.robot.interfaces import RobotError
from robot_finetune.robot.profile_groups import EmergencyStopConfig
from robot_finetune.ros.emergency_signal import watch_emergency_stop
from robot_finetune.ros.node.qos import COMMAND, LATCHED


@pytest.mark.parametrize("stopped_when", [True, False])
def test_it_stops_once_and_again_after_a_reset(ros, stopped_when):
    stops = []
    config = EmergencyStopConfig("stop_signal", stopped_when)
    watch_emergency_stop(ros.node, config, lambda: stops.append(1), lambda: len(stops) == 1)
    signal = ros.publisher(Bool, "stop_signal", COMMAND)
    heard = ros.collect(Bool, "stop_signal", COMMAND)
    for data in (not stopped_when, stopped_when, stopped_when):
        signal.publish(Bool(data=data))
    ros.wait_until(lambda: len(heard) == 3, "the signals")
    assert len(stops) == 1
    stops += [1]  # as if it had been reset
    signal.publish(Bool(data=stopped_when))
    ros.wait_until(lambda: len(stops) >= 3, "the stop after the reset")


def test_a_signal_from_before_is_heard_and_an_arm_that_does_not_answer_ends_nothing(ros):
    ros.publisher(Bool, "stop_signal", LATCHED, listened=False).publish(Bool(data=True))
    stops = []

    def stop():
        stops.append(1)
        raise RobotError("no joint_states")

    watch_emergency_stop(ros.node, EmergencyStopConfig("stop_signal"), stop, lambda: bool(stops))
    ros.wait_until(lambda: stops, "the stop")


def test_no_topic_watches_nothing(ros):
    before = len(list(ros.node.subscriptions))
    watch_emergency_stop(ros.node, EmergencyStopConfig(), lambda: None, lambda: False)
    assert len(list(ros.node.subscriptions)) == before
