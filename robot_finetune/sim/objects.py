"""Random scenes: objects of a family at rest in the bin, all from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_finetune.sim.families import FAMILIES, random_shape
from robot_finetune.sim.shapes import ObjectShape
from robot_finetune.sim.variations import Kinds, Objects

SPAWN_MARGIN = 0.05  # m, of object centres from the bin's walls
GRASPABLE = (0.02, 0.062)  # m, width between the fingers
CLEARANCE = 0.012  # m between objects when they are put down, as far as there is room
ALWAYS_LIE, MAY_LIE = ("capsule", "dumbbell"), ("cylinder", "bottle", "ring")


@dataclass(frozen=True)
class PlacedObject:
    """position: (3,) of the centre [m], base frame. quaternion: (4,) w, x, y, z."""

    shape: ObjectShape
    position: np.ndarray
    quaternion: np.ndarray


def random_scene(
    rng: np.random.Generator,
    family: str,
    wanted: Objects,
    center: tuple[float, float],
    bin_half: tuple[float, float],
    floor_z: float,
) -> list[PlacedObject]:
    """Objects of a family (training, held_out, varied) resting on the bin's floor, apart, as `wanted`; a part of the
    training family's may be varied."""
    if family not in FAMILIES:
        raise ValueError(f"unknown object family {family!r}: there are {', '.join(FAMILIES)}")
    placed: list[PlacedObject] = []
    spread = [max(0.0, round(half - SPAWN_MARGIN, 6)) for half in bin_half]
    for _ in range(wanted.count):
        varied = wanted.varied and family == "training" and rng.random() < wanted.varied
        name = "varied" if varied else family
        kinds = _any_kind(rng, wanted.kinds) if name == "varied" and wanted.family == "mixed" else wanted.family
        shape = random_shape(rng, name, kinds, wanted.seed)
        quaternion, height = _resting(rng, shape)
        reach = _footprint(shape, quaternion)
        for attempt in range(200):
            angle, distance = rng.uniform(-np.pi, np.pi), np.sqrt(rng.random())
            x, y = center[0] + spread[0] * distance * np.cos(angle), center[1] + spread[1] * distance * np.sin(angle)
            spot = np.array([x, y, floor_z + height])
            room = min((_room(spot, reach, other) for other in placed), default=1.0)
            if room > CLEARANCE * max(0.0, 1.0 - attempt / 100):
                break
        else:
            spot[2] += 0.07  # no room left: falls on top of the others
        placed.append(PlacedObject(shape, spot, quaternion))
    return placed


def _any_kind(rng: np.random.Generator, kinds: Kinds) -> str:
    """One of the kinds by their parts, mixed for what they leave."""
    if not kinds.total:
        return "mixed"
    names, parts = zip(*vars(kinds).items(), strict=True)
    place = int(np.searchsorted(np.cumsum(parts), rng.random(), side="right"))
    return str((*names, "mixed")[place])


def _resting(rng: np.random.Generator, shape: ObjectShape) -> tuple[np.ndarray, float]:
    """A stable orientation with random yaw, and the height of the centre above the floor."""
    lies = shape.kind in ALWAYS_LIE or (shape.kind in MAY_LIE and rng.random() < 0.6)
    yaw = rng.uniform(-np.pi, np.pi)
    turn = np.array([np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)])
    if not lies:
        return turn, shape.half[2] + 0.0005
    c, s = np.cos(yaw / 2) * np.sqrt(0.5), np.sin(yaw / 2) * np.sqrt(0.5)
    return np.array([c, -s, c, s]), shape.half[0] + 0.0005  # yaw after a quarter turn about y: the axis lies down


def _footprint(shape: ObjectShape, quaternion: np.ndarray) -> float:
    """Radius of the circle that holds the object seen from above [m]."""
    lies = abs(quaternion[2]) > 1e-9 or abs(quaternion[1]) > 1e-9
    if lies:
        return shape.half[2] + 2 * shape.neck[1]
    round_kind = shape.kind in (*ALWAYS_LIE, *MAY_LIE, "ellipsoid")
    return max(shape.half[:2]) if round_kind else float(np.hypot(*shape.half[:2]))


def _room(spot: np.ndarray, reach: float, other: PlacedObject) -> float:
    distance = float(np.hypot(*(spot - other.position)[:2]))
    return distance - reach - _footprint(other.shape, other.quaternion)
