"""What the rest of the code needs of a robot: one Protocol a device, the same for the simulated cell and for an arm.

All poses are `(x, y, z, yaw)` [m, rad] of the tool centre point in the base frame, tool pointing down. All waits are in
the robot's own time (`Clock`), so that a simulation may run faster or slower than the wall clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from robot_finetune.robot.joint_trajectory import JointTrajectory
from robot_finetune.types import NO_TRIAL, Action, GraspOutcome, Observation, Step


class RobotError(RuntimeError):
    """A device does not answer or refuses; the message names the device, the cause and the cure."""


@dataclass(frozen=True)
class MoveResult:
    """pose: where the tool centre point really ended, (4,). reason: "" if the target was reached, else why not.

    unreachable: no joint positions, or no straight path, lead there; nothing moved. collision: the way or its end is
    taken, as far as the planner knows; nothing moved, or the arm stopped before it. blocked: something was in the way;
    the arm stands still. timeout: it did not come to an end. stopped: somebody stopped it.
    """

    pose: np.ndarray
    reason: str = ""

    @property
    def reached(self) -> bool:
        return not self.reason


class Clock(Protocol):
    def now(self) -> float:
        """Time of the robot [s], as stamps have it: somebody may set it."""
        ...

    def elapsed(self) -> float:
        """Seconds since some moment, for spans of time: unlike `now` it is never set back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait until `elapsed` has advanced by `seconds`."""
        ...


class JointDriver(Protocol):
    """A joint trajectory controller and a joint state broadcaster, as ros2_control has them."""

    def positions(self, since: float = 0.0) -> np.ndarray:
        """Newest arm joint positions [rad], measured at `since` [s, the robot's clock] or later.

        Waits for them. Raises RobotError if they are missing or stale."""
        ...

    def newest(self) -> np.ndarray | None:
        """Arm joint positions [rad] of just now, without waiting; None if they are not known."""
        ...

    def send(self, trajectory: JointTrajectory) -> None:
        """Start a trajectory from the present state; replaces any other."""
        ...

    def cancel(self) -> None:
        """Take back what was sent, where the controller has a way that needs no measured state. For any thread."""
        ...


class Arm(Protocol):
    def pose(self) -> np.ndarray:
        """Measured (4,) pose of the tool centre point."""
        ...

    def joint_positions(self) -> np.ndarray:
        """Measured joint positions [rad]."""
        ...

    def move(self, pose: np.ndarray) -> MoveResult:
        """Move in a straight line to `pose`; blocks until the arm stands still."""
        ...

    def move_joints(self, positions: np.ndarray) -> MoveResult:
        """Move to joint `positions` [rad] (home, out of view); blocks until the arm stands still."""
        ...

    def stop(self) -> None:
        """Stop at once where the arm is; may be called from any thread."""
        ...


class Gripper(Protocol):
    def command(self, opening: float) -> float:
        """Drive to `opening` (0 closed, 1 open), wait until the fingers rest, and return the measured opening."""
        ...

    def opening(self) -> float:
        """Newest measured opening, 0 closed to 1 open."""
        ...


@dataclass(frozen=True)
class Frame:
    """One camera image: uint8 RGB (height, width, 3), and its stamp [s, the robot's clock]."""

    image: np.ndarray
    stamp: float


class Camera(Protocol):
    def frame(self) -> Frame:
        """An image taken after the call. Raises RobotError if none comes within the camera's time-out."""
        ...


@dataclass(frozen=True)
class Robot:
    """The four devices of one cell."""

    arm: Arm
    gripper: Gripper
    camera: Camera
    clock: Clock


@dataclass(frozen=True)
class Decision:
    """action: what the policy asks for. q: its value (nan if unknown). version: of the Q-function that chose it.

    side: of a trial of that version, one of `types.SIDES`. intervention: whether a person chose it.
    """

    action: Action
    q: float = float("nan")
    version: int = 0
    side: str = NO_TRIAL
    intervention: bool = False


class Policy(Protocol):
    def begin_episode(self, mode: str) -> None:
        """Called once before an episode of `mode`, one of `types.MODES`; the only moment at which a version may
        change."""
        ...

    def act(self, observation: Observation) -> Decision | None:
        """The next decision; None if the scene has to be looked at again first."""
        ...


@dataclass(frozen=True)
class Wish:
    """What a person wants the gripper to do now. motion: (4,) of x, y, z and yaw, -1 to 1 of the fastest that is
    allowed. close, open: of the fingers. silent: nothing is heard of the person any more."""

    motion: np.ndarray
    close: bool = False
    open: bool = False
    silent: bool = False

    @property
    def moves(self) -> bool:
        return bool(np.any(self.motion))


class Hand(Protocol):
    """A person who may move the gripper instead of the policy."""

    def wish(self) -> Wish | None:
        """What they want now; None while they leave it to the policy."""
        ...

    def served(self) -> None:
        """Closing or opening was done as they wanted it."""
        ...


@dataclass(frozen=True)
class GraspEvidence:
    """What a grasp is judged by: gripper openings (0..1) and images with the arm out of view (None where not taken).

    opening_closed: after closing at the object. opening_lifted: after lifting.
    before: before the grasp. after_lift: lifted, gripper still closed. after_drop: after opening over the bin.
    """

    opening_closed: float
    opening_lifted: float
    before: Frame | None = None
    after_lift: Frame | None = None
    after_drop: Frame | None = None


class Judge(Protocol):
    def __call__(self, evidence: GraspEvidence) -> GraspOutcome:
        """Raises RobotError if no judgement can be had."""
        ...


class EpisodeObserver(Protocol):
    """Follows an episode as it happens (the policy node publishes what it is told here)."""

    def on_phase(self, phase: str, frame: Frame | None, end_reason: str = "") -> None:
        """end_reason: why the approach ended, once it has."""
        ...

    def on_step(self, step: Step) -> None: ...
