"""A robot profile: all that differs between one arm, camera and gripper and another, in config/robots/<name>.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from robot_finetune.config import from_yaml, resolve, setting


@dataclass(frozen=True)
class WorkspaceConfig:
    """Where the tool centre point may go, and how far at once."""

    low: tuple[float, float, float] = setting((0.43, -0.23, 0.005), "lowest x, y, z; z is the height floor", unit="m")
    high: tuple[float, float, float] = setting((0.765, 0.23, 0.25), "highest x, y, z", unit="m")
    max_yaw: float = setting(1.6, "largest yaw to either side of the start pose", unit="rad", low=0.1, high=3.1)
    max_step_xy: float = setting(0.08, "largest x or y displacement of one action", unit="m", low=0.005, high=0.3)
    max_step_z: float = setting(0.10, "largest z displacement of one action", unit="m", low=0.005, high=0.3)
    max_step_yaw: float = setting(0.8, "largest yaw change of one action", unit="rad", low=0.05, high=1.6)


@dataclass(frozen=True)
class MotionConfig:
    """How the arm moves. The URDF's joint limits hold always; the scalings are fractions of them."""

    tip_speed: float = setting(0.35, "speed of the tool centre point", unit="m/s", low=0.01, high=1.0)
    tip_acceleration: float = setting(3.0, "acceleration of the tool centre point", unit="m/s2", low=0.05, high=20.0)
    velocity_scaling: float = setting(0.8, "fraction of the URDF's joint velocities", low=0.01, high=1.0)
    settle: float = setting(0.05, "wait after a trajectory's end before the pose is read", unit="s", low=0.0, high=2.0)
    tolerance: float = setting(
        0.008, "a tip farther than this from its target was blocked", unit="m", low=0.001, high=0.05
    )
    timeout: float = setting(3.0, "longest wait beyond a trajectory's own duration", unit="s", low=0.1, high=60.0)


@dataclass(frozen=True)
class GripperConfig:
    """The gripper; its opening is normalised to 0 (closed) .. 1 (open)."""

    joint: str = setting("left_finger_joint", "joint whose position is the opening")
    open_position: float = setting(0.04, "joint position when open", unit="m or rad")
    closed_position: float = setting(0.0, "joint position when closed", unit="m or rad")
    empty_opening: float = setting(0.06, "an opening below this after closing means nothing is held", low=0.0, high=1.0)
    full_opening: float = setting(
        0.94, "an opening above this after closing means that the fingers did not close", low=0.0, high=1.0
    )
    timeout: float = setting(2.0, "longest wait for the fingers to rest", unit="s", low=0.1, high=30.0)


@dataclass(frozen=True)
class CameraConfig:
    """The camera and its calibration in the base frame (pinhole, no distortion; optical frame: z forward, y down)."""

    width: int = setting(128, "image width", unit="px", low=16, high=4096)
    height: int = setting(128, "image height", unit="px", low=16, high=4096)
    focal: float = setting(310.0, "focal length", unit="px", low=1.0)
    position: tuple[float, float, float] = setting((1.3, 0.0, 0.95), "camera centre in the base frame", unit="m")
    target: tuple[float, float, float] = setting(
        (0.6, 0.0, 0.11), "point on the optical axis; image up is the base frame's z", unit="m"
    )
    rate: float = setting(30.0, "images a second", unit="Hz", low=1.0, high=240.0)
    timeout: float = setting(2.0, "longest wait for an image", unit="s", low=0.1, high=60.0)


@dataclass(frozen=True)
class RobotProfile:
    """One robot cell. Poses are x, y, z [m], yaw [rad] of the tool centre point in the base frame."""

    name: str = setting("sim", "name of the robot")
    urdf: str = setting("urdf/cell.urdf.xacro", "robot description, relative to the package or an absolute path")
    base_frame: str = setting("base_link", "frame of all poses")
    tip_frame: str = setting("tcp", "tool centre point, between the finger tips")
    joints: tuple[str, ...] = setting(tuple(f"joint_{i}" for i in range(1, 8)), "arm joints in order")
    home_joints: tuple[float, ...] = setting(
        (0.0, 0.4, 0.0, -1.6, 0.0, 1.1, 0.0), "IK seed and home posture", unit="rad"
    )
    start_pose: tuple[float, float, float, float] = setting((0.6, 0.0, 0.20, 0.0), "where every grasp attempt starts")
    out_of_view_joints: tuple[float, ...] = setting(
        (0.0, 0.42, 0.0, -1.555, 0.0, 1.165, 0.0), "posture that hides nothing of the bin from the camera"
    )
    bin_center: tuple[float, float] = setting((0.6, 0.0), "centre of the bin", unit="m")
    bin_half_width: float = setting(0.165, "half of the bin's inner width", unit="m", low=0.03, high=1.0)
    floor_z: float = setting(0.0, "height of the bin's floor", unit="m")
    drop_height: float = setting(0.10, "height at which a held object is let go", unit="m", low=0.01, high=0.5)
    arm_topic: str = setting("arm_controller/joint_trajectory", "trajectory_msgs/JointTrajectory of the arm controller")
    gripper_topic: str = setting("gripper_controller/command", "position command of the gripper")
    joint_states_topic: str = setting("joint_states", "sensor_msgs/JointState")
    image_topic: str = setting("image_raw", "sensor_msgs/Image of the camera driver")
    camera_info_topic: str = setting("camera_info", "sensor_msgs/CameraInfo of the camera driver")
    workspace: WorkspaceConfig = setting(WorkspaceConfig)
    motion: MotionConfig = setting(MotionConfig)
    gripper: GripperConfig = setting(GripperConfig)
    camera: CameraConfig = setting(CameraConfig)


def load_robot(name: str | Path = "sim") -> RobotProfile:
    """The profile of a name in config/robots or of a path. Raises ConfigError."""
    return from_yaml(RobotProfile, resolve("robots", name))
