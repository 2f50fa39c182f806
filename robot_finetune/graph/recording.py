"""Recording the topics of a session with rosbag2, and replaying them."""

from __future__ import annotations

import shutil
from pathlib import Path

from robot_finetune.config import ConfigError, package_share
from robot_finetune.data.layout import BAGS
from robot_finetune.graph.options import BringupOptions, simulated_clock
from robot_finetune.robot.profile import RobotProfile, load_robot

TOPICS = (
    "observation",
    "episode_phase",
    "policy_step",
    "policy_status",
    "grasp_outcome",
    "grasp_verdict",
    "episode_summary",
    "episode_lost",
    "model_update",
    "promotion",
    "policy/joy",
    "trainer_status",
    "robot_description",
    "tf",
    "tf_static",
)
"""Topics of every graph, in its namespace."""
NODES_UP = 5.0
"""Wall seconds that the nodes have to start before a recording is played."""
GLOBAL = ("/diagnostics", "/parameter_events", "/rosout")


REPLAYED = ("episode_phase", "policy_step")
"""Of the robot's own nodes: what the policy said. Images and joint states are added, and all else is made anew."""


def recorded_topics(profile: RobotProfile) -> list[str]:
    """What a robot saw, measured, was commanded, decided and was judged by; relative to the namespace."""
    seen = [profile.full_image_topic, profile.camera_info_topic, profile.joint_states_topic]
    gripper = profile.gripper.action
    hand = (f"{gripper}/grasp", f"{gripper}/move") if profile.gripper.type == "franka" else (gripper,)
    actions = [action for action in (profile.arm_action, *(hand if gripper else ())) if action]
    commanded = [] if profile.arm_action else [profile.arm_topic]
    commanded += [profile.servo.target_topic] if profile.motion.backend == "servo" else []
    commanded += [] if gripper else [profile.gripper_topic]
    commanded += [f"{action}/_action/{topic}" for action in actions for topic in ("status", "feedback")]
    return [*dict.fromkeys([*seen, *commanded, *TOPICS])]


def record_command(options: BringupOptions, stamp: str) -> list[str]:
    """The rosbag2 command that records the graph's topics into <out>/bags/<stamp>. Raises ConfigError."""
    profile = load_robot(options.robot)
    bag = Path(options.out).expanduser().absolute() / BAGS / stamp
    command = ["ros2", "bag", "record", "--storage", "mcap", "--output", str(bag), "--include-hidden-topics"]
    if simulated_clock(options, profile):
        command.append("--use-sim-time")
    return [*command, "--topics", *_absolute(recorded_topics(profile), options.namespace), *GLOBAL]


def replayed_topics(profile: RobotProfile) -> list[str]:
    """What a recording feeds to the nodes that judge and log; relative to the namespace."""
    return [profile.full_image_topic, profile.camera_info_topic, profile.joint_states_topic, *REPLAYED]


def replaying_nodes(profile: RobotProfile) -> tuple[str, ...]:
    """The nodes that a recording feeds. What the node camera itself had made of a driver's images is in the recording:
    then it does not run."""
    return (*(() if profile.camera.published else ("camera",)), "grasp_detector", "episode_logger")


def replay_command(options: BringupOptions) -> list[str]:
    """The rosbag2 command that plays options.bag with its time as /clock, once the nodes are up. Raises ConfigError."""
    bag = Path(options.bag).expanduser().absolute()
    if not bag.exists():
        raise ConfigError(f"bag = {options.bag}: no such recording; a session's are in its folder {BAGS}")
    topics = _absolute(replayed_topics(load_robot(options.robot)), options.namespace)
    return ["ros2", "bag", "play", str(bag), "--clock", "100", "--delay", str(NODES_UP), "--topics", *topics]


def _absolute(topics: list[str], namespace: str) -> list[str]:
    prefix = f"/{namespace.strip('/')}/" if namespace else "/"
    return [topic if topic.startswith("/") else prefix + topic for topic in topics]


def require_rosbag2() -> None:
    """Raises ConfigError where `record_command` and `replay_command` cannot run."""
    if shutil.which("ros2") is None:
        raise ConfigError("recordings need the command ros2: source ROS 2, or leave record:=true or bag:= out")
    try:
        package_share("rosbag2_storage_mcap")
    except ConfigError:
        cure = "apt install ros-$ROS_DISTRO-rosbag2 ros-$ROS_DISTRO-rosbag2-storage-mcap, or leave them out"
        raise ConfigError(f"recordings need rosbag2 with its mcap storage: {cure}") from None
