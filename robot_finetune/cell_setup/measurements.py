"""What a few measured points, images and finger positions say about a cell. No robot here, only arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from robot_finetune.robot.action_space import wrap_angle
from robot_finetune.robot.interfaces import RobotError

LARGEST_TURN = np.radians(5.0)
SQUARENESS = 0.02  # m between the middles of a bin's diagonals, and between sides that are taken to be alike
CEILING = 0.25  # m above the floor, the top of the workspace
START_HEIGHT = 0.20  # m above the floor
LEAST_TURN, SAME_HEIGHT = np.radians(30.0), 0.005  # between two touches of one point: rad, m
INSET = 0.02  # m that the tip keeps away from the walls


class BadMeasurement(RobotError):
    """The measured values contradict each other; the message says what to measure again."""


@dataclass(frozen=True)
class BinMeasure:
    """center: (2,) [m]. half: (2,) of its inner widths along x and y [m]. floor [m].

    low, high: (3,) of the box in which the tip may move [m]."""

    center: np.ndarray
    half: np.ndarray
    floor: float
    low: np.ndarray
    high: np.ndarray


def measure_bin(corners: np.ndarray, floor: float, clearance: float) -> BinMeasure:
    """From tip positions (4, 2) [m] at the inner corners, in turn around the bin, and at its floor [m].

    clearance: lowest height of the tip above the floor [m]. Raises BadMeasurement.
    """
    sides = np.roll(corners, -1, axis=0) - corners
    lengths = np.linalg.norm(sides, axis=1)
    if lengths.min() < 0.06:
        raise BadMeasurement(f"two corners are {lengths.min() * 100:.1f} cm apart: record the four in turn again")
    if np.linalg.norm(corners[0] + corners[2] - corners[1] - corners[3]) > 2 * SQUARENESS:
        text = ", ".join(f"{length * 100:.1f}" for length in lengths)
        raise BadMeasurement(f"sides of {text} cm are no rectangle's: record the four corners in turn again")
    turn = np.arctan2(sides[:, 1], sides[:, 0])
    off = np.abs((turn + np.pi / 4) % (np.pi / 2) - np.pi / 4).max()
    if off > LARGEST_TURN:
        raise BadMeasurement(
            f"the bin is turned by {np.degrees(off):.0f} degrees against the base frame: set it parallel and go on"
        )
    center, half = corners.mean(axis=0), np.abs(corners - corners.mean(axis=0)).mean(axis=0)
    if abs(half[0] - half[1]) < SQUARENESS / 2:
        half = np.full(2, half.mean())
    low, high = corners.min(axis=0) + INSET, corners.max(axis=0) - INSET
    return BinMeasure(center, half, floor, np.array([*low, floor + clearance]), np.array([*high, floor + CEILING]))


def tip_error(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Where the finger tips' middle is beside the tip frame, (2,) [m] along x and y of the base frame at yaw 0.

    From the tip poses (4,) at which one point was touched twice, at different yaws; an error of the frame's height is
    not seen. Raises BadMeasurement.
    """
    turn = abs(wrap_angle(second[3] - first[3]))
    if turn < LEAST_TURN:
        raise BadMeasurement(f"the gripper was turned by {np.degrees(turn):.0f} degrees: turn it by 45 or more")
    if abs(second[2] - first[2]) > SAME_HEIGHT:
        raise BadMeasurement(f"touched {abs(second[2] - first[2]) * 1000:.0f} mm higher or lower: touch the same point")
    (c1, s1), (c2, s2) = ((np.cos(pose[3]), np.sin(pose[3])) for pose in (first, second))
    turned = np.array([[c1 - c2, s2 - s1], [s1 - s2, c1 - c2]])
    return np.asarray(np.linalg.solve(turned, second[:2] - first[:2]))


@dataclass(frozen=True)
class ImageMeasure:
    """brightness: mean grey level. noise: standard deviation of a pixel between images [grey levels]. wander: largest
    change of the mean brightness, relative."""

    brightness: float
    noise: float
    wander: float


def measure_images(images: Sequence[np.ndarray]) -> ImageMeasure:
    """From images (H, W, 3) of a cell in which nothing moves, two or more."""
    means = np.array([image.mean() for image in images])
    differences = [b.astype(np.float32) - a for a, b in zip(images, images[1:], strict=False)]
    noise = float(np.median([1.4826 * np.median(np.abs(d - np.median(d))) for d in differences]) / np.sqrt(2))
    noise = max(noise, float(np.median([d.std() for d in differences]) / np.sqrt(2)))
    return ImageMeasure(float(means.mean()), noise, float(np.ptp(means) / max(means.mean(), 1.0)))


def empty_opening(closed: Sequence[float], thinnest: float | None) -> float:
    """Opening below which nothing is held, from openings after closing on nothing and on the thinnest object.

    Raises BadMeasurement if the two cannot be told apart.
    """
    largest = max(closed)
    if thinnest is None:
        return max(0.06, 1.5 * largest)
    if thinnest < largest + 0.03:
        raise BadMeasurement(
            f"closed on the object the opening is {thinnest:.2f}, on nothing up to {largest:.2f}: they cannot be told "
            "apart; take a thicker object, or finger tips that close farther"
        )
    return (largest + thinnest) / 2


def locate_camera(corners: np.ndarray, pixels: np.ndarray, focal: float, size: tuple[int, int]) -> np.ndarray:
    """Camera centre and a point on its axis at the corners' height, (2, 3) [m], that puts `corners` at `pixels`.

    corners: (4, 3) [m, base frame]. pixels: (4, 2) column, row. focal [px]; size: width, height [px] of the image.
    Raises BadMeasurement if no camera sees them there, or a camera that is not level.
    """
    matrix = np.array([[focal, 0, (size[0] - 1) / 2], [0, focal, (size[1] - 1) / 2], [0, 0, 1.0]])
    found, turned, moved = cv2.solvePnP(corners, pixels.astype(np.float64), matrix, None, flags=cv2.SOLVEPNP_IPPE)
    if not found:
        raise BadMeasurement("no camera sees the corners at these pixels: look them up again, in the corners' order")
    rotation = cv2.Rodrigues(turned)[0]
    seen, _ = cv2.projectPoints(corners, turned, moved, matrix, None)
    error = np.linalg.norm(seen[:, 0] - pixels, axis=1).max()
    position, forward = (-rotation.T @ moved)[:, 0], rotation[2]
    if error > 0.02 * max(size) or forward[2] > -0.1:
        raise BadMeasurement(f"the corners miss their pixels by {error:.0f} px: look them up again, in the same order")
    if abs(rotation[0][2]) > np.sin(LARGEST_TURN):
        tilt = np.degrees(np.arcsin(abs(rotation[0][2])))
        raise BadMeasurement(f"the camera is rolled by {tilt:.0f} degrees: mount it level")
    return np.stack([position, position + forward * (corners[:, 2].mean() - position[2]) / forward[2]])
