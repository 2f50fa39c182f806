"""The node graph as data: which processes a session needs, with which parameters.

The launch files turn it into launch_ros actions, `robot-finetune session` starts the same processes itself. Nothing
here imports ROS.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robot_finetune.config import (
    MISCONFIGURED,
    SEED_LIMIT,
    ConfigError,
    from_mapping,
    package_share,
    policy_folder,
    resolve,
    setting,
    share_path,
)
from robot_finetune.data.layout import BAGS
from robot_finetune.data.version_card import read_card
from robot_finetune.files import parse_yaml
from robot_finetune.graph.node_spec import PACKAGE, NodeSpec
from robot_finetune.graph.robot_nodes import robot_nodes
from robot_finetune.robot.profile import SIMULATED, RobotProfile, load_robot

RECORDED_TOPICS = (
    "observation",
    "camera_info",
    "joint_states",
    "policy_step",
    "policy_status",
    "grasp_outcome",
    "episode_summary",
    "model_update",
    "trainer_status",
)


PARAMETERS = {
    "sim_cell": ("robot", "variation", "seed", "real_time_factor"),
    "camera": ("robot", "image_size"),
    "grasp_detector": ("robot",),
    "episode_logger": ("robot", "out"),
    "trainer": ("robot", "policy", "out", "seed"),
    "policy": ("robot", "policy", "variation", "mode", "seed", "autostart", "accept_updates", "max_episodes"),
}
"""The nodes in starting order, and the options that each is given as parameters."""

MOVING = ("sim_cell", "policy")
"""Nodes that move the arm: never started again by themselves, and the graph ends with them."""

UNMANAGED = ("sim_cell",)
"""Nodes without a lifecycle; the others are also given `bring_up`."""


@dataclass(frozen=True)
class BringupOptions:
    """What is brought up. Each field is a launch argument of the same name."""

    robot: str = setting(SIMULATED, "robot: a name in config/robots or a YAML file")
    variation: str = setting("base", "state of the cell: a name in config/variations or a YAML file")
    policy: str = setting("", "checkpoint folder to start from; empty: the shipped base policy")
    out: str = setting("session", "folder for episodes, checkpoints and the trainer's state")
    mode: str = setting("explore", "explore to learn, evaluate to measure", choices=("explore", "evaluate"))
    seed: int = setting(0, "seed of scenes, exploration and training", low=0, high=SEED_LIMIT)
    train: bool = setting(True, "whether to run the trainer")
    autostart: bool = setting(True, "whether the policy starts grasping by itself, or waits for ~/start")
    bring_up: bool = setting(
        True, "whether our nodes configure and activate themselves; false leaves that to a lifecycle manager"
    )
    accept_updates: bool = setting(True, "whether the policy takes new versions from the trainer")
    max_episodes: int = setting(0, "episodes after which the policy goes idle; 0: no end", low=0)
    real_time_factor: float = setting(1.0, "speed of the simulated cell; 0: as fast as it can", low=0.0, high=100.0)
    params_file: str = setting("", "ROS parameter file that is read after the package's own")
    record: bool = setting(False, "whether rosbag2 records the topics into the output folder")
    rviz: bool = setting(False, "whether to show the cell in RViz")
    namespace: str = setting("", "namespace of all nodes")


def node_graph(options: BringupOptions) -> list[NodeSpec]:
    """The processes of a session, in starting order. Raises ConfigError for an unknown robot or variation, and where no
    policy or no params_file is."""
    profile = load_robot(options.robot)
    resolve("variations", options.variation)
    simulated = profile.name == SIMULATED
    policy = policy_folder(options.policy)
    values = dataclasses.asdict(options) | {
        "robot": _absolute(options.robot),
        "variation": _absolute(options.variation),
        "policy": str(policy),
        "image_size": read_card(policy).image_size,
        "out": str(Path(options.out).expanduser().absolute()),
    }
    extra = (Path(options.params_file).expanduser().absolute(),) if options.params_file else ()
    if extra and not extra[0].is_file():
        raise ConfigError(f"params_file = {options.params_file}: no such file; check the path")
    left_out = {name for name, wanted in (("sim_cell", simulated), ("trainer", options.train)) if not wanted}
    specs: list[NodeSpec] = []
    for name, names in PARAMETERS.items():
        if name not in left_out:
            needed = tuple(spec.name for spec in specs if spec.name != "trainer") if name == "policy" else ()
            managed = name not in UNMANAGED
            spec = NodeSpec(
                name,
                name,
                parameter_files=(share_path("config", f"{name}.yaml"), *extra),
                parameters={key: values[key] for key in (*names, *(("bring_up",) if managed else ()))},
                respawn=name not in MOVING,
                required=name in MOVING,
                needs=needed,
                managed=managed,
            )
            specs.append(spec)
    specs += robot_nodes(profile, Path(values["out"]), options.rviz)
    remappings = _remappings(profile, profile.full_image_topic)
    of_camera = remappings if profile.camera.source else _remappings(profile, profile.image_topic)
    clock = {"use_sim_time": True} if simulated else {}
    own_clock = (("/clock", f"/{options.namespace.strip('/')}/clock"),) if simulated and options.namespace else ()
    return [
        dataclasses.replace(
            spec,
            namespace="/".join(filter(None, (options.namespace.strip("/"), spec.namespace))),
            remappings=(of_camera if spec.name == "camera" else remappings) + own_clock,
            parameters={**spec.parameters, **({} if spec.name == "sim_cell" else clock)},
        )
        for spec in specs
    ]


def end_of_graph(spec: NodeSpec, code: int) -> str:
    """Why the graph ends with a node that has ended with this exit code; "" if it goes on."""
    if code == MISCONFIGURED and spec.package == PACKAGE:
        return f"{spec.name} cannot work with its configuration: its last line says what to correct"
    return f"{spec.name} has ended" if spec.required else ""


def record_command(options: BringupOptions, stamp: str) -> list[str]:
    """The rosbag2 command that records the graph's topics into <out>/bags/<stamp>."""
    bag = Path(options.out).expanduser().absolute() / BAGS / stamp
    prefix = f"/{options.namespace.strip('/')}/" if options.namespace else "/"
    topics = [prefix + topic for topic in RECORDED_TOPICS]
    return ["ros2", "bag", "record", "--storage", "mcap", "--output", str(bag), "--topics", *topics]


def require_recorder() -> None:
    """Raises ConfigError where `record_command` cannot run."""
    if shutil.which("ros2") is None:
        raise ConfigError("recording needs the command ros2: source ROS 2, or leave record:=true out")
    try:
        package_share("rosbag2_storage_mcap")
    except ConfigError:
        cure = "apt install ros-$ROS_DISTRO-rosbag2 ros-$ROS_DISTRO-rosbag2-storage-mcap, or leave record:=true out"
        raise ConfigError(f"recording needs rosbag2 with its mcap storage: {cure}") from None


def launch_arguments() -> list[dict[str, Any]]:
    """Keyword arguments of one DeclareLaunchArgument an option: name, default_value, description, choices."""
    known = {"robot": "robots", "variation": "variations"}
    arguments = []
    for field in dataclasses.fields(BringupOptions):
        default, description = field.default, field.metadata["description"]
        choices = [str(choice) for choice in field.metadata["choices"]]
        if isinstance(default, bool):
            default, choices = str(default).lower(), ["true", "false"]
        if field.name in known:
            names = sorted(file.stem for file in share_path("config", known[field.name]).glob("*.yaml"))
            description += f" ({', '.join(names)})"
        argument = {"name": field.name, "default_value": str(default), "description": description}
        arguments.append({**argument, "choices": choices} if choices else argument)
    return arguments


def parse_options(values: Mapping[str, str]) -> BringupOptions:
    """The options in launch arguments, which are all text. Raises ConfigError."""
    kinds = {field.name: type(field.default) for field in dataclasses.fields(BringupOptions)}
    data = {name: text if kinds.get(name) is str else _plain(name, text) for name, text in values.items()}
    return from_mapping(BringupOptions, data, "launch arguments")


def _plain(name: str, text: str) -> Any:
    try:
        return parse_yaml(text)
    except ValueError as error:
        raise ConfigError(f"launch argument {name} = {text!r}: no value ({error})") from error


def _absolute(name_or_path: str) -> str:
    """A name as it is; the path of a file so that it can be found from anywhere."""
    return str(Path(name_or_path).absolute()) if Path(name_or_path).suffix in {".yaml", ".yml"} else name_or_path


def _remappings(profile: RobotProfile, images: str) -> tuple[tuple[str, str], ...]:
    """From the names in the nodes to the profile's topics; with a camera.source there is no driver's camera_info."""
    topics = (
        ("image_raw", images),
        ("camera_info", "camera_info" if profile.camera.source else profile.camera_info_topic),
        ("joint_states", profile.joint_states_topic),
    )
    return tuple((name, topic) for name, topic in topics if name != topic)
