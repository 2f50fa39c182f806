"""Recording the topics of a session with rosbag2."""

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
    "episode_summary",
    "episode_lost",
    "model_update",
    "promotion",
    "trainer_status",
    "robot_description",
    "tf",
    "tf_static",
)
"""Topics of every graph, in its namespace."""
GLOBAL = ("/diagnostics", "/parameter_events", "/rosout")


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
    prefix = f"/{options.namespace.strip('/')}/" if options.namespace else "/"
    topics = [topic if topic.startswith("/") else prefix + topic for topic in recorded_topics(profile)]
    command = ["ros2", "bag", "record", "--storage", "mcap", "--output", str(bag), "--include-hidden-topics"]
    if simulated_clock(options, profile):
        command.append("--use-sim-time")
    return [*command, "--topics", *topics, *GLOBAL]


def require_recorder() -> None:
    """Raises ConfigError where `record_command` cannot run."""
    if shutil.which("ros2") is None:
        raise ConfigError("recording needs the command ros2: source ROS 2, or leave record:=true out")
    try:
        package_share("rosbag2_storage_mcap")
    except ConfigError:
        cure = "apt install ros-$ROS_DISTRO-rosbag2 ros-$ROS_DISTRO-rosbag2-storage-mcap, or leave record:=true out"
        raise ConfigError(f"recording needs rosbag2 with its mcap storage: {cure}") from None
