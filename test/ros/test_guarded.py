"""A callback that fails drops its message; the node goes on and tells of it, not too often."""

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from std_msgs.msg import Float64, String

from robot_finetune.robot.interfaces import RobotError
from robot_finetune.ros.node.diagnostics import Diagnostics, Health
from robot_finetune.ros.node.guarded import dropped, listen
from robot_finetune.ros.node.qos import COMMAND


def ends(number):
    errors = [
        ValueError("no number"),
        RobotError("no robot"),
        RecursionError("deep"),
        AssertionError("type"),
        KeyError(3),
    ]
    raise errors[int(number) % len(errors)]


@pytest.mark.parametrize("with_info", [False, True])
def test_a_callback_that_fails_drops_its_message(ros, capfd, with_info):
    heard = []

    def take(message):
        if message.data > 0:
            ends(message.data)
        heard.append(message.data)

    listen(ros.node, Float64, "numbers", (lambda message, info: info and take(message)) if with_info else take, COMMAND)
    publisher = ros.publisher(Float64, "numbers", COMMAND)
    for data in (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, -1.0):
        publisher.publish(Float64(data=data))
    ros.wait_until(lambda: -1.0 in heard, "the last message")
    assert heard == [0.0, -1.0] and dropped(ros.node) == {"dropped_numbers": 5}
    told = [line for line in capfd.readouterr().err.splitlines() if "is dropped" in line]
    assert len(told) == 1 and "a message of /numbers is dropped (1 so far): no robot" in told[0]


def test_counts_are_in_the_diagnostics(ros):
    listen(ros.node, String, "words", lambda message: ends(0), COMMAND)
    Diagnostics(ros.node, lambda: Health(values={"other": 1}), 0.1)
    arrays = ros.collect(DiagnosticArray, "/diagnostics", COMMAND)
    ros.publisher(String, "words", COMMAND).publish(String(data="x"))

    def values():
        return {value.key: value.value for value in arrays[-1].status[0].values} if arrays else {}

    ros.wait_until(lambda: values().get("dropped_words") == "1", "the count")
    assert values()["other"] == "1"
