"""Shapes of rigid objects: what they are made of, how wide they are, what they weigh."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

DENSITY = 400.0  # kg/m3
RING_SIDES = 6  # of a round hollow object
Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Part:
    """A convex piece of an object.

    kind: box, cylinder, capsule, ellipsoid or hull. half: half extents [m] along its own axes; round kinds have their
    axis along z. position: of its centre in the object's frame [m]. yaw: its turn about the object's z [rad]. shade:
    brightness beside the object's colour. mesh: name of a hull's mesh.
    """

    kind: str
    half: Triple
    position: Triple = (0.0, 0.0, 0.0)
    yaw: float = 0.0
    shade: float = 1.0
    mesh: str = ""

    def extent(self, rotation: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """Half widths along unit directions (..., 3) of the world, for the object's (3, 3) rotation and a yaw of 0.

        A hull's are those of the elliptic cylinder around it."""
        local = np.abs(direction @ rotation)
        half = np.array(self.half)
        if self.kind == "box":
            return local @ half
        if self.kind == "ellipsoid":
            return np.sqrt((local**2) @ half**2)
        if self.kind == "hull":
            return np.hypot(half[0] * local[..., 0], half[1] * local[..., 1]) + half[2] * local[..., 2]
        across = np.sqrt(np.maximum(0.0, 1.0 - local[..., 2] ** 2))
        if self.kind == "capsule":
            return half[0] + (half[2] - half[0]) * local[..., 2]
        return half[0] * across + half[2] * local[..., 2]


@dataclass(frozen=True)
class ObjectShape:
    """kind: that of its only part, or bottle, compound (flat), dumbbell, ring (round and hollow) or tray.

    half: half extents [m] along its own axes, of a bottle's body alone and of a ring without its corners. Round kinds
    have their axis along z. neck: (radius, half length) of a bottle's neck beyond +z [m], or zeros. parts: of kinds
    with several. mesh: name of a hull's mesh.
    """

    kind: str
    half: Triple
    color: Triple
    neck: tuple[float, float] = (0.0, 0.0)
    parts: tuple[Part, ...] = ()
    mesh: str = ""

    @property
    def solids(self) -> tuple[Part, ...]:
        """What it is made of."""
        if self.parts:
            return self.parts
        if self.kind != "bottle":
            return (Part(self.kind, self.half, mesh=self.mesh),)
        radius, length = self.neck
        neck = Part("cylinder", (radius, radius, length), (0.0, 0.0, self.half[2] + length), shade=0.6)
        return Part("cylinder", self.half), neck

    @property
    def pieces(self) -> tuple[Part, ...]:
        """What fingers may close around from outside: hollow objects as if they were full, bottles by their body."""
        if self.kind == "ring":
            radius = self.half[0] / np.cos(np.pi / RING_SIDES)
            return (Part("cylinder", (radius, radius, self.half[2])),)
        if self.kind == "tray":
            return (Part("box", self.half),)
        return self.solids[:1] if self.kind == "bottle" else self.solids


def mass_properties(shape: ObjectShape) -> tuple[float, np.ndarray, np.ndarray]:
    """Mass [kg], centre of mass (3,) [m], and moments of inertia (3,) [kg m2] about it along the object's axes (a
    bottle's neck is left out)."""
    parts = shape.parts or shape.solids[:1]
    masses, moments = zip(*(_of_part(part) for part in parts), strict=True)
    mass, places = sum(masses), np.array([part.position for part in parts])
    center = np.array(masses) @ places / mass
    squares = (places - center) ** 2
    apart = np.array(masses) @ (squares.sum(axis=1, keepdims=True) - squares)
    return mass, center, sum(moments) + apart


def _of_part(part: Part) -> tuple[float, np.ndarray]:
    """Mass [kg] and moments of inertia (3,) [kg m2] about its centre, along the object's axes."""
    x, y, z = part.half
    if part.kind == "box":
        mass, squares = 8 * x * y * z * DENSITY, np.array([y * y + z * z, x * x + z * z, x * x + y * y]) / 3
    elif part.kind == "ellipsoid":
        mass, squares = 4 / 3 * np.pi * x * y * z * DENSITY, np.array([y * y + z * z, x * x + z * z, x * x + y * y]) / 5
    else:  # a capsule as the cylinder of its length, a hull as the one around it
        mass = 2 * np.pi * x * y * z * DENSITY
        squares = np.array([y * y / 4 + z * z / 3, x * x / 4 + z * z / 3, (x * x + y * y) / 4])
    along, aside = np.cos(part.yaw) ** 2, np.sin(part.yaw) ** 2
    turned = [along * squares[0] + aside * squares[1], aside * squares[0] + along * squares[1], squares[2]]
    return float(mass), mass * np.array(turned)
