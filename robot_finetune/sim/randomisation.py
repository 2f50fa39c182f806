"""Scene randomisation for pre-training: how a cell wanders from day to day, and how cells differ from each other.

As domain randomisation (Tobin et al. 2017): what a policy has seen in many looks it recognises in one more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from robot_finetune.config import ConfigError, setting
from robot_finetune.robot.profile import CameraConfig, RobotProfile
from robot_finetune.sim.appearance import bin_in_view
from robot_finetune.sim.variations import (
    RGB,
    CameraShift,
    Floor,
    GripperChange,
    Imaging,
    Kinds,
    Light,
    Scene,
    Tints,
    Variation,
)

LOWEST_LAMP = -0.3  # of a lamp's direction, downwards
LEAST_IN_VIEW = 0.85  # of what the calibrated camera shows of the bin's floor
TRIES = 50


@dataclass(frozen=True)
class ImageFaults:
    """What is wrong with the camera's images. The largest values are of days on which there is any; all up to them are
    as likely. Noise is that of the network's small image: averaged over the pixels of a real one it is a seventh."""

    exposure: float = setting(0.1, "relative, of the exposure", low=0.0, high=1.0)
    balance: float = setting(0.05, "relative, of each colour's part in the white balance", low=0.0, high=1.0)
    noisy: float = setting(0.3, "part on which images are noisy", low=0.0, high=1.0)
    shot: float = setting(3.0, "largest noise of light at full brightness", unit="grey levels", low=0.0, high=60.0)
    read: float = setting(2.0, "largest noise of the sensor", unit="grey levels", low=0.0, high=60.0)
    blurred: float = setting(0.3, "part on which they are out of focus", low=0.0, high=1.0)
    defocus: float = setting(0.006, "largest blur", unit="image heights", low=0.0, high=0.05)
    shaken: float = setting(0.15, "part on which the camera shakes in one direction", low=0.0, high=1.0)
    motion: float = setting(0.02, "longest streaks", unit="image heights", low=0.0, high=0.2)
    compressed: float = setting(0.3, "part on which they come as JPEG", low=0.0, high=1.0)
    jpeg: int = setting(50, "lowest quality", low=1, high=100)


@dataclass(frozen=True)
class Randomisation:
    """How much of what, at strength 1. Spreads are standard deviations; parts are of the days."""

    mount: float = setting(0.01, "of the gripper's mounting, sideways", unit="m", low=0.0, high=0.05)
    length: float = setting(0.005, "of the fingers' length; they are never shorter", unit="m", low=0.0, high=0.02)
    friction: float = setting(0.2, "relative, of the objects", low=0.0, high=1.0)
    color: float = setting(0.12, "of the colours of floor and lamps", low=0.0, high=1.0)
    tint: float = setting(0.35, "of the colours of table, bin and gripper", low=0.0, high=1.0)
    light: float = setting(0.35, "relative, of the strength of lamp and even light", low=0.0, high=1.0)
    direction: float = setting(0.4, "of the lamp's direction", low=0.0, high=2.0)
    shadows: float = setting(0.15, "part on which the lamp casts shadows", low=0.0, high=1.0)
    second: float = setting(0.3, "part on which there is a second lamp", low=0.0, high=1.0)
    hard: float = setting(0.2, "part on which a strong lamp shines from a side, and little else", low=0.0, high=1.0)
    painted: float = setting(0.4, "part on which the floor has any colour at all", low=0.0, high=1.0)
    patterned: float = setting(0.6, "part on which it is mottled, or patched with scraps", low=0.0, high=1.0)
    contrast: float = setting(0.0, "part of those floors that are of a bright and a dark colour", low=0.0, high=1.0)
    pattern: tuple[float, float] = setting((0.01, 0.06), "smallest and largest spots and patches", unit="m", low=0.005)
    camera: float = setting(0.004, "of the camera's position", unit="m", low=0.0, high=0.15)
    turn: float = setting(0.4, "of the camera's turn about each axis", unit="degrees", low=0.0, high=15.0)
    elsewhere: float = setting(
        0.0, "part on which the camera stands elsewhere about the bin, and policies are told where", low=0.0, high=1.0
    )
    azimuth: float = setting(60.0, "how far to either side then, at most", unit="degrees", low=0.0, high=180.0)
    elevation: tuple[float, float] = setting(
        (35.0, 80.0), "least and greatest height above the horizon then", unit="degrees", low=5.0, high=89.0
    )
    zoom: float = setting(0.01, "relative, of its focal length", low=0.0, high=0.2)
    varied: float = setting(0.5, "part of the objects of more builds and any colour", low=0.0, high=1.0)
    translucent: float = setting(0.2, "part on which the objects are see-through", low=0.0, high=1.0)
    kinds: Kinds = setting(Kinds(compounds=0.15, hulls=0.15, thin=0.1, hollow=0.1))
    crowd: int = setting(2, "most objects more, or less", low=0, high=4)
    finger: float = setting(0.08, "relative, of the fingers' width and thickness", low=0.0, high=0.5)
    image: ImageFaults = setting(ImageFaults)


def place_camera(
    profile: RobotProfile, rng: np.random.Generator, strength: float = 1.0, config: Randomisation = Randomisation()
) -> CameraConfig:
    """The calibrated camera of a day: the profile's, or one that looks at the bin from another side, from nearer or
    farther, and sees it about as large. Raises ConfigError where hardly any sees the whole bin."""
    camera, center = profile.camera, np.array([*profile.bin_center, profile.floor_z])
    if not config.elsewhere or rng.random() >= config.elsewhere * strength:
        return camera
    towards = np.array(camera.position) - center
    least = LEAST_IN_VIEW * max(0.5, bin_in_view(profile, CameraShift()))
    for _ in range(TRIES):
        azimuth = np.arctan2(towards[1], towards[0]) + np.radians(rng.uniform(-config.azimuth, config.azimuth))
        elevation, nearer = np.radians(rng.uniform(*config.elevation)), rng.uniform(0.75, 1.25)
        across = np.cos(elevation) * np.array([np.cos(azimuth), np.sin(azimuth)])
        moved = replace(
            camera,
            position=_triple(center + nearer * np.linalg.norm(towards) * np.array([*across, np.sin(elevation)])),
            target=_triple(center + 0.03 * rng.standard_normal(3)),
            focal=float(camera.focal * nearer * rng.uniform(0.8, 1.15)),
        )
        if bin_in_view(replace(profile, camera=moved), CameraShift()) >= least:
            return moved
    raise ConfigError(
        f"randomisation: azimuth = {config.azimuth}, elevation = {config.elevation}: the bin is hardly ever in the "
        "view of the policy; allowed are smaller ones, and a crop in the middle of the image"
    )


def randomise_in_view(
    profile: RobotProfile,
    variation: Variation,
    rng: np.random.Generator,
    strength: float = 1.0,
    patterns: bool = True,
    config: Randomisation = Randomisation(),
) -> Variation:
    """As `randomise`; a scene whose camera has lost sight of a part of the bin is drawn again. Raises ConfigError where
    hardly any has not."""
    least = LEAST_IN_VIEW * bin_in_view(profile, variation.scene.camera)
    for _ in range(TRIES):
        changed = randomise(variation, rng, strength, patterns, config)
        if bin_in_view(profile, changed.scene.camera) >= least:
            return changed
    raise ConfigError(
        f"randomisation: camera = {config.camera}, turn = {config.turn}, zoom = {config.zoom} at strength {strength}: "
        "the bin is hardly ever in view; allowed are smaller ones"
    )


def randomise(
    variation: Variation,
    rng: np.random.Generator,
    strength: float = 1.0,
    patterns: bool = True,
    config: Randomisation = Randomisation(),
) -> Variation:
    """A copy of `variation` in which everything wanders. strength scales all of `config`; 0 changes nothing.

    patterns: floors have patterns as well."""
    if not strength:
        return variation
    wander = _Wander(rng, strength, config)
    scene = variation.scene
    return replace(
        variation,
        scene=Scene(
            floor=wander.floor(scene.floor, patterns),
            light=wander.light(scene.light),
            objects=replace(
                scene.objects,
                friction=wander.relative(scene.objects.friction, config.friction, 0.1, 3.0),
                count=wander.count(scene.objects.count, config.crowd),
                varied=min(1.0, max(scene.objects.varied, strength * config.varied)),
                alpha=wander.opacity(scene.objects.alpha),
                kinds=wander.kinds(scene.objects.kinds),
                seed=wander.seed(),
            ),
            camera=wander.camera(scene.camera),
            tints=Tints(*(wander.tint(color) for color in (scene.tints.table, scene.tints.bin, scene.tints.gripper))),
            image=wander.image(scene.image),
        ),
        gripper=wander.gripper(variation.gripper),
    )


def usual_look(variation: Variation, usual: Variation) -> Variation:
    """The objects, the gripper and the camera of `variation` in the look of `usual`: its floor, light and colours, a
    perfect camera, and objects that are not see-through."""
    scene = variation.scene
    objects = replace(scene.objects, alpha=usual.scene.objects.alpha)
    return replace(variation, scene=replace(usual.scene, objects=objects, camera=scene.camera))


class _Wander:
    """Draws from `config` at `strength`."""

    def __init__(self, rng: np.random.Generator, strength: float, config: Randomisation) -> None:
        self._rng, self._strength, self._config = rng, strength, config

    def happens(self, part: float) -> bool:
        return bool(self._rng.random() < part * self._strength)

    def spread(self, deviation: float, *shape: int) -> np.ndarray:
        """Normal deviates, cut at three."""
        return self._strength * deviation * np.clip(self._rng.standard_normal(shape), -3.0, 3.0)

    def relative(self, value: float, deviation: float, low: float, high: float) -> float:
        return float(np.clip(value * np.clip(1 + self.spread(deviation), 0.2, 2.0), low, high))

    def count(self, value: int, most: int) -> int:
        most = round(self._strength * most)
        return int(np.clip(value + self._rng.integers(-most, most + 1), 1, 12))

    def opacity(self, alpha: float) -> float:
        return max(0.05, alpha * (self._rng.uniform(0.25, 0.8) if self.happens(self._config.translucent) else 1.0))

    def color(self, color: RGB) -> RGB:
        return _triple(np.clip(np.array(color) + self.spread(self._config.color, 3), 0.0, 1.0))

    def tint(self, tint: RGB) -> RGB:
        """Lighter or darker as a whole, and a little more of one colour."""
        spread = self._config.tint
        return _triple(np.clip(np.array(tint) * (1 + self.spread(spread)) * (1 + self.spread(spread / 2, 3)), 0.2, 3.0))

    def floor(self, floor: Floor, patterns: bool) -> Floor:
        """Floors that a variation has given a pattern keep it."""
        config, rng = self._config, self._rng
        floor = replace(floor, color=self.color(floor.color))
        if floor.pattern != "plain":
            return floor
        if self.happens(config.painted):
            floor = replace(floor, color=_triple(rng.random(3)))
        if patterns and self.happens(config.patterned):
            pattern = "mottled" if rng.random() < 0.5 else "patched"
            size, seed = rng.uniform(*config.pattern), self.seed()
            floor = replace(floor, pattern=pattern, color2=_triple(rng.random(3)), square=size, seed=seed)
            if config.contrast and self.happens(config.contrast):
                bright, dark = _triple(rng.uniform(0.65, 1.0, 3)), _triple(rng.uniform(0.0, 0.25, 3))
                pair = (bright, dark) if rng.random() < 0.5 else (dark, bright)
                floor = replace(floor, color=pair[0], color2=pair[1])
        return floor

    def light(self, light: Light) -> Light:
        config, rng = self._config, self._rng
        x, y, z = np.array(light.direction) + self.spread(config.direction, 3)
        light = replace(
            light,
            direction=(float(x), float(y), float(min(z, LOWEST_LAMP))),
            intensity=self.relative(light.intensity, config.light, 0.0, 2.0),
            ambient=self.relative(light.ambient, config.light, 0.0, 1.0),
            shadows=light.shadows or self.happens(config.shadows),
            color=self.color(light.color),
        )
        if self.happens(config.second):
            light = replace(light, second=rng.uniform(0.2, 0.8), second_direction=(*_side(rng), -1.0))
        if self.happens(config.hard):
            low, ambient, intensity = -rng.uniform(0.65, 1.5), rng.uniform(0.1, 0.3), rng.uniform(0.8, 1.4)
            direction = (*_side(rng), low)
            light = replace(light, direction=direction, intensity=intensity, ambient=ambient, shadows=True)
        return light

    def camera(self, camera: CameraShift) -> CameraShift:
        config = self._config
        return CameraShift(
            offset=_triple(np.clip(np.array(camera.offset) + self.spread(config.camera, 3), -0.3, 0.3)),
            turn=_triple(np.clip(np.array(camera.turn) + self.spread(config.turn, 3), -20.0, 20.0)),
            zoom=self.relative(camera.zoom, config.zoom, 0.5, 2.0),
        )

    def kinds(self, kinds: Kinds) -> Kinds:
        """A variation that says which there are keeps them."""
        if kinds.total:
            return kinds
        share = min(1.0, self._strength)
        return Kinds(**{name: share * part for name, part in vars(self._config.kinds).items()})

    def seed(self) -> int:
        return int(self._rng.integers(2**31))

    def image(self, image: Imaging) -> Imaging:
        """What is wrong with it already stays as wrong at least."""
        faults, rng = self._config.image, self._rng
        image = replace(
            image,
            exposure=self.relative(image.exposure, faults.exposure, 0.1, 4.0),
            balance=_triple(np.clip(np.array(image.balance) * (1 + self.spread(faults.balance, 3)), 0.2, 3.0)),
        )
        if self.happens(faults.noisy):
            image = replace(
                image, shot=self.up_to(faults.shot, image.shot, 60.0), read=self.up_to(faults.read, image.read, 60.0)
            )
        if self.happens(faults.blurred):
            image = replace(image, defocus=self.up_to(faults.defocus, image.defocus, 0.05))
        if self.happens(faults.shaken):
            angle = rng.uniform(-180.0, 180.0)
            image = replace(image, motion=self.up_to(faults.motion, image.motion, 0.2), motion_angle=angle)
        if self.happens(faults.compressed):
            image = replace(image, jpeg=min(image.jpeg or 100, int(rng.integers(faults.jpeg, 101))))
        return image

    def up_to(self, largest: float, least: float, limit: float) -> float:
        return min(max(least, self._strength * largest * self._rng.random()), limit)

    def gripper(self, gripper: GripperChange) -> GripperChange:
        config = self._config
        offset = gripper.offset_m + np.clip(self.spread(config.mount), -0.03, 0.03)
        longer = abs(float(self.spread(config.length)))
        return GripperChange(
            offset_m=float(np.clip(offset, -0.15, 0.15)),
            extension_m=float(min(gripper.extension_m + longer, 0.05)),
            finger_width=self.relative(gripper.finger_width, config.finger, 0.5, 1.5),
            finger_thickness=self.relative(gripper.finger_thickness, config.finger, 0.5, 1.5),
        )


def _side(rng: np.random.Generator) -> tuple[float, float]:
    """A horizontal direction."""
    angle = rng.uniform(-np.pi, np.pi)
    return float(np.cos(angle)), float(np.sin(angle))


def _triple(values: np.ndarray) -> tuple[float, float, float]:
    x, y, z = values.tolist()
    return x, y, z
