"""A scripted policy that looks at the cell's truth: the teacher of the first data, the measure of what the cell allows.

With noise it makes the mistakes that a Q-function must see to know them: closing too high or beside the object, wrong
yaw, closing early, wandering steps.
"""

from __future__ import annotations

import numpy as np

from robot_finetune.robot.approach import Approach
from robot_finetune.robot.interfaces import Decision
from robot_finetune.sim.cell import Cell
from robot_finetune.sim.objects import GRASPABLE, PlacedObject
from robot_finetune.sim.shapes import Part
from robot_finetune.types import Action, Observation

TEACHER = "teacher"
"""What this policy is called where a checkpoint may stand."""
YAWS = np.linspace(-np.pi / 2, np.pi / 2, 36, endpoint=False)
BELOW_CENTER = 0.010  # m, grasps hold an object a little below its centre
LOWEST = 0.007  # m above the bin's floor
FINGER_DISTANCE, FINGER_RADIUS = 0.0445, 0.012  # m, of an open finger from the tip, seen from above
ENOUGH_ROOM = 0.012  # m; more room for the fingers makes a grasp no better


class TeacherPolicy:
    """A `robot.interfaces.Policy` for the scene in `cell`. noise: 0 grasps well, 1 grasps badly and in many ways."""

    def __init__(self, cell: Cell, noise: float, rng: np.random.Generator) -> None:
        self._cell, self._noise, self._rng = cell, noise, rng
        self._limits = cell.profile.workspace
        self._approach = Approach(cell.profile, np.array(cell.profile.start_pose))

    def reseed(self, seed: int) -> None:
        """Make the next episode depend on `seed` alone."""
        self._rng = np.random.default_rng(seed)

    def begin_episode(self, mode: str) -> None:
        """Choose an object and how to grasp it (and what to do wrong)."""
        rng, noise = self._rng, self._noise
        objects = self._cell.objects()
        first = int(rng.integers(len(objects))) if rng.random() < noise else None
        target = best_grasp(objects, self._cell, only=first)
        if rng.random() < 0.12 * noise:
            radius = 0.7 * np.array(self._cell.profile.bin_half)
            target[:2] = np.array(self._cell.profile.bin_center) + rng.uniform(-radius, radius)
        target[:2] += rng.normal(0.0, 0.013 * noise, 2)
        target[3] += rng.normal(0.0, 0.3 * noise)
        target[2] += rng.normal(0.0, 0.005 * noise)
        if rng.random() < 0.3 * noise:
            target[2] += rng.uniform(0.015, 0.06)
        target[2] = max(target[2], self._limits.low[2])
        self._approach = Approach(self._cell.profile, target, loose=1.0 + 2.0 * noise * rng.random())

    def act(self, observation: Observation) -> Decision:
        """The next step towards the grasp, then close."""
        rng, noise = self._rng, self._noise
        way = self._approach.way(observation.pose)
        if way is None or rng.random() < 0.04 * noise:
            return Decision(Action.close())
        away, turn = way
        away = away + rng.normal(0.0, np.array([0.006, 0.006, 0.008]) * noise)
        return Decision(self._approach.step(away, turn + rng.normal(0.0, 0.1 * noise)))


def best_grasp(objects: list[PlacedObject], cell: Cell, only: int | None = None) -> np.ndarray:
    """(4,) pose that grasps an object (`only` that one) by the piece with most room for the fingers."""
    center, half = np.array(cell.profile.bin_center), np.array(cell.profile.bin_half)
    jaw = np.stack([np.sin(YAWS), -np.cos(YAWS), np.zeros_like(YAWS)], axis=1)
    best, best_score = np.zeros(4), -np.inf
    pieces = [piece for index, placed in enumerate(objects) for piece in _pieces(index, placed)]
    for i, (index, position, turned, part) in enumerate(pieces):
        if only is not None and index != only:
            continue
        width = 2 * part.extent(turned, jaw)
        room = np.full(len(YAWS), ENOUGH_ROOM)
        for side in (-1, 1):
            finger = position + side * FINGER_DISTANCE * jaw
            wall = (half - np.abs(finger[:, :2] - center)).min(axis=1) - FINGER_RADIUS
            room = np.minimum(room, wall)
            for j, (_, place, rotation, other) in enumerate(pieces):
                if j != i:
                    gap = (finger - place) * [1.0, 1.0, 0.0]
                    distance = np.linalg.norm(gap, axis=1)
                    reach = other.extent(rotation, gap / distance[:, None])
                    room = np.minimum(room, distance - reach - FINGER_RADIUS)
        score = room - np.maximum(0.0, width - GRASPABLE[1]) - 0.2 * width
        k = int(np.argmax(score))
        if score[k] > best_score:
            best_score = score[k]
            height = max(position[2] - BELOW_CENTER, cell.profile.floor_z + LOWEST)
            best = np.array([position[0], position[1], height, YAWS[k]])
    return best


def _pieces(index: int, placed: PlacedObject) -> list[tuple[int, np.ndarray, np.ndarray, Part]]:
    """What can be grasped of an object: its index, and of each piece the centre [m], the object's rotation, itself."""
    turned = _rotation(placed.quaternion)
    return [(index, placed.position + turned @ piece.position, turned, piece) for piece in placed.shape.pieces]


def _rotation(quaternion: np.ndarray) -> np.ndarray:
    w, x, y, z = quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
