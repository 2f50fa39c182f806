"""The steps of an episode as arrays, one row a step, as transitions, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import cv2
import numpy as np

from robot_finetune.types import (
    ACTION_SIZE,
    LARGEST_IMAGE,
    MOST_STEPS,
    NO_TRIAL,
    SIDES,
    Action,
    Episode,
    Observation,
    Step,
)


class Found(NamedTuple):
    """A grasp out of another format: what is said of it as a whole, and its arrays, named as by `step_arrays`."""

    said: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]


def step_arrays(episode: Episode) -> dict[str, np.ndarray]:
    """images uint8 (n, size, size, 3), poses (n, 4) [m, rad, base frame], openings, steps, stamps [s], q,
    policy_versions (n,), asked, commanded (n, 8), joint_positions (n, joints) [rad; nan where not measured], sides
    (n,) text, interventions (n,) bool: whether a person acted."""
    steps = episode.steps
    seen = [step.observation for step in steps]
    joints = np.full((len(steps), max((len(step.joint_positions) for step in steps), default=0)), np.nan)
    for line, step in zip(joints, steps, strict=True):
        line[: len(step.joint_positions)] = step.joint_positions
    return {
        "images": np.array([item.image for item in seen], np.uint8),
        "poses": np.array([item.pose for item in seen], np.float64),
        "openings": np.array([item.opening for item in seen], np.float32),
        "steps": np.array([item.step for item in seen], np.int64),
        "stamps": np.array([item.stamp for item in seen], np.float64),
        "asked": np.array([step.asked.vector for step in steps], np.float32),
        "commanded": np.array([step.commanded.vector for step in steps], np.float32),
        "q": np.array([step.q for step in steps], np.float32),
        "policy_versions": np.array([step.policy_version for step in steps], np.int64),
        "joint_positions": joints,
        "sides": np.array([step.side for step in steps], np.str_),
        "interventions": np.array([step.intervention for step in steps], bool),
    }


def steps_of(arrays: Mapping[str, np.ndarray], policy_version: int = 0) -> tuple[Step, ...]:
    """The steps that `step_arrays` made arrays of. images, poses, openings and commanded have to be there; the others
    have a value where they are missing, policy_versions the one given.

    Raises ValueError for arrays that no robot can have logged, in one line that says what is wrong.
    """
    needed = [name for name in ("images", "poses", "openings", "commanded") if name not in arrays]
    if needed:
        raise ValueError(f"missing: {', '.join(needed)}")
    count = len(arrays["images"])
    if not 0 < count <= MOST_STEPS:
        raise ValueError(f"{count} steps: allowed are 1 to {MOST_STEPS}")
    unsaid: dict[str, Any] = {
        "asked": arrays["commanded"],
        "steps": np.arange(count),
        "stamps": np.arange(count, dtype=np.float64),
        "q": np.full(count, np.nan),
        "policy_versions": np.full(count, policy_version),
        "joint_positions": np.empty((count, 0)),
        "sides": np.full(count, NO_TRIAL),
        "interventions": np.zeros(count, bool),
    }
    given = {name: np.asarray(value) for name, value in {**unsaid, **arrays}.items()}
    _check(given, count)
    return tuple(_step_of({name: value[index] for name, value in given.items()}) for index in range(count))


_SHAPES: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("openings", "steps", "stamps", "q", "policy_versions"), ()),
    **dict.fromkeys(("asked", "commanded"), (ACTION_SIZE,)),
    "poses": (4,),
}
"""Of a step, in the arrays of numbers."""
_RANGES = {"openings": (0.0, 1.0), "commanded": (-1.0, 1.0), "steps": (0, MOST_STEPS - 1)}
_CLOSE = 1e-6


def _check(given: Mapping[str, np.ndarray], count: int) -> None:
    images, joints = given["images"], given["joint_positions"]
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] != images.shape[2] or images.shape[3] != 3:
        raise ValueError(f"images: {images.dtype} {images.shape}, wanted are square ones: uint8 (n, size, size, 3)")
    if not 0 < images.shape[1] <= LARGEST_IMAGE:
        raise ValueError(f"images: {images.shape[1]} px, allowed are 1 to {LARGEST_IMAGE}")
    for name, shape in {**_SHAPES, "joint_positions": joints.shape[1:2]}.items():
        value = given[name]
        if value.shape != (count, *shape) or value.dtype.kind not in "iuf":
            raise ValueError(f"{name}: {value.dtype} {value.shape}, wanted are numbers of shape {(count, *shape)}")
        if name not in ("q", "joint_positions") and not np.isfinite(value).all():
            raise ValueError(f"{name}: holds what is no finite number")
    for name, (low, high) in _RANGES.items():
        least, most = given[name].min(), given[name].max()
        if least < low - _CLOSE or most > high + _CLOSE:
            raise ValueError(f"{name}: {least:.4g} to {most:.4g}, allowed are {low:g} to {high:g}")
    if given["sides"].shape != (count,) or not set(given["sides"].tolist()) <= set(SIDES):
        raise ValueError(f"sides: allowed are {', '.join(SIDES)}, one a step")
    if given["interventions"].shape != (count,):
        raise ValueError("interventions: wanted is one a step")


def _step_of(row: Mapping[str, Any]) -> Step:
    pose, joints = np.asarray(row["poses"], np.float64), row["joint_positions"]
    seen = Observation(row["images"], pose, float(row["openings"]), int(row["steps"]), float(row["stamps"]))
    asked, commanded = (Action(np.asarray(row[name], np.float32)) for name in ("asked", "commanded"))
    measured = tuple(joints.tolist()) if np.isfinite(joints).all() else ()
    of_whom = str(row["sides"]), bool(row["interventions"])
    return Step(seen, asked, commanded, float(row["q"]), int(row["policy_versions"]), measured, *of_whom)


def rewards(episode: Episode) -> np.ndarray:
    """float32 (n,): 0, and the outcome of the grasp at its last step."""
    reward = np.zeros(len(episode.steps), np.float32)
    reward[-1:] = episode.reward
    return reward


def last(episode: Episode) -> np.ndarray:
    """bool (n,): whether a step is the last one."""
    return np.arange(len(episode.steps)) == len(episode.steps) - 1


def to_png(rgb: np.ndarray) -> bytes:
    """An image, uint8 RGB (height, width, 3), as a PNG file: nothing is lost."""
    return bytes(cv2.imencode(".png", np.ascontiguousarray(rgb[..., ::-1]))[1])


def from_png(data: bytes) -> np.ndarray:
    """The image in a PNG or JPEG file, uint8 RGB (height, width, 3). Raises ValueError."""
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if decoded is None:
        raise ValueError("an image that is neither PNG nor JPEG")
    return np.ascontiguousarray(decoded[..., ::-1])
