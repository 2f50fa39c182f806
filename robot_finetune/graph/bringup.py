"""The node graph as data: which processes a session needs, with which parameters.

The launch files turn it into launch_ros actions, `robot-finetune session` starts the same processes itself. Nothing
here imports ROS.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from robot_finetune.config import ConfigError, load_yaml, policy_folder, resolve, share_path
from robot_finetune.data.version_card import read_card
from robot_finetune.exit_codes import MISCONFIGURED
from robot_finetune.graph.node_spec import PACKAGE, NodeSpec
from robot_finetune.graph.options import BringupOptions, simulated_clock
from robot_finetune.graph.recording import replaying_nodes
from robot_finetune.graph.robot_nodes import robot_nodes
from robot_finetune.robot.profile import SIMULATED, RobotProfile, load_robot

PARAMETERS = {
    "sim_cell": ("robot", "variation", "seed", "real_time_factor"),
    "camera": ("robot", "image_size"),
    "grasp_detector": ("robot",),
    "episode_logger": ("robot", "out", "upload"),
    "trainer": ("robot", "policy", "out", "earlier", "sources", "versions", "seed"),
    "policy": (
        "robot",
        "policy",
        "variation",
        "mode",
        "seed",
        "out",
        "versions",
        "fleet",
        "start_grasping",
        "accept_updates",
        "promotion.mode",
        "max_episodes",
    ),
}
"""The nodes in starting order, and the options that each is given as parameters."""

MOVING = ("sim_cell", "policy")
"""Nodes that move the arm: never started again by themselves, and the graph ends with them."""

TREE = (("/tf", "tf"), ("/tf_static", "tf_static"))
"""In a namespace a robot has a tree of frames of its own: two robots with one would tear each other apart."""

UNMANAGED = ("sim_cell",)
"""Nodes without a lifecycle; the others are also given `bring_up`."""


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
        "promotion.mode": options.promotion,
    }
    extra = (_parameter_file(options.params_file),) if options.params_file else ()
    left_out = {name for name, wanted in (("sim_cell", simulated), ("trainer", options.train)) if not wanted}
    if options.bag:
        left_out = set(PARAMETERS) - set(replaying_nodes(profile))
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
    specs += robot_nodes(profile, Path(values["out"]), options.rviz, options.publish_robot_state)
    remappings = _remappings(profile, profile.full_image_topic)
    of_camera = remappings if profile.camera.source else _remappings(profile, profile.image_topic)
    clock = {"use_sim_time": True} if simulated_clock(options, profile) else {}
    clock_of_its_own = simulated and options.namespace and not options.bag
    own_clock = (("/clock", f"/{options.namespace.strip('/')}/clock"),) if clock_of_its_own else ()
    own_frames = TREE if options.namespace else ()
    return [
        dataclasses.replace(
            spec,
            namespace="/".join(filter(None, (options.namespace.strip("/"), spec.namespace))),
            remappings=(of_camera if spec.name == "camera" else remappings) + own_clock + own_frames,
            log_level=options.log_level,
            parameters={**spec.parameters, **({} if spec.name == "sim_cell" else clock)},
        )
        for spec in specs
    ]


def end_of_graph(spec: NodeSpec, code: int) -> str:
    """Why the graph ends with a node that has ended with this exit code; "" if it goes on."""
    if code == MISCONFIGURED and spec.package == PACKAGE:
        return f"{spec.name} cannot work with its configuration: its last line says what to correct"
    return f"{spec.name} has ended" if spec.required else ""


def _parameter_file(name: str) -> Path:
    """A file of parameters, which ROS would pass over, or every node die of, if it is none. Raises ConfigError."""
    path = Path(name).expanduser().absolute()
    if not path.is_file():
        raise ConfigError(f"params_file = {name}: no such file; check the path")
    if not _gives_parameters(load_yaml(path)):
        raise ConfigError(f"{path}: no parameters; allowed is <node>: {{ros__parameters: {{<name>: <value>}}}}")
    return path


def _gives_parameters(data: Any) -> bool:
    """Whether some node, in some namespace, is given parameters."""
    if not isinstance(data, dict):
        return False
    given = data.get("ros__parameters")
    return isinstance(given, dict) or (given is None and any(map(_gives_parameters, data.values())))


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
