"""One process of the node graph, as data."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PACKAGE = "robot_finetune"


@dataclass(frozen=True)
class NodeSpec:
    """One process of the graph.

    parameters: those that differ from `parameter_files`. needs: nodes that it waits for when it works.
    respawn: started again when it dies; never so for what moves an arm. required: the graph ends with it.
    managed: a lifecycle node.
    """

    name: str
    executable: str
    package: str = PACKAGE
    parameter_files: tuple[Path, ...] = ()
    parameters: dict[str, Any] = dataclasses.field(default_factory=dict)
    remappings: tuple[tuple[str, str], ...] = ()
    arguments: tuple[str, ...] = ()
    namespace: str = ""
    respawn: bool = False
    required: bool = False
    needs: tuple[str, ...] = ()
    managed: bool = False
    log_level: str = ""

    def ros_arguments(self) -> list[str]:
        """The command line after the executable, as launch_ros would write it."""
        words = [*self.arguments, "--ros-args", "-r", f"__node:={self.name}"]
        if self.namespace:
            words += ["-r", f"__ns:=/{self.namespace.strip('/')}"]
        for source, target in self.remappings:
            words += ["-r", f"{source}:={target}"]
        if self.log_level:
            words += ["--log-level", self.log_level]
        for file in self.parameter_files:
            words += ["--params-file", str(file)]
        for key, value in self.parameters.items():
            words += ["-p", f"{key}:={json.dumps(value)}"]
        return words
