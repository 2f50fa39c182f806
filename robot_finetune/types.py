"""The nouns of the method: observation, action, step, episode and grasp outcome.

Frames and units: poses are `(x, y, z, yaw)` of the tool centre point, in metres and radians, in the robot's base frame,
with the tool pointing straight down. Actions are normalised to [-1, 1] in the order of QT-Opt's action vector.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

ACTION_SIZE = 8
CELL_SIZE = 19
"""Numbers that say how a cell is built, for a network: see learning/networks/interface.py."""
TRANSLATION = slice(0, 3)
ROTATION = slice(3, 5)
OPEN, CLOSE, TERMINATE = 5, 6, 7
EXPLORE, EVALUATE, SCRIPTED, DEMONSTRATE = "explore", "evaluate", "scripted", "demonstrate"
MODES = (EXPLORE, EVALUATE, SCRIPTED, DEMONSTRATE)
"""What an episode is for; see `Episode`."""
AUTO = "auto"
"""Asked of the policy instead of a mode: explore when success has fallen, else evaluate."""
WISHES = (*MODES, AUTO)
LEARNING = (EXPLORE, SCRIPTED, DEMONSTRATE)
"""Modes whose episodes may be learned from."""
NO_TRIAL, INCUMBENT, CANDIDATE = "no_trial", "incumbent", "candidate"
SIDES = (NO_TRIAL, INCUMBENT, CANDIDATE)
"""Of the trial of a version, which a decision was made for."""
MOST_STEPS = 100
"""Decisions that an episode has at most."""
LARGEST_IMAGE = 1024
"""Largest edge of an observation [px]."""


def tool_quaternion(yaw: float) -> tuple[float, float, float, float]:
    """(x, y, z, w) of the tool frame in the base frame: z straight down, x at `yaw` [rad] from the base frame's x."""
    return math.cos(yaw / 2), math.sin(yaw / 2), 0.0, 0.0


def yaw_of(x: float, y: float, z: float, w: float) -> float:
    """The yaw [rad] in a `tool_quaternion`. Raises ValueError for a tool that does not point straight down."""
    if not (abs(math.hypot(x, y) - 1.0) < 1e-3 and math.hypot(z, w) < 1e-3):  # nor is NaN
        raise ValueError("a tool that does not point straight down")
    yaw = 2 * math.atan2(y, x)
    return yaw - math.copysign(2 * math.pi, yaw) if abs(yaw) > math.pi else yaw


@dataclass(frozen=True)
class Observation:
    """What the Q-function sees before it acts.

    image: uint8 RGB of shape (size, size, 3), out of `perception.preprocess`.
    pose: float64 (4,), x, y, z [m] and yaw [rad] of the tool centre point in the base frame.
    opening: gripper opening, 0 closed to 1 open.
    step: index of this step in its episode, from 0.
    stamp: time of the image [s, the robot's clock].
    """

    image: np.ndarray
    pose: np.ndarray
    opening: float
    step: int
    stamp: float = 0.0


@dataclass(frozen=True)
class Action:
    """A gripper action, normalised: float32 (8,) = dx, dy, dz, sin(yaw change), cos(yaw change), open, close,
    terminate.

    Translations are in the base frame, as fractions of the largest step of the action space; sine and cosine are
    those of the yaw change itself. The three switches are on when positive. A closing or terminating action carries no
    displacement.
    """

    vector: np.ndarray

    @staticmethod
    def move(translation: Sequence[float], yaw_change: float) -> Action:
        """A displacement: translation (3,) in [-1, 1], yaw change in radians."""
        switches = (-1.0, -1.0, -1.0)
        return Action(np.array([*translation, np.sin(yaw_change), np.cos(yaw_change), *switches], np.float32))

    @staticmethod
    def close() -> Action:
        """Close the gripper where it is, which ends the approach."""
        return Action(np.array([0, 0, 0, 0, 1, -1, 1, 1], np.float32))

    @property
    def translation(self) -> np.ndarray:
        return self.vector[TRANSLATION]

    @property
    def yaw_change(self) -> float:
        return float(np.arctan2(self.vector[3], self.vector[4]))

    @property
    def closes(self) -> bool:
        return bool(self.vector[CLOSE] > 0)

    @property
    def terminates(self) -> bool:
        return bool(self.vector[TERMINATE] > 0)


class Samples(NamedTuple):
    """Candidates of the search for an action: vectors float32 (n, 8) as in `Action`, and their values (n,)."""

    actions: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class Step:
    """One decision: what was seen, what was asked, what was really commanded, and what chose it.

    q: value of the asked action under the acting Q-function (nan for a scripted policy or a person).
    joint_positions: measured arm joints [rad] when the image was taken (may be empty).
    side: of the trial of a version, one of SIDES.
    intervention: whether a person acted instead of the policy.
    """

    observation: Observation
    asked: Action
    commanded: Action
    q: float = float("nan")
    policy_version: int = 0
    joint_positions: tuple[float, ...] = ()
    side: str = NO_TRIAL
    intervention: bool = False


@dataclass(frozen=True)
class GraspOutcome:
    """Judgement of one grasp. confidence: 0.5 (a guess) to 1. evidence: named measurements behind it.

    Raises ValueError for what is no judgement: a confidence that is none, evidence that is not finite.
    """

    success: bool
    confidence: float = 1.0
    contradiction: bool = False
    evidence: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0.0 <= self.confidence <= 1.0:  # nor is NaN
            raise ValueError(f"a judgement with confidence {self.confidence}: allowed is 0 to 1")
        unsound = [name for name, value in self.evidence.items() if not math.isfinite(value)]
        if unsound:
            raise ValueError(f"a judgement by evidence that is not finite: {', '.join(unsound)[:200]}")


@dataclass(frozen=True)
class Episode:
    """One grasp attempt, from the first observation to its judgement.

    mode: "explore" (may be learned from), "scripted" (likewise, of a policy without a network), "demonstrate"
    (likewise, of a person) or "evaluate" (measures a policy, never trained on).
    end_reason: closed, terminated, step_limit, blocked, or another reason that a motion gave.
    """

    episode_id: str
    steps: tuple[Step, ...]
    outcome: GraspOutcome
    variation: str = "base"
    mode: str = "explore"
    end_reason: str = "closed"
    stamp: float = 0.0
    meta: dict[str, Any] = field(default_factory=dict)

    @property
    def reward(self) -> float:
        return float(self.outcome.success)

    @property
    def interventions(self) -> int:
        """Steps in which a person acted."""
        return sum(step.intervention for step in self.steps)

    @property
    def policy_version(self) -> int:
        return self.steps[-1].policy_version if self.steps else 0
