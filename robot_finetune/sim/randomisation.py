"""Scene randomisation for pre-training: the wander of a real cell from day to day (light, colours, mounting
tolerances)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from robot_finetune.sim.variations import RGB, Variation

MOUNT_TOLERANCE = 0.01  # [m] standard deviation of the gripper's mounting, sideways
LENGTH_TOLERANCE = 0.005  # [m] standard deviation of the fingers' length; they are never shorter than they should be
FRICTION_TOLERANCE = 0.2  # relative
LIGHT_TOLERANCE = 0.35  # relative
LIGHT_DIRECTION_TOLERANCE = 0.4
SHADED = 0.3  # part of the days on which the main light casts shadows
COLOR_TOLERANCE = 0.12
MOTTLED = 0.6  # part of the floors that are worn or stained
SPOT = (0.01, 0.06)  # [m] smallest and largest size of their spots


def randomise(variation: Variation, rng: np.random.Generator, strength: float = 1.0, floors: bool = True) -> Variation:
    """A copy of `variation` with wandering light, colours, friction and gripper. strength scales all of them.

    floors: most floors are mottled as well."""

    def relative(tolerance: float) -> float:
        return float(np.clip(1 + strength * tolerance * rng.standard_normal(), 0.2, 2.0))

    def wander(color: RGB) -> RGB:
        red, green, blue = np.clip(np.array(color) + strength * COLOR_TOLERANCE * rng.standard_normal(3), 0, 1)
        return float(red), float(green), float(blue)

    scene, gripper = variation.scene, variation.gripper
    floor = replace(scene.floor, color=wander(scene.floor.color))
    if floors and floor.pattern == "plain" and rng.random() < MOTTLED * strength:
        red, green, blue = rng.random(3)
        size, seed = rng.uniform(*SPOT), int(rng.integers(2**31))
        floor = replace(floor, pattern="mottled", color2=(red, green, blue), square=size, seed=seed)
    direction = np.array(scene.light.direction) + strength * LIGHT_DIRECTION_TOLERANCE * rng.standard_normal(3)
    light = replace(
        scene.light,
        direction=tuple(direction.tolist()),
        intensity=min(2.0, scene.light.intensity * relative(LIGHT_TOLERANCE)),
        ambient=min(1.0, scene.light.ambient * relative(LIGHT_TOLERANCE)),
        shadows=scene.light.shadows or rng.random() < SHADED * strength,
        color=wander(scene.light.color),
    )
    friction = float(np.clip(scene.objects.friction * relative(FRICTION_TOLERANCE), 0.1, 3.0))
    offset = gripper.offset_m + float(np.clip(strength * MOUNT_TOLERANCE * rng.standard_normal(), -0.03, 0.03))
    longer = abs(strength * LENGTH_TOLERANCE * rng.standard_normal())
    return replace(
        variation,
        scene=replace(scene, floor=floor, light=light, objects=replace(scene.objects, friction=friction)),
        gripper=replace(
            gripper,
            offset_m=float(np.clip(offset, -0.15, 0.15)),
            extension_m=min(gripper.extension_m + longer, 0.05),
        ),
    )
