"""The part of `launch` and `launch_ros` that our launch files use, where ROS 2 comes without them: it keeps what it is
given."""

from __future__ import annotations

import importlib.util
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class LaunchContext:
    launch_configurations: dict[str, str] = field(default_factory=dict)
    is_shutdown: bool = False


@dataclass
class LaunchDescription:
    entities: list[Any]


@dataclass
class DeclareLaunchArgument:
    name: str
    default_value: str
    description: str
    choices: list[str] | None = None


@dataclass
class OpaqueFunction:
    function: Callable[[LaunchContext], list[Any]]

    def execute(self, context: LaunchContext) -> list[Any]:
        return self.function(context)


@dataclass
class SetEnvironmentVariable:
    name: str
    value: str


@dataclass
class Shutdown:
    reason: str


@dataclass
class ProcessExited:
    returncode: int


@dataclass
class ExecuteProcess:
    cmd: list[str]
    output: str
    on_exit: list[Any] = field(default_factory=list)


@dataclass
class ParameterValue:
    value: Any
    value_type: type


@dataclass(kw_only=True)
class Node:
    package: str
    executable: str
    name: str
    namespace: str
    parameters: list[Any]
    remappings: list[tuple[str, str]]
    arguments: list[str]
    ros_arguments: list[str]
    respawn: bool
    respawn_delay: float
    on_exit: Callable[[ProcessExited, LaunchContext], list[Any]]
    output: str
    emulate_tty: bool


class LifecycleNode(Node):
    """Its transitions are launch's to ask for."""


def modules() -> dict[str, types.ModuleType]:
    """The stand-in as modules, by the names that launch files import."""
    contents = {
        "launch": (LaunchContext, LaunchDescription),
        "launch.actions": (DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, SetEnvironmentVariable, Shutdown),
        "launch.events": (),
        "launch.events.process": (ProcessExited,),
        "launch_ros": (),
        "launch_ros.actions": (LifecycleNode, Node),
        "launch_ros.parameter_descriptions": (ParameterValue,),
    }
    made = {}
    for name, classes in contents.items():
        made[name] = types.ModuleType(name)
        for item in classes:
            setattr(made[name], item.__name__, item)
    return made


def missing() -> bool:
    """Whether the real launch is not there."""
    return importlib.util.find_spec("launch_ros") is None
