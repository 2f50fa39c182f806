"""Spans of time, whatever somebody does to the clocks."""

import threading
import time

import pytest
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock

from robot_finetune.robot.interfaces import RobotError
from robot_finetune.ros.node.qos import CLOCK
from robot_finetune.ros.node.waiting import RosClock


@pytest.fixture
def simulated(ros):
    """set(seconds) publishes /clock until the node's own clock shows it; the node is on simulated time."""
    ros.node.set_parameters([Parameter("use_sim_time", value=True)])
    publisher = ros.publisher(Clock, "/clock", CLOCK)

    def show(seconds):
        message = Clock()
        message.clock.sec = seconds
        publisher.publish(message)
        ros.wait_until(lambda: ros.node.get_clock().now().nanoseconds == seconds * 10**9, f"/clock {seconds}")
        ros.spin_for(0.2)  # whoever waits has looked at it

    return show


def test_a_simulated_clock_that_is_set_back_or_leaps_is_waited_through(ros, worker, simulated):
    simulated(1_000_000)
    clock = RosClock(ros.node, timeout=10.0)
    before, begun = clock.elapsed(), threading.Event()

    def sleep():
        begun.set()
        clock.sleep(3.0)

    waiting = worker.submit(sleep)
    begun.wait(60.0)
    ros.spin_for(0.5)  # it sleeps
    simulated(1_000_001)
    simulated(5)
    assert not waiting.done() and clock.now() == 5
    simulated(6)
    assert not waiting.done()
    simulated(7)
    ros.wait_until(waiting.done, "the end of three seconds: one before, two after")
    assert waiting.result() is None and clock.elapsed() - before == pytest.approx(3.0)


def test_a_simulated_clock_that_stands_still_is_named(ros, worker, simulated):
    simulated(10)
    with pytest.raises(RobotError, match="no /clock for 0.2 s: is sim_cell running?"):
        worker(RosClock(ros.node, timeout=0.2).sleep, 1.0)


def test_a_computers_clock_is_not_what_spans_are_measured_by(ros, worker, monkeypatch):
    """The system clock may be set by a time server at any moment: only stamps are of it."""
    clock = RosClock(ros.node)
    assert not clock.simulated and clock.now() == pytest.approx(time.time(), abs=60)
    monkeypatch.setattr(clock, "now", lambda: 0.0)
    begun = time.monotonic()
    worker(clock.sleep, 0.2)
    assert clock.elapsed() - begun >= 0.2


def test_a_negative_clock_ends_no_node(spawn_node, ros):
    camera = spawn_node("camera", {"use_sim_time": True})
    publisher = ros.publisher(Clock, "/clock", CLOCK)
    bad = Clock()
    bad.clock.sec = -5
    for _ in range(20):
        publisher.publish(bad)
        ros.spin_for(0.05)
    assert camera.running
    assert camera.stop() == 0 and "Traceback" not in camera.output
