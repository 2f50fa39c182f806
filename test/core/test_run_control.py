"""What an operator's requests do to the thread that runs episodes."""

import threading

import pytest

from robot_finetune.robot.interfaces import RobotError
from robot_finetune.robot.run_control import RequestRefused, RunControl
from robot_finetune.robot.safety import EmergencyStop


@pytest.fixture
def control():
    return RunControl(EmergencyStop())


def test_a_pause_interrupts_nothing_and_start_goes_on(control):
    control.start()
    control.pause()
    control.check()
    assert control.state == "paused"
    control.start()
    assert control.state == "running" and control.wait_running()


def test_a_stop_interrupts_what_waits_until_the_next_start(control):
    control.start()
    control.stop()
    with pytest.raises(RobotError, match="stopped by the operator"):
        control.check()
    control.start()
    control.check()


def test_whoever_a_stop_interrupts_finds_the_state_stopped():
    stop = EmergencyStop()
    control, seen = RunControl(stop), []
    trip = stop.trip
    stop.trip = lambda message: (seen.append(control.state), trip(message))
    control.start()
    control.stop()
    assert seen == ["stopped"]


def test_an_emergency_stop_must_be_reset_before_a_start(control):
    control.start()
    control.emergency_stop()
    assert control.state == "stopped"
    with pytest.raises(RequestRefused, match="reset_emergency_stop"):
        control.start()
    with pytest.raises(RobotError):
        control.check()
    control.reset_emergency_stop()
    assert control.state == "idle"
    control.start()
    control.check()


def test_an_emergency_stop_stays_latched_when_the_node_is_activated_again(control):
    control.emergency_stop()
    control.stop("stopped: the node is inactive")
    control.ready()
    assert control.state == "stopped" and "reset_emergency_stop" in control.message
    control.reset_emergency_stop()
    control.stop()
    control.ready()
    assert (control.state, control.message) == ("idle", "")


def test_what_the_worker_finds_does_not_override_the_operator(control):
    control.start()
    control.stop()
    control.finish("done")
    control.fail("broken")
    assert control.state == "stopped" and not control.hold("waiting")


def test_a_hold_ends_when_released_unless_the_operator_has_decided(control):
    control.start()
    assert control.hold("no logger") and control.state == "paused"
    control.release("no logger")
    assert control.state == "running"
    control.hold("no logger")
    control.stop()
    control.release("no logger")
    assert control.state == "stopped"


def test_a_hint_during_a_hold_does_not_make_it_last_for_ever(control):
    control.start()
    control.hold("no logger")
    control.hint("version 3 is not used")
    assert control.held("no logger")
    assert control.message == "no logger; version 3 is not used"
    control.release("no logger")
    assert (control.state, control.message) == ("running", "")


def test_a_hint_that_is_over_leaves_the_reason_of_a_stop(control):
    control.start()
    control.hint("waiting for the camera")
    control.stop("stopped by the operator")
    control.hint("")
    assert control.message == "stopped by the operator"


def test_closing_wakes_the_worker(control):
    answers = []
    worker = threading.Thread(target=lambda: answers.append(control.wait_running()))
    worker.start()
    control.close()
    worker.join(timeout=10)
    assert answers == [False]
    with pytest.raises(RobotError, match="shutting down"):
        control.check()
