"""Every kind of gripper, driven by a worker thread as the policy does it, against its driver's real message types."""

from dataclasses import replace

import pytest
from fakes.gripper_controllers import FrankaHand, GripperController
from fakes.interfaces import provide

from robot_finetune.robot.interfaces import RobotError
from robot_finetune.robot.joint_limits import measured_limits
from robot_finetune.robot.profile import GripperConfig, load_robot
from robot_finetune.ros.grippers.make_gripper import make_gripper
from robot_finetune.ros.node.joint_states import JointStates
from robot_finetune.ros.node.waiting import RosClock

KNUCKLE = GripperConfig(
    action="gripper_cmd", joint="finger", open_position=0.0, closed_position=0.8, max_effort=30.0, timeout=3.0
)
HAND = GripperConfig(
    type="franka",
    action="hand",
    joint="finger",
    open_position=0.04,
    closed_position=0.0,
    open_command=0.08,
    closed_command=0.0,
    max_effort=20.0,
    timeout=3.0,
)


@pytest.fixture
def client(ros):
    """client(config) is the gripper of a profile with that configuration."""

    def make(config):
        clock = RosClock(ros.node)
        profile = replace(load_robot("sim"), gripper=config)
        return make_gripper(
            ros.node, JointStates(ros.node, "joint_states", clock, measured_limits(profile)), profile, clock
        )

    return make


@pytest.fixture(params=["gripper_command", "parallel_gripper_command"])
def controller(ros, request):
    """A ros2_control gripper of both kinds, and the configuration for it."""
    provide("control_msgs")
    import control_msgs.action

    kind = {"gripper_command": "GripperCommand", "parallel_gripper_command": "ParallelGripperCommand"}[request.param]
    made = GripperController(ros, getattr(control_msgs.action, kind))
    made.config = replace(KNUCKLE, type=request.param)
    return made


def test_it_opens_and_closes_to_its_ends_and_in_between(controller, client, worker):
    gripper = client(controller.config)
    assert worker(gripper.command, 0.0) == pytest.approx(0.0, abs=0.03)
    assert worker(gripper.command, 1.0) == pytest.approx(1.0, abs=0.03)
    assert worker(gripper.command, 0.25) == pytest.approx(0.25, abs=0.03)
    assert worker(gripper.opening) == pytest.approx(0.25, abs=0.03)
    effort = controller.goals[0].effort if controller.parallel else [controller.goals[0].max_effort]
    assert list(effort) == [30.0]


@pytest.mark.parametrize("allow_stalling", [False, True])
def test_a_stall_is_a_grasp_whether_its_goal_was_aborted_or_not(controller, client, worker, allow_stalling):
    controller.stop, controller.allow_stalling = 0.5, allow_stalling
    assert worker(client(controller.config).command, 0.0) == pytest.approx(1 - 0.5 / 0.8, abs=0.02)


def test_an_inactive_controller_refuses_and_is_named(controller, client, worker):
    controller.active = False
    with pytest.raises(RobotError, match=r"gripper_cmd refuses its goal: is the gripper's controller active\?"):
        worker(client(controller.config).command, 0.0)


def test_a_goal_that_never_ends_is_an_error(controller, client, worker):
    controller.stop, controller.stall_timeout = 0.5, 60.0
    with pytest.raises(RobotError, match=r"gripper_cmd has not ended within 0\.5 s: check the gripper"):
        worker(client(replace(controller.config, timeout=0.5)).command, 0.0)


def test_no_driver_is_an_error_that_names_the_action(controller, client, worker):
    with pytest.raises(RobotError, match=r"no action server elsewhere/gripper_cmd: is the gripper's driver running"):
        worker(client(replace(controller.config, action="elsewhere/gripper_cmd")).command, 0.0)


@pytest.fixture
def hand(ros):
    provide("franka_msgs")
    return FrankaHand(ros)


def test_franka_grasps_with_a_force_at_any_width_and_moves_to_open(hand, client, worker):
    gripper = client(HAND)
    hand.stop = 0.015
    assert worker(gripper.command, 0.0) == pytest.approx(0.375, abs=0.01)
    assert worker(gripper.command, 1.0) == pytest.approx(1.0, abs=0.01)
    hand.stop = None
    assert worker(gripper.command, 0.0) == pytest.approx(0.0, abs=0.01), "nothing there"
    grasp, move, _ = hand.goals
    assert (grasp.width, grasp.force, grasp.epsilon.outer) == (0.0, 20.0, pytest.approx(0.08))
    assert move.width == pytest.approx(0.08) and not hasattr(move, "force")


def test_an_error_of_the_franka_hand_is_told(hand, client, worker):
    hand.error = "libfranka gripper: Command failed!"
    with pytest.raises(RobotError, match="hand/grasp: libfranka gripper: Command failed!; check the hand"):
        worker(client(HAND).command, 0.0)


def test_a_package_that_is_missing_is_named_with_the_key_that_needs_it(monkeypatch, client):
    monkeypatch.setitem(__import__("sys").modules, "franka_msgs.action", None)
    with pytest.raises(RobotError, match=r"gripper\.type franka needs franka_msgs with Grasp: install it \(apt: ros-"):
        client(HAND)
