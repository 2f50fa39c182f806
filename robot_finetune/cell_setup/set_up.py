"""The wizard over ROS. It starts the simulated cell, or the node camera where it is needed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from robot_finetune.cell_setup.console import Console
from robot_finetune.cell_setup.draft import Draft
from robot_finetune.cell_setup.wizard import Wizard
from robot_finetune.config import ConfigError
from robot_finetune.robot.profile import SIMULATED
from robot_finetune.ros.environment import graph_environment

GIVEN_FIRST = ("urdf", "base_frame", "tip_frame", "tool_orientation", "joints", "gripper.joint")


def open_draft(robot: str, out: Path, name: str = "") -> Draft:
    """The profile that is measured, begun from `robot` or gone on with in the file `out`. Raises ConfigError where
    something is missing that has to be written by hand."""
    if out.suffix not in {".yaml", ".yml"}:
        raise ConfigError(f"--out {out}: give a file that ends in .yaml")
    draft = Draft(robot, out.expanduser().absolute(), name)
    missing = [key for key in GIVEN_FIRST if key in draft.profile.to_measure]
    if missing:
        raise ConfigError(
            f"{robot}: write {', '.join(missing)} into a copy of the profile first and take them off to_measure: "
            "nothing can be moved without them"
        )
    return draft


def set_up(draft: Draft) -> bool:
    """Walk through the cell in the terminal and write the profile; whether nothing was left out. Raises RobotError."""
    from robot_finetune.cell_setup import ros_cell  # ROS 2: a draft is checked without it

    os.environ.update(graph_environment(draft.profile.name == SIMULATED))
    console = Console(sys.stdin, sys.stdout)
    with ros_cell.nodes(draft), ros_cell.connected(draft.profile) as cell:
        wizard = Wizard(cell, draft, console)
        wizard.run()
    console.say(f"Written: {draft.path}")
    for line in wizard.unfinished:
        console.say(f"not done: {line}")
    return not wizard.unfinished
