"""The groups of a robot profile: workspace, motion, MoveIt, Servo, gripper, camera and emergency stop."""

from __future__ import annotations

from dataclasses import dataclass

from robot_finetune.config import ConfigError, setting
from robot_finetune.robot.crop import Crop, square_of

BACKENDS = ("trajectory", "moveit", "servo")
ACTION_GRIPPERS = ("gripper_command", "parallel_gripper_command", "franka")
GRIPPERS = ("position_topic", *ACTION_GRIPPERS)


@dataclass(frozen=True)
class WorkspaceConfig:
    """Where the tool centre point may go, and how far at once."""

    low: tuple[float, float, float] = setting((0.43, -0.23, 0.005), "lowest x, y, z; z is the height floor", unit="m")
    high: tuple[float, float, float] = setting((0.765, 0.23, 0.25), "highest x, y, z", unit="m")
    max_yaw: float = setting(1.6, "largest yaw to either side of the start pose", unit="rad", low=0.1, high=3.1)
    max_step_xy: float = setting(0.08, "largest x or y displacement of one action", unit="m", low=0.005, high=0.3)
    max_step_z: float = setting(0.10, "largest z displacement of one action", unit="m", low=0.005, high=0.3)
    max_step_yaw: float = setting(0.8, "largest yaw change of one action", unit="rad", low=0.05, high=1.6)

    def __post_init__(self) -> None:
        for axis, low, high in zip("xyz", self.low, self.high, strict=True):
            if low >= high:
                raise ConfigError(f"high = {list(self.high)}: its {axis} must be above {low}, the {axis} of low")


@dataclass(frozen=True)
class MotionConfig:
    """How the arm moves. The URDF's joint limits hold always; the scalings are fractions of them."""

    backend: str = setting(
        "trajectory",
        "trajectory: own inverse kinematics and a joint trajectory controller; moveit: MoveIt plans, checks collisions "
        "and executes; servo: MoveIt Servo follows a pose",
        choices=BACKENDS,
    )
    tip_speed: float = setting(0.35, "speed of the tool centre point", unit="m/s", low=0.01, high=1.0)
    tip_acceleration: float = setting(3.0, "acceleration of the tool centre point", unit="m/s2", low=0.05, high=20.0)
    velocity_scaling: float = setting(0.8, "fraction of the joints' velocity limits", low=0.01, high=1.0)
    acceleration_scaling: float = setting(
        0.5, "fraction of the joints' acceleration limits; backend moveit only, a URDF has none", low=0.01, high=1.0
    )
    settle: float = setting(0.05, "wait after a trajectory's end before the pose is read", unit="s", low=0.0, high=2.0)
    tolerance: float = setting(
        0.008, "a tip farther than this from its target was blocked", unit="m", low=0.001, high=0.05
    )
    contacts: int = setting(
        3,
        "blocked motions after which an approach goes on from where it stopped; one more ends it",
        low=0,
        high=100,
    )
    reaction: float = setting(
        1.0, "longest time from a command until the arm begins to move", unit="s", low=0.0, high=10.0
    )
    timeout: float = setting(
        3.0, "longest wait for an arm that does not come nearer to its goal", unit="s", low=0.1, high=60.0
    )
    longest: float = setting(
        15.0,
        "longest motion that is sent: if this computer fails, the arm ends what it was sent last",
        unit="s",
        low=1.0,
        high=300.0,
    )


@dataclass(frozen=True)
class MoveItConfig:
    """What the backend moveit needs to know. Files are relative to `config_package`, or package://... paths."""

    config_package: str = setting("", "MoveIt configuration package of the robot")
    group: str = setting("", "planning group of the arm")
    srdf: str = setting("", "semantic description, SRDF or xacro")
    srdf_arguments: tuple[str, ...] = setting((), "xacro arguments of the SRDF, each name:=value")
    kinematics: str = setting("config/kinematics.yaml", "kinematics solver of each group")
    joint_limits: str = setting(
        "config/joint_limits.yaml", "joint limits; every joint needs has_acceleration_limits and max_acceleration"
    )
    controllers: tuple[str, ...] = setting((), "joint trajectory controllers with a follow_joint_trajectory action")
    parameters: str = setting("", "ROS parameter file that is read last and may change anything; empty: none")
    planning_time: float = setting(1.0, "longest planning time of one motion", unit="s", low=0.05, high=30.0)
    ready_timeout: float = setting(
        30.0, "longest wait until MoveIt has loaded and knows the arm's state", unit="s", low=1.0, high=600.0
    )


@dataclass(frozen=True)
class ServoConfig:
    """The running MoveIt Servo node of the backend servo."""

    node: str = setting("servo_node", "name of the node, with its namespace")
    start: bool = setting(False, "start it with the other nodes, from the files of the group moveit")
    tip_frame: str = setting(
        "", "end of its planning group's chain, the link that it moves; empty: the tip_frame above"
    )
    rate: float = setting(40.0, "how often the target is sent", unit="Hz", low=30.0, high=50.0)

    @property
    def target_topic(self) -> str:
        """geometry_msgs/PoseStamped, where it takes its targets."""
        return f"{self.node}/pose_target_cmds"


@dataclass(frozen=True)
class GripperConfig:
    """The gripper; its opening is normalised to 0 (closed) .. 1 (open).

    Positions are those of `joint` in joint_states. Where commands count otherwise (a width of two fingers, say),
    `open_command` and `closed_command` are what is sent.
    """

    type: str = setting("position_topic", "how it is commanded", choices=GRIPPERS)
    action: str = setting(
        "", "action of gripper_command or parallel_gripper_command; franka: the node whose grasp and move are used"
    )
    joint: str = setting("left_finger_joint", "joint whose position is the opening")
    open_position: float = setting(0.04, "joint position when open", unit="m or rad")
    closed_position: float = setting(0.0, "joint position when closed", unit="m or rad")
    open_command: float | None = setting(None, "command that opens; left out: open_position", unit="m or rad")
    closed_command: float | None = setting(None, "command that closes; left out: closed_position", unit="m or rad")
    empty_opening: float = setting(0.06, "an opening below this after closing means nothing is held", low=0.0, high=1.0)
    full_opening: float = setting(
        0.94, "an opening above this after closing means that the fingers did not close", low=0.0, high=1.0
    )
    max_effort: float = setting(
        0.0, "grasping force or torque; 0: the driver's own", unit="N or Nm", low=0.0, high=500.0
    )
    speed: float = setting(0.05, "speed of the fingers (type franka)", unit="m/s", low=0.005, high=0.5)
    timeout: float = setting(2.0, "longest wait for the fingers to rest", unit="s", low=0.1, high=30.0)

    def __post_init__(self) -> None:
        if self.open_position == self.closed_position:
            raise ConfigError(f"open_position = {self.open_position}: it must differ from closed_position")
        if self.command(1.0) == self.command(0.0):
            raise ConfigError(f"open_command = {self.open_command}: it must differ from closed_command")
        if self.empty_opening >= self.full_opening:
            raise ConfigError(
                f"empty_opening = {self.empty_opening}: allowed is below full_opening, {self.full_opening}"
            )
        if self.type in ACTION_GRIPPERS and not self.action:
            raise ConfigError(f"action = '': type {self.type} needs a name, as `ros2 action list` has it")
        if self.type == "franka" and self.max_effort <= 0:
            raise ConfigError(f"max_effort = {self.max_effort}: type franka needs a grasping force above 0 N")

    def opening(self, position: float) -> float:
        """The opening 0..1 at a `position` [m or rad] of the joint."""
        stroke = self.open_position - self.closed_position
        return min(max((position - self.closed_position) / stroke, 0.0), 1.0)

    def command(self, opening: float) -> float:
        """The command [m or rad] for an `opening` 0..1; values outside are taken as the nearest end."""
        closed = self.closed_position if self.closed_command is None else self.closed_command
        opened = self.open_position if self.open_command is None else self.open_command
        return closed + min(max(opening, 0.0), 1.0) * (opened - closed)


@dataclass(frozen=True)
class CameraConfig:
    """The camera and its calibration in the base frame (pinhole, no distortion; optical frame: z forward, y down).

    The images are those of image_topic, or, with a `source`, what the node camera reads by itself.
    """

    driver: str = setting("", "driver that is started with the other nodes, <package>/<executable>; empty: none")
    driver_parameters: str = setting("", "its ROS parameter file: package://<package>/<path> or an absolute path")
    source: str = setting(
        "",
        "read directly, without a driver: a V4L2 device (/dev/video0), a video file or a folder of images; empty: "
        "image_topic",
    )
    transport: str = setting(
        "raw", "raw: image_topic is a sensor_msgs/Image; compressed: a CompressedImage", choices=("raw", "compressed")
    )
    optical_frame: str = setting("camera_optical_frame", "frame of the images")
    width: int = setting(128, "image width", unit="px", low=16, high=4096)
    height: int = setting(128, "image height", unit="px", low=16, high=4096)
    focal: float = setting(310.0, "focal length", unit="px", low=1.0)
    position: tuple[float, float, float] = setting((1.3, 0.0, 0.95), "camera centre in the base frame", unit="m")
    target: tuple[float, float, float] = setting(
        (0.6, 0.0, 0.11), "point on the optical axis; image up is the base frame's z", unit="m"
    )
    rectify: bool = setting(
        False, "undistort the driver's images by its camera_info, to the pinhole camera that this group describes"
    )
    crop: Crop | None = setting(
        None, "left, top and side of the square that the policy sees; left out: the largest centred one", unit="px"
    )
    rate: float = setting(30.0, "images a second", unit="Hz", low=1.0, high=240.0)
    timeout: float = setting(2.0, "longest wait for an image", unit="s", low=0.1, high=60.0)

    def __post_init__(self) -> None:
        if self.source and (self.rectify or self.transport != "raw"):
            raise ConfigError(
                f"source = {self.source!r}: transport compressed and rectify are for a driver's images; leave them out"
            )
        if self.driver and (self.source or self.driver.count("/") != 1):
            raise ConfigError(f"driver = {self.driver!r}: allowed is <package>/<executable>, and no source beside it")
        try:
            square_of(self.height, self.width, self.crop)
        except ValueError as error:
            raise ConfigError(str(error)) from None

    @property
    def published(self) -> str:
        """Topic on which the node camera publishes the full images that it reads, decodes or rectifies; empty: the
        driver's are taken as they are."""
        if self.source:
            return "image_raw"
        if self.rectify:
            return "image_rect"
        return "image_decompressed" if self.transport == "compressed" else ""


@dataclass(frozen=True)
class SceneConfig:
    """Who prepares the scene between grasps."""

    reset_service: str = setting(
        "", "std_srvs/Trigger that is called before every grasp and answers when the scene is ready; empty: none"
    )
    reset_timeout: float = setting(60.0, "longest wait for that answer, wall time", unit="s", low=0.1, high=3600.0)


@dataclass(frozen=True)
class EmergencyStopConfig:
    """A signal of the cell that stops the grasping. It does not replace the arm's own emergency stop."""

    topic: str = setting("", "std_msgs/Bool that tells of a stop; empty: none")
    stopped_when: bool = setting(True, "the value that means stop")
