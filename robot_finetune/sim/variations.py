"""Variations of a cell: what has changed since the robot was trained (section 4 of the paper; design of
config/variations)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from robot_finetune.config import ConfigError, from_yaml, resolve, setting

RGB = tuple[float, float, float]


@dataclass(frozen=True)
class Floor:
    pattern: str = setting(
        "plain",
        "plain; a checkerboard of `color` and `color2`; mottled by soft spots or patched by sharp ones of both",
        choices=("plain", "checkerboard", "mottled", "patched"),
    )
    color: RGB = setting((0.55, 0.5, 0.42), "colour of the bin's floor", low=0.0, high=1.0)
    color2: RGB = setting((0.05, 0.05, 0.05), "second colour of the pattern", low=0.0, high=1.0)
    square: float = setting(0.03, "edge of one square, spot or patch", unit="m", low=0.005, high=0.2)
    seed: int = setting(0, "of spots and patches", low=0)


@dataclass(frozen=True)
class Light:
    direction: tuple[float, float, float] = setting((-0.2, 0.2, -1.0), "direction in which the main light shines")
    intensity: float = setting(0.6, "diffuse strength of the main light", low=0.0, high=2.0)
    ambient: float = setting(0.45, "strength of the even light", low=0.0, high=1.0)
    shadows: bool = setting(False, "whether the main light casts hard shadows (slow)")
    color: RGB = setting((1.0, 1.0, 1.0), "colour of the lamps", low=0.0, high=1.0)
    second: float = setting(0.0, "strength of a second lamp beside the main one's", low=0.0, high=2.0)
    second_direction: tuple[float, float, float] = setting((0.3, -0.6, -1.0), "direction in which it shines")


@dataclass(frozen=True)
class Kinds:
    """Parts of the varied objects; what they leave are boxes, cylinders, capsules and ellipsoids."""

    compounds: float = setting(0.0, "L, T and cross from bars, dumbbells", low=0.0, high=1.0)
    hulls: float = setting(0.0, "convex polyhedra", low=0.0, high=1.0)
    thin: float = setting(0.0, "plates and pens", low=0.0, high=1.0)
    hollow: float = setting(0.0, "cups, tubes, trays and frames", low=0.0, high=1.0)

    def __post_init__(self) -> None:
        if self.total > 1.0 + 1e-9:
            raise ConfigError(f"{' + '.join(vars(self))} = {self.total:g}: allowed are parts of one whole, at most 1")

    @property
    def total(self) -> float:
        """The part of all kinds together."""
        return self.compounds + self.hulls + self.thin + self.hollow


@dataclass(frozen=True)
class Objects:
    family: str = setting(
        "mixed",
        "mixed simple shapes, bottles, or shapes as in `kinds`",
        choices=("mixed", "bottles", "compounds", "hulls", "thin", "hollow"),
    )
    count: int = setting(5, "objects in the bin", low=1, high=12)
    alpha: float = setting(1.0, "opacity", low=0.05, high=1.0)
    friction: float = setting(0.9, "sliding friction", low=0.1, high=3.0)
    varied: float = setting(0.0, "part of those of training that is of more builds and any colour", low=0.0, high=1.0)
    kinds: Kinds = setting(Kinds)
    seed: int = setting(0, "of the polyhedra that there are", low=0)


@dataclass(frozen=True)
class CameraShift:
    offset: tuple[float, float, float] = setting(
        (0.0, 0.0, 0.0), "displacement of the camera from its calibrated pose", unit="m", low=-0.3, high=0.3
    )
    turn: tuple[float, float, float] = setting(
        (0.0, 0.0, 0.0), "turn about its own axes (right, up, back)", unit="degrees", low=-20.0, high=20.0
    )
    zoom: float = setting(1.0, "focal length beside the calibrated one", low=0.5, high=2.0)


@dataclass(frozen=True)
class Imaging:
    """What the camera adds to the scene, in this order. Noise is drawn anew for each image."""

    defocus: float = setting(
        0.0, "standard deviation of the blur of a lens out of focus", unit="image heights", low=0.0, high=0.05
    )
    motion: float = setting(0.0, "length of the streaks of a moving camera", unit="image heights", low=0.0, high=0.2)
    motion_angle: float = setting(0.0, "of the streaks to the image's rows", unit="degrees", low=-180.0, high=180.0)
    exposure: float = setting(1.0, "factor of all brightness", low=0.1, high=4.0)
    balance: RGB = setting((1.0, 1.0, 1.0), "factors of the colours (white balance)", low=0.2, high=3.0)
    shot: float = setting(
        0.0,
        "standard deviation of the noise of light at full brightness; it falls with its root",
        unit="grey levels",
        low=0.0,
        high=60.0,
    )
    read: float = setting(0.0, "standard deviation of the sensor's noise", unit="grey levels", low=0.0, high=60.0)
    jpeg: int = setting(0, "JPEG quality of 1 to 100; 0 is no compression", low=0, high=100)


@dataclass(frozen=True)
class Tints:
    """Colours by which those of the cell's parts are multiplied."""

    table: RGB = setting((1.0, 1.0, 1.0), "of the table", low=0.0, high=3.0)
    bin: RGB = setting((1.0, 1.0, 1.0), "of the bin's walls", low=0.0, high=3.0)
    gripper: RGB = setting((1.0, 1.0, 1.0), "of gripper and fingers", low=0.0, high=3.0)


@dataclass(frozen=True)
class Scene:
    floor: Floor = setting(Floor)
    light: Light = setting(Light)
    objects: Objects = setting(Objects)
    camera: CameraShift = setting(CameraShift)
    tints: Tints = setting(Tints)
    image: Imaging = setting(Imaging)


@dataclass(frozen=True)
class GripperChange:
    extension_m: float = setting(
        0.0, "the fingers are longer by this; the controller is not told", unit="m", low=0.0, high=0.05
    )
    offset_m: float = setting(
        0.0,
        "the gripper is mounted this far to the side (tool y axis); the controller is not told",
        unit="m",
        low=-0.15,
        high=0.15,
    )
    finger_width: float = setting(1.0, "of the fingers, beside the usual one", low=0.5, high=1.5)
    finger_thickness: float = setting(1.0, "of the fingers, away from each other", low=0.5, high=1.5)


@dataclass(frozen=True)
class Variation:
    """One state of the cell. Everything left out is as in the base scene."""

    name: str = setting("base", "name in logs and reports")
    description: str = setting("", "what is different, in one sentence")
    scene: Scene = setting(Scene)
    gripper: GripperChange = setting(GripperChange)
    operator_note: str = setting("", "what a person changes on a real cell")


def load_variation(name: str | Path = "base") -> Variation:
    """The variation of a name in config/variations or of a path. Raises ConfigError."""
    return from_yaml(Variation, resolve("variations", name))
