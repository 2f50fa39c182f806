"""Pictures of the simulated cell: `python -m robot_finetune.sim.pictures docs` writes variations.png and
randomised.jpg there."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from robot_finetune.robot.profile import RobotProfile, load_robot
from robot_finetune.sim.cell import Cell
from robot_finetune.sim.randomisation import randomise_in_view
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
SMALL, SMALL_COLUMNS = 200, 4


def variations_picture(names: Sequence[str] = SHOWN, seed: int = 4) -> np.ndarray:
    """One uint8 RGB picture with a labelled camera view of each variation."""
    tiles = []
    for name in names:
        tile = _view(load_variation(name), seed, "held_out", SIZE)
        cv2.rectangle(tile, (0, SIZE - 24), (SIZE, SIZE), (255, 255, 255), -1)
        cv2.putText(tile, name, (8, SIZE - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (30, 40, 50), 1, cv2.LINE_AA)
        tiles.append(tile)
    return _sheet(tiles, COLUMNS)


def randomised_picture(count: int = 16) -> np.ndarray:
    """One uint8 RGB picture with camera views of scenes as pre-training has them, of as many days."""
    profile = load_robot()
    days = (randomise_in_view(profile, Variation(), np.random.default_rng(day)) for day in range(count))
    return _sheet([_view(day, seed, "training", SMALL) for seed, day in enumerate(days)], SMALL_COLUMNS)


def _view(variation: Variation, seed: int, family: str, size: int) -> np.ndarray:
    cell = Cell(load_robot(), variation)
    cell.reset(seed, family, at_start=True)
    view = cell.render(size, size).copy()
    cell.close()
    return view


def _sheet(tiles: list[np.ndarray], columns: int) -> np.ndarray:
    rows = [np.hstack(tiles[start : start + columns]) for start in range(0, len(tiles), columns)]
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
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for file, picture in (("variations.png", variations_picture()), ("randomised.jpg", randomised_picture())):
        cv2.imwrite(str(folder / file), picture[..., ::-1])
