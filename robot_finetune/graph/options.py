"""What is brought up: the options of the node graph, which are the launch arguments."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from robot_finetune.config import SEED_LIMIT, ConfigError, from_mapping, known_names, setting
from robot_finetune.data.promotion_log import FLEET_HELP, GATED, IMMEDIATE
from robot_finetune.data.remote import SOURCES_HELP
from robot_finetune.data.version_store import WAYS
from robot_finetune.files import parse_yaml
from robot_finetune.robot.profile import SIMULATED, TEMPLATE, RobotProfile
from robot_finetune.types import EXPLORE, WISHES

TRUE, FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")
"""What is a launch argument that is one or the other, in any case of letters."""
RENAMED = {"autostart": "start_grasping"}
"""Old names of arguments, which work for one more release, and the new ones."""
AUTO = ("auto", "true", "false")
LEVELS = ("debug", "info", "warn", "error", "fatal")


@dataclass(frozen=True)
class BringupOptions:
    """What is brought up. Each field is a launch argument of the same name."""

    robot: str = setting(SIMULATED, "robot: a name in config/robots or a YAML file")
    variation: str = setting("base", "state of the cell: a name in config/variations or a YAML file")
    policy: str = setting("", "checkpoint folder to start from; empty: the shipped base policy")
    out: str = setting("session", "folder for episodes, checkpoints and the trainer's state")
    earlier: str = setting(
        "", "folders of earlier sessions that the trainer rehearses, besides the policy's own, with ':' between them"
    )
    versions: str = setting("", WAYS)
    upload: str = setting("", "URL of a folder elsewhere, for this robot alone, into which its episodes are copied")
    sources: str = setting("", SOURCES_HELP)
    fleet: str = setting("", FLEET_HELP)
    mode: str = setting(
        EXPLORE,
        "explore to learn, evaluate to measure, auto to work and learn when success falls, scripted to grasp without a "
        "network, demonstrate for a person alone",
        choices=WISHES,
    )
    seed: int = setting(0, "seed of scenes, exploration and training", low=0, high=SEED_LIMIT)
    train: bool = setting(True, "whether to run the trainer")
    start_grasping: bool = setting(True, "whether the policy starts grasping by itself, or waits for ~/start")
    bring_up: bool = setting(
        True, "whether our nodes configure and activate themselves; false leaves that to a lifecycle manager"
    )
    accept_updates: bool = setting(True, "whether the policy takes new versions from the trainer")
    promotion: str = setting(
        GATED, "how a version comes to act: on trial first, or from the next episode on", choices=(GATED, IMMEDIATE)
    )
    max_episodes: int = setting(0, "episodes after which the policy goes idle; 0: no end", low=0)
    real_time_factor: float = setting(1.0, "speed of the simulated cell; 0: as fast as it can", low=0.0, high=100.0)
    params_file: str = setting("", "ROS parameter file that is read after the package's own")
    record: bool = setting(False, "whether rosbag2 records the topics into the output folder")
    bag: str = setting(
        "",
        "recording to judge and log again, instead of a robot: it feeds camera, grasp_detector and episode_logger, and "
        "nothing else runs",
    )
    rviz: bool = setting(False, "whether to show the cell in RViz")
    publish_robot_state: str = setting(
        "auto", "robot_state_publisher and the camera's frame; auto: where no driver brings them", choices=AUTO
    )
    use_sim_time: str = setting("auto", "whether the clock is simulated; auto: as the profile says", choices=AUTO)
    log_level: str = setting("info", "least severe message that nodes print", choices=LEVELS)
    namespace: str = setting("", "namespace of all nodes")


def launch_arguments() -> list[dict[str, Any]]:
    """Keyword arguments of one DeclareLaunchArgument an option: name, default_value, description, choices."""
    known = {"robot": "robots", "variation": "variations"}
    arguments = []
    for field in dataclasses.fields(BringupOptions):
        default, description = field.default, field.metadata["description"]
        choices = [str(choice) for choice in field.metadata["choices"]]
        if isinstance(default, bool):
            default, description = str(default).lower(), f"{description} (true, false)"
        if field.name in known:
            names = known_names(known[field.name])
            description += f" ({', '.join(name for name in names if name != TEMPLATE)})"
        argument = {"name": field.name, "default_value": str(default), "description": description}
        arguments.append({**argument, "choices": choices} if choices else argument)
    for old, new in RENAMED.items():
        arguments.append({"name": old, "default_value": "", "description": f"old name of {new}"})
    return arguments


def parse_options(values: Mapping[str, str]) -> BringupOptions:
    """The options in launch arguments, which are all text. Raises ConfigError."""
    kinds = {field.name: type(field.default) for field in dataclasses.fields(BringupOptions)}
    given = {name: text for name, text in values.items() if name not in RENAMED}
    for old, text in ((old, values.get(old, "")) for old in RENAMED):
        if text:
            print(f"warning: the launch argument {old} is now {RENAMED[old]}; correct the call", file=sys.stderr)
            given[RENAMED[old]] = text
    data = {name: _value(name, text, kinds.get(name, object)) for name, text in given.items()}
    return from_mapping(BringupOptions, data, "launch arguments")


def simulated_clock(options: BringupOptions, profile: RobotProfile) -> bool:
    """Whether the graph's nodes take the time from /clock."""
    if options.bag:
        return True  # that of the recording
    return profile.simulated_clock if options.use_sim_time == "auto" else options.use_sim_time == "true"


def _value(name: str, text: str, kind: type) -> Any:
    if kind is str:
        return text
    if kind is bool and text.lower() in TRUE + FALSE:
        return text.lower() in TRUE
    try:
        return parse_yaml(text)
    except ValueError as error:
        raise ConfigError(f"launch argument {name} = {text!r}: no value ({error})") from error
