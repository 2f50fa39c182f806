"""Random rigid objects: their shapes, colours and resting poses, all from a seed.

Families with the same kinds of shape, so that a policy can be tested on objects it was never trained on: those of the
held-out family have proportions that no other object has, and hues between those of the others.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np

from robot_finetune.sim.variations import Objects

DENSITY = 400.0  # kg/m3
SPAWN_MARGIN = 0.05  # m, of object centres from the bin's walls
GRASPABLE = (0.02, 0.062)  # m, width between the fingers
CLEARANCE = 0.012  # m between objects when they are put down, as far as there is room

MIXED_KINDS = ("box", "cylinder", "capsule", "ellipsoid")


@dataclass(frozen=True)
class Build:
    """Ranges of proportions: narrow half-width [m], and half-length in half-widths."""

    half_width: tuple[float, float]
    aspect: tuple[float, float]


@dataclass(frozen=True)
class Family:
    """The builds of a family, one as likely as the other, its colours, and half-heights of its boxes [m]."""

    builds: tuple[Build, ...]
    hue_shift: float
    saturation: tuple[float, float]
    value: tuple[float, float]
    hue_spread: float = 0.02
    box_height: tuple[float, float] = (0.012, 0.025)


COMPACT = Build((0.013, 0.025), (1.0, 1.7))
SLENDER = Build((0.013, 0.018), (2.5, 3.2))
BULKY = Build((0.025, 0.029), (1.0, 1.4))
OBLONG = Build((0.012, 0.029), (1.7, 2.4))
SMALL = Build((0.0105, 0.014), (1.0, 1.6))
ANY_COMPACT = Build((0.013, 0.031), (1.0, 1.45))
THIN = Build((0.0105, 0.016), (2.45, 2.8))
FAMILIES = {
    "training": Family((COMPACT, COMPACT, SLENDER, BULKY), 0.0, (0.6, 1.0), (0.55, 1.0)),
    "held_out": Family((OBLONG,), 1 / 12, (0.45, 0.9), (0.45, 0.95)),
    "varied": Family((SMALL, ANY_COMPACT, THIN), 0.0, (0.0, 1.0), (0.1, 1.0), 0.055, (0.007, 0.03)),
}
LARGEST_HALF_LENGTH = 0.045  # m
HUES = 6


@dataclass(frozen=True)
class ObjectShape:
    """kind: box, cylinder, capsule, ellipsoid or bottle. half: half extents of the body [m] along its own axes.

    Round kinds have their axis along z. neck: (radius, half length) of a bottle's neck beyond +z [m], or zeros.
    """

    kind: str
    half: tuple[float, float, float]
    color: tuple[float, float, float]
    neck: tuple[float, float] = (0.0, 0.0)

    def extent(self, rotation: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """Half widths of the body along unit directions (..., 3) of the world, for its (3, 3) rotation."""
        local = np.abs(direction @ rotation)
        half = np.array(self.half)
        if self.kind == "box":
            return local @ half
        if self.kind == "ellipsoid":
            return np.sqrt((local**2) @ half**2)
        across = np.sqrt(np.maximum(0.0, 1.0 - local[..., 2] ** 2))
        if self.kind == "capsule":
            return half[0] + (half[2] - half[0]) * local[..., 2]
        return half[0] * across + half[2] * local[..., 2]

    @property
    def radius(self) -> float:
        """Radius of a ball around the centre that holds the whole object [m]."""
        length = self.half[2] + 2 * self.neck[1]
        if self.kind in ("box", "cylinder", "bottle"):
            return float(np.hypot(np.hypot(*self.half[:2]) if self.kind == "box" else self.half[0], length))
        return float(max(*self.half, length))


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
        shape = random_shape(rng, FAMILIES["varied" if varied else family], wanted.family)
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


def random_shape(rng: np.random.Generator, family: Family, kinds: str) -> ObjectShape:
    """One object of a family; `kinds` is mixed or bottles."""
    hue = (rng.integers(HUES) / HUES + family.hue_shift + rng.uniform(-family.hue_spread, family.hue_spread)) % 1.0
    color = colorsys.hsv_to_rgb(hue, rng.uniform(*family.saturation), rng.uniform(*family.value))
    kind = "bottle" if kinds == "bottles" else MIXED_KINDS[rng.integers(len(MIXED_KINDS))]
    build = family.builds[rng.integers(len(family.builds))]
    width = rng.uniform(*build.half_width)
    length = min(width * rng.uniform(*build.aspect), LARGEST_HALF_LENGTH)
    if kind == "box":
        return ObjectShape(kind, (width, length, rng.uniform(*family.box_height)), color)
    if kind == "ellipsoid":
        return ObjectShape(kind, (width, length, rng.uniform(0.014, 0.022)), color)
    if kind == "bottle":
        width = rng.uniform(0.014, 0.022) if family.hue_shift == 0 else rng.uniform(0.012, 0.025)
        neck = (width * rng.uniform(0.35, 0.5), rng.uniform(0.008, 0.012))
        return ObjectShape(kind, (width, width, max(1.4 * width, min(length * 1.2, 0.042))), color, neck)
    return ObjectShape(kind, (width, width, max(length, 1.15 * width) if kind == "capsule" else length), color)


def mass_properties(shape: ObjectShape) -> tuple[float, np.ndarray]:
    """Mass [kg] and principal moments of inertia (3,) [kg m2] about the body's centre (a bottle's neck is left out)."""
    x, y, z = shape.half
    if shape.kind == "box":
        mass, squares = 8 * x * y * z * DENSITY, np.array([y * y + z * z, x * x + z * z, x * x + y * y]) / 3
    elif shape.kind == "ellipsoid":
        mass, squares = 4 / 3 * np.pi * x * y * z * DENSITY, np.array([y * y + z * z, x * x + z * z, x * x + y * y]) / 5
    else:  # a capsule as the cylinder of its length
        mass = 2 * np.pi * x * x * z * DENSITY
        squares = np.array([x * x / 4 + z * z / 3, x * x / 4 + z * z / 3, x * x / 2])
    return float(mass), mass * squares


def _resting(rng: np.random.Generator, shape: ObjectShape) -> tuple[np.ndarray, float]:
    """A stable orientation with random yaw, and the height of the centre above the floor."""
    lies = shape.kind == "capsule" or (shape.kind in ("cylinder", "bottle") and rng.random() < 0.6)
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
    return float(np.hypot(*shape.half[:2])) if shape.kind == "box" else max(shape.half[:2])


def _room(spot: np.ndarray, reach: float, other: PlacedObject) -> float:
    distance = float(np.hypot(*(spot - other.position)[:2]))
    return distance - reach - _footprint(other.shape, other.quaternion)
