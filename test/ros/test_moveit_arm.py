"""The arm behind MoveIt: moveit_py where it is installed, otherwise the stand-in in test/fakes/moveit_py."""

import importlib.util
import json
import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from fakes.interfaces import provide
from fakes.trajectory_controller import TrajectoryController

from robot_finetune.config import ConfigError
from robot_finetune.graph.robot_nodes import robot_nodes
from robot_finetune.robot.interfaces import RobotError
from robot_finetune.robot.joint_limits import measured_limits
from robot_finetune.robot.kinematics import Kinematics
from robot_finetune.robot.profile import load_robot
from robot_finetune.robot.profile_groups import MoveItConfig, ServoConfig
from robot_finetune.ros.arms.make_arm import make_arm
from robot_finetune.ros.arms.moveit_config import moveit_parameters
from robot_finetune.ros.node.joint_states import JointStates
from robot_finetune.ros.node.waiting import RosClock

FAKES = Path(__file__).parents[1] / "fakes"
REAL = importlib.util.find_spec("moveit") is not None
faked = pytest.mark.skipif(REAL, reason="the real MoveIt cannot be told to fail")
SIM = load_robot("sim")
MOVEIT = MoveItConfig(
    config_package="sim_moveit_config",
    group="arm",
    srdf="config/sim.srdf",
    controllers=("controller",),
    planning_time=0.5,
)
MOTION = replace(SIM.motion, backend="moveit", velocity_scaling=0.5, acceleration_scaling=0.25)
WIDE = replace(SIM.workspace, high=(1.5, 0.5, 0.5))  # wider than the arm reaches
PROFILE = replace(SIM, namespace="cell", moveit=MOVEIT, motion=MOTION, workspace=WIDE)
LIMITS = measured_limits(load_robot("sim"))
START = Kinematics(SIM).inverse(np.array(SIM.start_pose))
TARGET = np.array([0.62, 0.1, 0.15, 0.2])


@pytest.fixture(autouse=True)
def package(tmp_path, monkeypatch):
    """A MoveIt configuration package of the simulated cell; returns its config folder."""
    share = tmp_path / "prefix" / "share"
    marker = share / "ament_index" / "resource_index" / "packages" / "sim_moveit_config"
    config = share / "sim_moveit_config" / "config"
    marker.parent.mkdir(parents=True)
    marker.touch()
    config.mkdir(parents=True)
    chain = '<group name="arm"><chain base_link="base_link" tip_link="tcp"/></group>'
    (config / "sim.srdf").write_text(f'<robot name="cell">{chain}</robot>')
    solver = {"kinematics_solver": "kdl_kinematics_plugin/KDLKinematicsPlugin"}
    (config / "kinematics.yaml").write_text(yaml.safe_dump({"arm": solver}))
    limits = {joint: {"has_acceleration_limits": True, "max_acceleration": 10.0} for joint in SIM.joints}
    (config / "joint_limits.yaml").write_text(yaml.safe_dump({"joint_limits": limits}))
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path / "prefix"), prepend=os.pathsep)
    return config


class Fake:
    """Tells the stand-in what to do, and reads what it was called with."""

    def __init__(self, path):
        self._path, self._log = path, path.with_name(path.name + ".log")

    def __call__(self, **script):
        self._path.write_text(json.dumps(script))

    def calls(self, name):
        lines = map(json.loads, self._log.read_text().splitlines() if self._log.exists() else [])
        return [call for call in lines if call["call"] == name]


@pytest.fixture
def fake(tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_MOVEIT", str(tmp_path / "fake"))
    if not REAL:
        ours = os.pathsep.join(map(str, (FAKES / "moveit_py", FAKES.parent)))
        monkeypatch.setenv("PYTHONPATH", ours, prepend=os.pathsep)  # a sourced ROS has its message packages there
    return Fake(tmp_path / "fake")


@pytest.fixture
def controller(ros):
    provide("control_msgs")
    return TrajectoryController(ros, SIM.joints, START, "cell/controller")


@pytest.fixture
def arm(ros, controller, fake):
    clock = RosClock(ros.node)
    made = make_arm(ros.node, JointStates(ros.node, "joint_states", clock, LIMITS), PROFILE, clock)
    yield made
    made.close()


def test_a_line_and_a_joint_move_arrive(arm, controller, worker, fake):
    result = worker(arm.move, TARGET)
    assert result.reached
    np.testing.assert_allclose(result.pose, TARGET, atol=0.003)
    home = worker(arm.move_joints, np.array(SIM.home_joints))
    assert home.reached
    np.testing.assert_allclose(controller.q, SIM.home_joints, atol=0.01)
    assert worker(arm.move, home.pose).reached and len(controller.goals) == 2, "where it is already"


@faked
def test_every_documented_trap_is_avoided(arm, worker, fake):
    worker(arm.move, TARGET)
    worker(arm.move_joints, np.array(SIM.home_joints))
    (made,) = fake.calls("MoveItPy")
    assert made["name_space"] == "/cell" and made["remappings"] == {"joint_states": "/joint_states"}
    assert made["parameters"]["planning_scene_monitor_options"]["wait_for_initial_state_timeout"] > 0
    line, joints = fake.calls("plan")
    assert (line["planner"], joints["planner"]) == ("LIN", "PTP")
    assert line["pipeline"] == joints["pipeline"] == "pilz_industrial_motion_planner"
    assert line["scaling"] == joints["scaling"] == [0.5, 0.25]
    assert fake.calls("set_goal_state")[0] == {"call": "set_goal_state", "frame": "base_link", "link": "tcp"}
    assert [call["controllers"] for call in fake.calls("execute")] == [[], []]
    process = arm._process._process
    arm.close()
    assert fake.calls("shutdown") and process.returncode == 0, "no destructor ran"


def test_what_is_out_of_reach_moves_nothing(arm, controller, worker):
    assert worker(arm.move, np.array([1.4, 0.0, 0.1, 0.0])).reason == "unreachable"
    assert controller.goals == []


@faked
def test_a_plan_that_fails_is_a_reason(arm, controller, worker, fake):
    for code, reason in [(-31, "unreachable"), (-2, "collision"), (-12, "collision"), (-6, "timeout")]:
        fake(error_code=code)
        result = worker(arm.move, TARGET)
        assert result.reason == reason and controller.goals == []
        np.testing.assert_allclose(result.pose, SIM.start_pose, atol=0.001)
    fake(error_code=-15)
    with pytest.raises(RobotError, match="MoveIt cannot plan: error code -15"):
        worker(arm.move, TARGET)


@faked
def test_a_line_that_is_too_fast_for_a_joint_is_tried_slower(arm, worker, fake):
    fake(too_fast=0.3)
    assert worker(arm.move, TARGET).reached
    assert [call["scaling"] for call in fake.calls("plan")] == [[0.5, 0.25], [0.25, 0.125]]
    fake(too_fast=0.01)
    assert worker(arm.move, np.array(SIM.start_pose)).reason == "unreachable"


def test_a_stop_ends_a_motion_where_the_arm_is(arm, controller, worker, ros):
    aside = START + [1.2, 0, 0, 0, 0, 0, 0]
    motion = worker.submit(arm.move_joints, aside)
    ros.wait_until(lambda: controller.q[0] > START[0] + 0.05, "the arm moving")
    arm.stop()
    ros.wait_until(motion.done, "the end of the motion")
    assert motion.result().reason == "stopped" and controller.q[0] < aside[0] - 0.1
    assert worker(arm.move_joints, START).reached, "the next motion is not stopped"


def test_an_interrupted_motion_is_over_when_the_error_comes(ros, controller, worker, fake):
    interrupted = threading.Event()

    def check():
        if interrupted.is_set():
            raise RobotError("emergency stop")

    clock = RosClock(ros.node)
    arm = make_arm(ros.node, JointStates(ros.node, "joint_states", clock, LIMITS), PROFILE, clock, check)
    aside = START + [1.2, 0, 0, 0, 0, 0, 0]
    motion = worker.submit(arm.move_joints, aside)
    ros.wait_until(lambda: controller.q[0] > START[0] + 0.05, "the arm moving")
    interrupted.set()
    ros.wait_until(motion.done, "the end of the motion")
    with pytest.raises(RobotError, match="emergency stop"):
        motion.result()
    assert not controller.moving and controller.q[0] < aside[0] - 0.1
    arm.close()


@faked
def test_planning_blocks_nobody_and_a_stop_while_it_lasts_holds(arm, controller, worker, ros, fake):
    worker(arm.move, TARGET)
    fake(plan_seconds=0.7)
    motion = worker.submit(arm.move, np.array(SIM.start_pose))
    ros.wait_until(lambda: len(fake.calls("plan")) == 2, "the plan")
    begin, ticks = time.monotonic(), 0
    while time.monotonic() < begin + 0.3:
        arm.joint_positions()
        ticks += 1
    assert ticks > 30
    arm.stop()
    ros.wait_until(motion.done, "the answer")
    assert motion.result().reason == "stopped" and len(controller.goals) == 1


def test_an_arm_that_is_blocked_says_so(arm, controller, worker):
    controller.wall, controller.path_tolerance = START[0] + 0.05, 0.05
    assert worker(arm.move_joints, START + [0.5, 0, 0, 0, 0, 0, 0]).reason == "blocked"


@faked
def test_how_execution_ended_is_a_reason_and_a_success_is_not_believed(arm, worker, fake):
    for status, reason in [("TIMED_OUT", "timeout"), ("PREEMPTED", "stopped"), ("SUCCEEDED", "blocked")]:
        fake(execute=status)
        assert worker(arm.move, TARGET).reason == reason


def test_controllers_that_do_not_execute_are_an_error(arm, controller, worker):
    controller.active = False
    with pytest.raises(RobotError, match="MoveIt did not execute its plan: are the controllers"):
        worker(arm.move, TARGET)


@faked
@pytest.mark.parametrize("when", ["crash_at_start", "crash_in_plan"])
def test_a_crash_of_moveit_is_an_error_and_it_is_started_again(ros, controller, worker, fake, when):
    fake(**{when: True})
    clock = RosClock(ros.node)
    arm = make_arm(ros.node, JointStates(ros.node, "joint_states", clock, LIMITS), PROFILE, clock)
    with pytest.raises(RobotError, match="MoveIt has ended with signal SIGSEGV: its output says why"):
        worker(arm.move, TARGET)
    fake()
    try:
        moved = worker(arm.move, TARGET)
    except RobotError as error:  # a participant that has crashed can hide the next one from Fast DDS for a while
        assert "planning scene monitor" in str(error)
        moved = worker(arm.move, TARGET)
    assert moved.reached
    arm.close()


@faked
def test_what_moveit_misses_at_its_start_is_told(ros, worker, fake):
    clock = RosClock(ros.node)
    silent = replace(PROFILE, joint_states_topic="elsewhere", moveit=replace(MOVEIT, ready_timeout=16.0))
    states = JointStates(ros.node, "joint_states", clock, LIMITS)
    controller = TrajectoryController(ros, SIM.joints, START, "cell/controller")
    states.topic = "/elsewhere"
    arm = make_arm(ros.node, states, silent, clock)
    with pytest.raises(RobotError, match="MoveIt cannot be started: Unable to configure planning scene monitor"):
        worker(arm.move, TARGET)
    assert controller.goals == []
    arm.close()


@pytest.mark.skipif(REAL, reason="moveit_py is installed")
def test_moveit_that_is_not_installed_is_named(ros, controller, worker):
    clock = RosClock(ros.node)
    arm = make_arm(ros.node, JointStates(ros.node, "joint_states", clock, LIMITS), PROFILE, clock)
    with pytest.raises(RobotError, match=r"backend moveit needs moveit_py .*ros-\$ROS_DISTRO-moveit-py"):
        worker(arm.move, TARGET)
    arm.close()


def test_parameters_come_from_the_profile_and_the_package(package):
    parameters = moveit_parameters(PROFILE)
    limits = parameters["robot_description_planning"]["cartesian_limits"]
    assert limits["max_trans_vel"] * MOTION.velocity_scaling == pytest.approx(MOTION.tip_speed)
    assert limits["max_trans_dec"] == -limits["max_trans_acc"]
    assert parameters["moveit_simple_controller_manager"]["controller"]["joints"] == list(SIM.joints)
    assert yaml.safe_load(yaml.safe_dump(parameters)) == parameters


def test_servo_is_started_with_the_files_of_the_package(package, tmp_path):
    servo = ServoConfig(node="servo/servo_node", start=True)
    profile = replace(PROFILE, servo=servo, motion=replace(MOTION, backend="servo"), arm_topic="arm/joint_trajectory")
    (spec,) = robot_nodes(profile, tmp_path / "out")
    assert (spec.package, spec.executable, spec.name, spec.namespace) == (
        "moveit_servo", "servo_node", "servo_node", "servo"
    )  # fmt: skip
    written = yaml.safe_load(spec.parameter_files[0].read_text())["/**"]["ros__parameters"]
    assert written["moveit_servo"]["move_group_name"] == "arm"
    assert written["moveit_servo"]["command_out_topic"] == "/arm/joint_trajectory"
    assert "arm" in written["robot_description_kinematics"] and "<robot" in written["robot_description"]
    with pytest.raises(ConfigError, match=r"moveit\.group = '': servo\.start needs it"):
        replace(profile, moveit=replace(MOVEIT, group=""))
    assert robot_nodes(replace(profile, servo=ServoConfig()), tmp_path / "none") == []


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("kinematics.yaml", "hand: {}", r"kinematics\.yaml: no solver for moveit\.group = 'arm'; there are hand"),
        ("joint_limits.yaml", "joint_limits: {}", r"joint_limits\.yaml: joint_limits lack max_acceleration of joint_1"),
    ],
)
def test_a_package_that_lacks_something_is_named(package, file, text, message):
    (package / file).write_text(text)
    with pytest.raises(ConfigError, match=message):
        moveit_parameters(PROFILE)
    (package / file).unlink()
    with pytest.raises(ConfigError, match=f"{file}: cannot be read"):
        moveit_parameters(PROFILE)
    with pytest.raises(ConfigError, match="package 'no_moveit_config' is not installed"):
        moveit_parameters(replace(PROFILE, moveit=replace(MOVEIT, config_package="no_moveit_config")))
