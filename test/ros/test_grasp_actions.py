"""The actions of the policy node, as a behaviour tree would call them."""

import pytest
from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient
from std_srvs.srv import Trigger

from robot_finetune.action import Grasp, Run
from robot_finetune.ros.constants import PHASE


@pytest.fixture
def send(ros):
    """send(kind, name, **request) sends a goal; returns its handle and the list of its feedback."""
    clients = {}

    def goal(kind, name, **request):
        if name not in clients:
            clients[name] = ActionClient(ros.node, kind, name)
            ros.wait_until(clients[name].server_is_ready, f"the action {name}")
            ros.spin_for(0.3)
        feedback = []
        take = lambda message: feedback.append(message.feedback)  # noqa: E731
        future = clients[name].send_goal_async(kind.Goal(**request), feedback_callback=take)
        ros.wait_until(future.done, "the answer")
        return future.result(), feedback

    return goal


@pytest.fixture
def result(ros):
    def get(handle):
        future = handle.get_result_async()
        ros.wait_until(future.done, "the result")
        return future.result().status, future.result().result

    return get


def test_one_attempt_and_several_are_made_and_counted(cell, ros, send, result):
    cell.logger()
    policy = cell.policy(start_grasping=False, max_episodes=1)
    handle, feedback = send(Grasp, "policy/grasp")
    assert handle.accepted
    status, made = result(handle)
    assert status == GoalStatus.STATUS_SUCCEEDED and made.message == ""
    (summary,) = cell.summaries
    assert (made.episode_id, made.success, made.end_reason) == (
        summary.episode_id,
        summary.success,
        summary.end_reason,
    )
    phases = [PHASE.name(message.phase) for message in feedback if message.phase]
    assert {"reset", "approach", "lifted", "done"} <= set(phases) and feedback[-1].step >= 1
    ros.wait_until(lambda: cell.state == "idle", "the end")

    handle, feedback = send(Run, "policy/run", attempts=2)
    refused, _ = send(Grasp, "policy/grasp")
    assert not refused.accepted, "one goal at a time"
    status, made = result(handle)
    assert status == GoalStatus.STATUS_SUCCEEDED and (made.attempts, made.discarded) == (2, 0)
    assert [message.attempts for message in feedback] == [1, 2]
    ids = [summary.episode_id for summary in cell.summaries]
    assert ids[1:] == [message.episode_id for message in feedback]
    assert made.successes == sum(summary.success for summary in cell.summaries[1:])
    assert policy.stop() == 0 and "Traceback" not in policy.output


def test_a_goal_ends_with_what_ends_the_grasping(slow_cell, ros, send, result):
    cell = slow_cell
    cell.logger()
    policy = cell.policy(start_grasping=False)
    handle, _ = send(Run, "policy/run")
    ros.wait_until(lambda: cell.phase == "approach", "an approach")
    cancelled = handle.cancel_goal_async()
    ros.wait_until(cancelled.done, "the cancelling")
    status, made = result(handle)
    assert status == GoalStatus.STATUS_CANCELED and made.attempts == 0 and "cancelled by the client" in made.message
    ros.wait_until(lambda: (cell.phase, cell.state) == ("discarded", "stopped"), "the arm held")

    handle, _ = send(Grasp, "policy/grasp")
    ros.wait_until(lambda: cell.phase == "approach", "an approach")
    assert ros.call(Trigger, "policy/emergency_stop").success
    status, made = result(handle)
    assert status == GoalStatus.STATUS_ABORTED and "emergency stop" in made.message and not made.episode_id
    handle, _ = send(Grasp, "policy/grasp")
    status, made = result(handle)
    assert status == GoalStatus.STATUS_ABORTED and "reset_emergency_stop" in made.message
    assert policy.stop() == 0 and "Traceback" not in policy.output
