"""Small motions by typed commands; every command is the person's consent to exactly that motion."""

from __future__ import annotations

import numpy as np

from robot_finetune.cell_setup.console import Console
from robot_finetune.robot.interfaces import Arm

LONGEST = 0.10  # m of one command
HELP = (
    "move the tip: `x 20`, `y -5`, `z -10` [mm], `yaw 15` [degrees], `to 0.5 0.1 0.2` [m]; or move the arm by hand or "
    "pendant; empty line: it is there; `skip`"
)
AXES = {"x": 0, "y": 1, "z": 2, "yaw": 3}


def target_of(command: str, pose: np.ndarray) -> np.ndarray:
    """The pose (4,) [m, rad] that a command leads to from `pose`. Raises ValueError with what is allowed."""
    word, *numbers = command.split()
    try:
        values = [float(number) for number in numbers]
    except ValueError:
        raise ValueError(f"{command!r}: not a number; {HELP}") from None
    target = np.array(pose, float)
    if word in AXES and len(values) == 1:
        target[AXES[word]] += np.radians(values[0]) if word == "yaw" else values[0] / 1000
    elif word == "to" and len(values) == 3:
        target[:3] = values
    else:
        raise ValueError(f"{command!r}: {HELP}")
    far = float(np.linalg.norm(target[:3] - pose[:3]))
    if not np.isfinite(target).all() or (word != "to" and far > LONGEST):
        raise ValueError(f"{command!r}: allowed are up to {LONGEST * 1000:.0f} mm at once")
    return target


def jog(arm: Arm, console: Console, where: str) -> np.ndarray | None:
    """The tip's pose (4,) when the person says that it is at `where`; None if it was skipped. Raises RobotError."""
    console.say(f"Bring the tip to {where}.")
    while True:
        pose = arm.pose()
        command = console.ask(f"tip at {pose_text(pose)}")
        if command == "skip":
            return None
        if not command:
            return pose
        try:
            target = target_of(command, pose)
        except ValueError as error:
            console.say(str(error))
            continue
        result = arm.move(target)
        if not result.reached:
            console.say(f"not reached: {result.reason}; the tip stopped at {pose_text(result.pose)}")


def pose_text(pose: np.ndarray) -> str:
    """A pose (4,) [m, rad] in words."""
    return f"x {pose[0]:.3f}, y {pose[1]:.3f}, z {pose[2]:.3f} m, yaw {np.degrees(pose[3]):.0f} degrees"
