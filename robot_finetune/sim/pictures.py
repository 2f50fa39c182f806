"""Pictures of the simulated cell in several variations: `python -m robot_finetune.sim.pictures docs/variations.png`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from robot_finetune.robot.profile import RobotProfile, load_robot
from robot_finetune.sim.cell import Cell
from robot_finetune.sim.robot import sim_robot
from robot_finetune.sim.variations import Variation, load_variation

SHOWN = (
    "base",
    "checkerboard_backing",
    "harsh_lighting",
    "transparent_bottles",
    "extend_gripper_1cm",
    "offset_gripper_10cm",
)
SIZE, COLUMNS = 320, 3


def variations_picture(names: Sequence[str] = SHOWN, seed: int = 4) -> np.ndarray:
    """One uint8 RGB picture with a labelled camera view of each variation."""
    tiles = []
    for name in names:
        cell = Cell(load_robot(), load_variation(name))
        cell.reset(seed, "held_out", at_start=True)
        tile = cell.render(SIZE, SIZE).copy()
        cell.close()
        cv2.rectangle(tile, (0, SIZE - 24), (SIZE, SIZE), (255, 255, 255), -1)
        cv2.putText(tile, name, (8, SIZE - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (30, 40, 50), 1, cv2.LINE_AA)
        tiles.append(tile)
    rows = [np.hstack(tiles[start : start + COLUMNS]) for start in range(0, len(tiles), COLUMNS)]
    return np.vstack(rows)


def camera_view(profile: RobotProfile, variation: Variation, out_of_view: bool = False, seed: int = 4) -> np.ndarray:
    """uint8 RGB (height, width, 3) of a profile's camera with the arm at its start pose, or out of view. Raises
    ConfigError."""
    cell = Cell(profile, variation)
    cell.reset(seed, "held_out", at_start=True)
    if out_of_view:
        sim_robot(cell).arm.move_joints(np.array(profile.out_of_view_joints))
    seen = cell.render().copy()
    cell.close()
    return seen


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(target), variations_picture()[..., ::-1])
