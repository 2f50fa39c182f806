"""Families of random shapes, so that a policy can be tested on objects it was never trained on.

They have the same kinds of shape: those of the held-out family have proportions that no other object has, and hues
between those of the others.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from robot_finetune.sim.shapes import RING_SIDES, ObjectShape, Part, Triple

MIXED_KINDS = ("box", "cylinder", "capsule", "ellipsoid")
HULLS = 8  # of a family, of one seed


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
LARGEST_HOLLOW = 0.027  # m, half-width: a ring's corners must fit between the fingers
STEP = 0.0005  # m by which parts are lower that an object need not stand on: contacts cost time
PEN = 2.2  # times as slender as its build
HUES = 6


@dataclass(frozen=True)
class Hull:
    """A convex polyhedron that stands on a face. half: half extents [m]. vertices: (n, 3) about its middle [m]."""

    name: str
    half: Triple
    vertices: np.ndarray


def random_shape(rng: np.random.Generator, family: str, kinds: str, seed: int = 0) -> ObjectShape:
    """One object of the family of that name; `kinds` as `Objects.family`. seed: of the hulls that there are."""
    look = FAMILIES[family]
    hue = (rng.integers(HUES) / HUES + look.hue_shift + rng.uniform(-look.hue_spread, look.hue_spread)) % 1.0
    color = colorsys.hsv_to_rgb(hue, rng.uniform(*look.saturation), rng.uniform(*look.value))
    if kinds == "hulls":
        hull = hulls(family, seed)[rng.integers(HULLS)]
        return ObjectShape("hull", hull.half, color, mesh=hull.name)
    kind = MIXED_KINDS[rng.integers(len(MIXED_KINDS))] if kinds == "mixed" else kinds
    width, length, aspect = _proportions(rng, look)
    if kind in SHAPED:
        return SHAPED[kind](rng, color, width, length, rng.uniform(*look.box_height))
    if kind == "thin":
        return _thin(rng, color, width, length, aspect)
    if kind == "box":
        return ObjectShape(kind, (width, length, rng.uniform(*look.box_height)), color)
    if kind == "ellipsoid":
        return ObjectShape(kind, (width, length, rng.uniform(0.014, 0.022)), color)
    if kind == "bottles":
        width = rng.uniform(0.014, 0.022) if look.hue_shift == 0 else rng.uniform(0.012, 0.025)
        neck = (width * rng.uniform(0.35, 0.5), rng.uniform(0.008, 0.012))
        return ObjectShape("bottle", (width, width, max(1.4 * width, min(length * 1.2, 0.042))), color, neck)
    return ObjectShape(kind, (width, width, max(length, 1.15 * width) if kind == "capsule" else length), color)


@lru_cache(maxsize=8)
def hulls(family: str, seed: int) -> tuple[Hull, ...]:
    """The hulls of a family: meshes, of which a cell must have been built with those that it shall show."""
    rng = np.random.default_rng([seed, sum(family.encode())])
    return tuple(_hull(rng, FAMILIES[family], f"{family}_hull_{index}") for index in range(HULLS))


def _proportions(rng: np.random.Generator, family: Family) -> tuple[float, float, float]:
    """Half-width and half-length [m], and their ratio before the half-length was cut."""
    build = family.builds[rng.integers(len(family.builds))]
    width, aspect = rng.uniform(*build.half_width), rng.uniform(*build.aspect)
    return width, min(width * aspect, LARGEST_HALF_LENGTH), aspect


def _thin(rng: np.random.Generator, color: Triple, width: float, length: float, aspect: float) -> ObjectShape:
    """A plate, or a pen."""
    if rng.random() < 0.5:
        return ObjectShape("box", (width, length, rng.uniform(0.004, 0.006)), color)
    radius = rng.uniform(0.0065, 0.008)
    length = PEN * aspect * radius
    if rng.random() < 0.5:
        return ObjectShape("box", (radius, length, radius), color)
    return ObjectShape("capsule", (radius, radius, length), color)


def _compound(rng: np.random.Generator, color: Triple, width: float, length: float, height: float) -> ObjectShape:
    """An L, a T or a cross of bars, or a dumbbell."""
    kind = ("L", "T", "cross", "dumbbell")[rng.integers(4)]
    thick = max(0.0065, width * rng.uniform(0.3, 0.45))  # half of a bar's
    if kind == "dumbbell":
        end, rod = length * rng.uniform(0.15, 0.3), max(0.006, width * rng.uniform(0.35, 0.6))
        disc = partial(Part, "cylinder", (width, width, end), shade=rng.uniform(0.6, 1.0))
        ends = disc((0.0, 0.0, length - end)), disc((0.0, 0.0, end - length))
        parts = (Part("cylinder", (rod, rod, length - 2 * end)), *ends)
        return ObjectShape("dumbbell", (width, width, length), color, parts=parts)
    inner = 2 * thick - width
    outlines = {
        "L": ((-width, inner, -length, length), (inner, width, -length, 2 * thick - length)),
        "T": ((-thick, thick, -length, length - 2 * thick), (-width, width, length - 2 * thick, length)),
        "cross": ((-thick, thick, -length, length), (-width, -thick, -thick, thick), (thick, width, -thick, thick)),
    }
    first, *others = outlines[kind]
    bars = (_bar(height, *first), *(_bar(height - STEP, *outline) for outline in others))
    return ObjectShape("compound", (width, length, height), color, parts=bars)


def _hollow(rng: np.random.Generator, color: Triple, width: float, length: float, height: float) -> ObjectShape:
    """A cup or a tube, round or square."""
    scale = min(1.0, LARGEST_HOLLOW / width)
    width, length, wall = scale * width, scale * length, rng.uniform(0.0015, 0.0025)  # half of a wall's thickness
    square, closed = rng.random() < 0.4, rng.random() < 0.6
    deep = height if square else length
    floor, raised = (0.0, 0.0, wall - deep), deep - STEP
    if square:
        inner, tall = width - 2 * wall, raised if closed else deep
        long = (Part("box", (wall, length, tall), (side * (width - wall), 0.0, 0.0)) for side in (-1, 1))
        short = (Part("box", (inner, wall, raised), (0.0, side * (length - wall), 0.0)) for side in (-1, 1))
        parts = (*long, *short, Part("box", (inner, length - 2 * wall, wall), floor, shade=0.8))
    else:
        turns, reach = np.arange(RING_SIDES) * 2 * np.pi / RING_SIDES, width - wall
        walls = tuple(
            Part(
                "box",
                (wall, width * np.tan(np.pi / RING_SIDES), raised if closed or index % 2 else deep),
                (reach * np.cos(turn), reach * np.sin(turn), 0.0),
                yaw=float(turn),
            )
            for index, turn in enumerate(turns)
        )
        parts = (*walls, Part("cylinder", (reach, reach, wall), floor, shade=0.8))
    half = (width, length, deep) if square else (width, width, deep)
    return ObjectShape("tray" if square else "ring", half, color, parts=parts if closed else parts[:-1])


SHAPED: dict[str, Callable[..., ObjectShape]] = {"compounds": _compound, "hollow": _hollow}


def _bar(height: float, left: float, right: float, low: float, high: float) -> Part:
    """The box between those x and y, and `height` [m] up and down."""
    half = ((right - left) / 2, (high - low) / 2, height)
    return Part("box", half, ((left + right) / 2, (low + high) / 2, 0.0))


def _hull(rng: np.random.Generator, family: Family, name: str) -> Hull:
    """Of a polygon at the bottom and another one at the top."""
    width, length, _ = _proportions(rng, family)
    half = np.array([width, length, rng.uniform(0.014, 0.024)])
    rims = []
    for z, most in ((-1.0, 4), (1.0, 7)):  # MuJoCo lets a mesh stand on four points; on others of more it would rock
        corners = rng.integers(4, most + 1)
        angles = 2 * np.pi * (np.arange(corners) + rng.uniform(-0.25, 0.25, corners) + rng.random()) / corners
        reach = rng.uniform(0.6, 1.0)
        rims.append(np.stack([reach * np.cos(angles), reach * np.sin(angles), np.full(corners, z)], axis=1))
    points = np.concatenate(rims)
    low, high = points.min(axis=0), points.max(axis=0)
    vertices = (2 * (points - low) / (high - low) - 1) * half
    return Hull(name, (width, length, float(half[2])), vertices)
