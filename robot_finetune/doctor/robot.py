"""A robot profile: whether it can be loaded, what is still to be measured, and whether what it needs is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

from robot_finetune.config import ConfigError, package_share
from robot_finetune.doctor.check import ERROR, OK, WARNING, Check, failed
from robot_finetune.files import one_line
from robot_finetune.needs import apt_cure
from robot_finetune.robot.profile import RobotProfile, load_robot
from robot_finetune.ros.environment import executable

GRIPPER_PACKAGES = {
    "gripper_command": "control_msgs",
    "parallel_gripper_command": "control_msgs",
    "franka": "franka_msgs",
}


def robot(name: str) -> Iterator[Check]:
    """Looks at the profile of a name or path."""
    try:
        profile = load_robot(name)
    except ConfigError as error:
        yield Check("profile", ERROR, str(error), "correct the file; config/robots/template.yaml explains every key")
        return
    whole = True
    if profile.to_measure:
        whole = False
        keys = ", ".join(profile.to_measure)
        yield Check(
            "profile", WARNING, f"still to be measured: {keys}", f"robot-finetune setup --robot {name} --out FILE"
        )
    for check in (*_packages(profile), *(list(_description(profile)) or _reach(profile))):
        whole = False
        yield check
    if whole:
        yield Check("profile", OK, f"{profile.name}: complete, and all that it needs is installed")


def _packages(profile: RobotProfile) -> Iterator[Check]:
    for key, module, package in _needed(profile):
        if not _there(module):
            yield Check("profile", ERROR, f"{key} needs {package}, which is not installed", apt_cure(package))
    for package, program in _programs(profile):
        try:
            executable(program, package)
        except ConfigError as error:
            yield Check("profile", ERROR, str(error), apt_cure(package))


def _needed(profile: RobotProfile) -> Iterator[tuple[str, str, str]]:
    """Key of the profile, module and package of everything that not every robot needs."""
    backend = profile.motion.backend
    if backend == "moveit":
        yield "motion.backend moveit", "moveit.planning", "moveit_py"
    elif profile.arm_action:
        yield "arm_action", "control_msgs.action", "control_msgs"
    if backend == "servo":
        yield "motion.backend servo", "moveit_msgs.srv", "moveit_msgs"
    if package := GRIPPER_PACKAGES.get(profile.gripper.type):
        yield f"gripper.type {profile.gripper.type}", f"{package}.action", package


def _programs(profile: RobotProfile) -> Iterator[tuple[str, str]]:
    """Package and executable of the nodes that are started with ours."""
    if profile.camera.driver:
        package, _, program = profile.camera.driver.partition("/")
        yield package, program
    if profile.motion.backend == "servo" and profile.servo.start:
        yield "moveit_servo", "servo_node"


def _description(profile: RobotProfile) -> Iterator[Check]:
    from robot_finetune.robot.description import load_urdf

    try:
        load_urdf(profile)
        if profile.moveit.config_package:
            package_share(profile.moveit.config_package)
    except ConfigError as error:
        yield failed("profile", str(error))


def _reach(profile: RobotProfile) -> Iterator[Check]:
    from robot_finetune.robot.kinematics import Kinematics
    from robot_finetune.robot.reach import largest_yaw, out_of_reach

    if profile.to_measure:
        return
    try:
        kinematics = Kinematics(profile)
    except (ConfigError, ValueError) as error:  # MuJoCo raises ValueError for a URDF that it cannot read
        yield failed("profile", one_line(error))
        return
    missed, tried = out_of_reach(profile, kinematics)
    if missed:
        yaw = largest_yaw(profile, kinematics)
        cure = f"make the workspace smaller{f', or workspace.max_yaw {yaw:.1f}' if yaw else ''}"
        yield Check("profile", WARNING, f"{len(missed)} of {tried} poses over the workspace: {missed[0]}", cure)


def _there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False
