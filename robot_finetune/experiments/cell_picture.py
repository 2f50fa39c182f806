"""A picture of the simulated cell of a profile, for a look whether it agrees with the real camera's image."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from robot_finetune.config import ConfigError
from robot_finetune.data.step_arrays import from_png, to_png
from robot_finetune.experiments.rollouts import say_what_is_replaced
from robot_finetune.files import read_file
from robot_finetune.perception.cell_drawing import draw_cell
from robot_finetune.robot.profile import CameraConfig, load_robot
from robot_finetune.sim.pictures import camera_view
from robot_finetune.sim.variations import load_variation

SIZE_LIMIT = 50_000_000  # bytes of an image file


def write_picture(robot: str, variation: str, posture: str, beside: Path | None, out: Path) -> None:
    """Write what the simulated camera sees, with the profile's crop, bin and workspace drawn in, and the image `beside`
    on its left. posture: start or out_of_view. Raises ConfigError, OSError."""
    profile = load_robot(robot)
    say_what_is_replaced(robot)
    images = [] if beside is None else [_photo(beside, profile.camera)]
    images.append(camera_view(profile, load_variation(variation), posture == "out_of_view"))
    picture = np.hstack([draw_cell(image, profile) for image in images])
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(to_png(picture))


def _photo(path: Path, camera: CameraConfig) -> np.ndarray:
    """uint8 RGB of an image file, in the size of the camera. Raises ConfigError."""
    try:
        image = from_png(read_file(path, SIZE_LIMIT))
    except ValueError as error:
        raise ConfigError(f"{path}: {error}; give one of the camera's") from error
    height, width = image.shape[:2]
    if width * camera.height != height * camera.width:
        raise ConfigError(
            f"{path}: {width}x{height} is not the shape of the profile's camera, {camera.width}x{camera.height}; give "
            "an image as image_topic has it, or correct camera.width and camera.height"
        )
    return np.asarray(cv2.resize(image, (camera.width, camera.height), interpolation=cv2.INTER_AREA))
