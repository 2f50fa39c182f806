"""Pictures of logged grasps: what the policy saw, with what was commanded drawn in."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from robot_finetune.config import ConfigError
from robot_finetune.perception.camera_model import CameraModel
from robot_finetune.perception.drawing import draw_edges, jaw
from robot_finetune.robot.action_space import ActionSpace
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.types import Episode, Step

TILE, STRIP, GAP = 256, 36, 6  # px
COMMANDED, HERE, CLOSING = (255, 210, 0), (0, 190, 255), (255, 60, 60)  # RGB
SUCCESS, FAILURE, DISCARDED, INK = (31, 122, 92), (190, 60, 50), (150, 150, 150), (29, 39, 51)


def step_tile(step: Step, profile: RobotProfile) -> np.ndarray:
    """The image of a step (TILE, TILE, 3): blue the tool, yellow where it was commanded to, red where it closed; each
    with a line along which the fingers close. As the profile's camera and workspace have it."""
    seen, action = step.observation, step.commanded
    enlarged = cv2.INTER_NEAREST if seen.image.shape[0] < TILE else cv2.INTER_AREA
    tile = np.ascontiguousarray(cv2.resize(seen.image, (TILE, TILE), interpolation=enlarged))
    camera = CameraModel.from_config(profile.camera).seen_by_policy(TILE)
    target = ActionSpace(profile.workspace).target(seen.pose, action)
    if action.closes or action.terminates:
        draw_edges(tile, camera, jaw(seen.pose)[None], CLOSING, 2)
        return tile
    draw_edges(tile, camera, jaw(seen.pose)[None], HERE, 2)
    draw_edges(tile, camera, np.stack([jaw(target), [seen.pose[:3], target[:3]]]), COMMANDED, 2)
    return tile


def grasp_tiles(episode: Episode, profile: RobotProfile) -> list[np.ndarray]:
    """A tile with two lines of text for each step."""
    count = len(episode.steps)
    return [
        _captioned(step_tile(step, profile), (f"{number} of {count}   v{step.policy_version}", decision(step)), INK)
        for number, step in enumerate(episode.steps, 1)
    ]


def last_tile(episode: Episode, profile: RobotProfile, caption: str, discarded: bool = False) -> np.ndarray:
    """The last step of a grasp that has one, and how it ended: a green, red or grey strip."""
    color = DISCARDED if discarded else SUCCESS if episode.outcome.success else FAILURE
    step = episode.steps[-1]
    verdict = "discarded" if discarded else "success" if episode.outcome.success else "failure"
    line = f"{verdict} {episode.outcome.confidence:.2f}, {episode.end_reason}, v{step.policy_version}"
    return _captioned(step_tile(step, profile), (caption, line), color)


def contact_sheet(tiles: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Tiles of one size, uint8 RGB, line by line on white. Raises ConfigError without any."""
    if not tiles:
        raise ConfigError("no image to show: no grasp that was asked for has a step")
    height, width, _ = tiles[0].shape
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    sheet = np.full((rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, 3), 255, np.uint8)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        top, left = GAP + row * (height + GAP), GAP + column * (width + GAP)
        sheet[top : top + height, left : left + width] = tile
    return sheet


def mp4(frames: Sequence[np.ndarray], rate: float) -> bytes:
    """A video (MPEG-4) of frames of one size, uint8 RGB, so many a second. Raises ConfigError."""
    if not frames:
        raise ConfigError("no video of a grasp without a step")
    height, width, _ = frames[0].shape
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "grasp.mp4"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), rate, (width, height))
        if not writer.isOpened():
            raise ConfigError("this OpenCV writes no MPEG-4 video: install opencv-python-headless from PyPI")
        for frame in frames:
            writer.write(np.ascontiguousarray(frame[..., ::-1]))
        writer.release()
        return path.read_bytes()


def decision(step: Step) -> str:
    """What a step did, in a few words."""
    action = step.commanded
    value = f"q {step.q:.2f}  " if np.isfinite(step.q) else ""
    if action.closes:
        return f"{value}close"
    if action.terminates:
        return f"{value}terminate"
    return f"{value}yaw {np.degrees(action.yaw_change):+.0f} deg  dz {action.translation[2]:+.2f}"


def _captioned(tile: np.ndarray, lines: tuple[str, str], color: tuple[int, int, int]) -> np.ndarray:
    strip = np.full((STRIP, tile.shape[1], 3), color, np.uint8)
    for number, text in enumerate(lines):
        cv2.putText(strip, text, (5, 14 + 16 * number), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255), 1, cv2.LINE_AA)
    return np.vstack([tile, strip])
