"""A robot profile: all that differs between one arm, camera and gripper and another, in config/robots/<name>.yaml."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robot_finetune.config import ConfigError, from_mapping, load_yaml, resolve, setting
from robot_finetune.robot.profile_groups import (
    CameraConfig,
    EmergencyStopConfig,
    GripperConfig,
    MotionConfig,
    MoveItConfig,
    SceneConfig,
    ServoConfig,
    WorkspaceConfig,
)

SIMULATED, TEMPLATE = "sim", "template"
"""Name of the profile of the simulated cell, which the defaults describe and which brings its own drivers and clock."""

CELL_KEYS = (
    "urdf",
    "base_frame",
    "tip_frame",
    "tool_orientation",
    "joints",
    "home_joints",
    "start_pose",
    "out_of_view_joints",
    "bin_center",
    "bin_half_width",
    "floor_z",
    "workspace.low",
    "workspace.high",
    "gripper.joint",
    "gripper.open_position",
    "gripper.closed_position",
    "gripper.empty_opening",
    "camera.width",
    "camera.height",
    "camera.focal",
    "camera.position",
    "camera.target",
)
"""Keys whose defaults are the simulated cell's and wrong anywhere else: every other profile has to give them."""


@dataclass(frozen=True)
class RobotProfile:
    """One robot cell. Poses are x, y, z [m], yaw [rad] of the tool centre point in the base frame.

    Topics, actions and nodes are named as `ros2 topic list` has them, without the leading slash: they are relative to
    the namespace of this package's nodes.
    """

    name: str = setting(SIMULATED, "name of the robot; sim is the simulated cell")
    to_measure: tuple[str, ...] = setting(
        (),
        "keys below whose values are place holders; the arm is not moved before they are measured and the list is "
        "empty",
        choices=CELL_KEYS,
    )
    use_sim_time: bool = setting(False, "the robot's clock is /clock, as a simulator's (the simulated cell's always)")
    urdf: str = setting(
        "urdf/cell.urdf.xacro",
        "robot description with gripper and tip_frame: package://<ROS or Python package>/<path>, an absolute path, or "
        "a path in this package",
    )
    urdf_arguments: tuple[str, ...] = setting((), "xacro arguments of the robot description, each name:=value")
    namespace: str = setting("", "namespace of the arm's own nodes, in which MoveIt runs too")
    base_frame: str = setting("base_link", "frame of all poses")
    tip_frame: str = setting("tcp", "tool centre point, between the finger tips")
    tool_orientation: tuple[float, float, float] = setting(
        (math.pi, 0.0, 0.0),
        "roll, pitch, yaw of tip_frame in base_frame with the tool pointing down at yaw 0",
        unit="rad",
    )
    joints: tuple[str, ...] = setting(tuple(f"joint_{i}" for i in range(1, 8)), "arm joints in order")
    home_joints: tuple[float, ...] = setting(
        (0.0, 0.4, 0.0, -1.6, 0.0, 1.1, 0.0), "IK seed and home posture", unit="rad"
    )
    start_pose: tuple[float, float, float, float] = setting((0.6, 0.0, 0.20, 0.0), "where every grasp attempt starts")
    out_of_view_joints: tuple[float, ...] = setting(
        (0.0, 0.42, 0.0, -1.555, 0.0, 1.165, 0.0), "posture that hides nothing of the bin from the camera", unit="rad"
    )
    bin_center: tuple[float, float] = setting((0.6, 0.0), "centre of the bin", unit="m")
    bin_half_width: float = setting(0.165, "half of the bin's inner width along x", unit="m", low=0.03, high=1.0)
    bin_half_depth: float | None = setting(
        None, "half of its inner width along y; left out: a square bin", unit="m", low=0.03, high=1.0
    )
    floor_z: float = setting(0.0, "height of the bin's floor", unit="m")
    drop_height: float = setting(0.10, "height at which a held object is let go", unit="m", low=0.01, high=0.5)
    arm_topic: str = setting("arm_controller/joint_trajectory", "trajectory_msgs/JointTrajectory of the arm controller")
    arm_action: str = setting(
        "", "control_msgs/FollowJointTrajectory of the arm controller, used instead of arm_topic; empty: the topic"
    )
    gripper_topic: str = setting("gripper_controller/command", "position command of the gripper (type position_topic)")
    joint_states_topic: str = setting("joint_states", "sensor_msgs/JointState")
    image_topic: str = setting("image_raw", "images of the camera driver, see camera.transport")
    camera_info_topic: str = setting("camera_info", "sensor_msgs/CameraInfo of the camera driver")
    workspace: WorkspaceConfig = setting(WorkspaceConfig)
    motion: MotionConfig = setting(MotionConfig)
    moveit: MoveItConfig = setting(MoveItConfig)
    servo: ServoConfig = setting(ServoConfig)
    gripper: GripperConfig = setting(GripperConfig)
    camera: CameraConfig = setting(CameraConfig)
    scene: SceneConfig = setting(SceneConfig)
    emergency_stop: EmergencyStopConfig = setting(EmergencyStopConfig)

    def __post_init__(self) -> None:
        self._check_joints()
        self._check_arguments("urdf_arguments", self.urdf_arguments)
        self._check_arguments("moveit.srdf_arguments", self.moveit.srdf_arguments)
        box = zip("xyz", self.workspace.low, self.start_pose[:3], self.workspace.high, strict=True)
        for axis, low, value, high in box:
            if not low <= value <= high:
                inside = f"{low} to {high} m, the workspace"
                raise ConfigError(f"start_pose = {list(self.start_pose)}: its {axis} is {value}, allowed is {inside}")
        starts_servo = self.motion.backend == "servo" and self.servo.start
        if self.motion.backend == "moveit" or starts_servo:
            who = "servo.start" if starts_servo else "motion.backend moveit"
            for key in ("config_package", "group", "srdf", "controllers"):
                if not getattr(self.moveit, key):
                    raise ConfigError(f"moveit.{key} = {getattr(self.moveit, key)!r}: {who} needs it")

    @property
    def bin_half(self) -> tuple[float, float]:
        """Half of the bin's inner widths along x and y [m]."""
        return self.bin_half_width, self.bin_half_width if self.bin_half_depth is None else self.bin_half_depth

    @property
    def simulated_clock(self) -> bool:
        """Whether all time is that of /clock."""
        return self.use_sim_time or self.name == SIMULATED

    @property
    def full_image_topic(self) -> str:
        """sensor_msgs/Image of the size that the profile gives: the driver's own, or what the node camera makes."""
        return self.camera.published or self.image_topic

    def require_measured(self) -> None:
        """Raise ConfigError while values of the profile are place holders: nothing may move then."""
        if self.to_measure:
            keys = ", ".join(self.to_measure)
            raise ConfigError(
                f"robot profile {self.name}: {keys} are place holders; measure them in your cell, write them into a "
                "copy of the profile, and empty to_measure there"
            )

    def _check_joints(self) -> None:
        if len(set(self.joints)) != len(self.joints) or not self.joints:
            raise ConfigError(f"joints = {list(self.joints)}: allowed are one or more different names")
        for key in ("home_joints", "out_of_view_joints"):
            values = getattr(self, key)
            if len(values) != len(self.joints):
                raise ConfigError(f"{key} = {list(values)}: allowed are {len(self.joints)} values, one for each joint")

    @staticmethod
    def _check_arguments(key: str, arguments: tuple[str, ...]) -> None:
        for argument in arguments:
            if not argument.partition(":=")[0] or ":=" not in argument:
                raise ConfigError(f"{key} = {argument!r}: allowed is name:=value")


def load_robot(name: str | Path = SIMULATED) -> RobotProfile:
    """The profile of a name in config/robots or of a path. Raises ConfigError."""
    path = resolve("robots", name)
    data = load_yaml(path)
    profile = from_mapping(RobotProfile, data, str(path))
    missing = [] if profile.name == SIMULATED else [key for key in CELL_KEYS if not _given(data, key)]
    if missing:
        raise ConfigError(
            f"{path}: key {missing[0]!r} is missing: every cell has its own; to give are also "
            f"{', '.join(missing[1:]) or 'no others'}"
        )
    return profile


def _given(data: Mapping[str, Any], dotted: str) -> bool:
    """Whether a key is in the file, at any depth."""
    value: Any = data
    for key in dotted.split("."):
        if not isinstance(value, Mapping) or key not in value:
            return False
        value = value[key]
    return True
