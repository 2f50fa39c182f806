"""Small in-memory devices of the robot's Protocols."""

from __future__ import annotations

import numpy as np

from robot_finetune.robot.interfaces import Decision, Frame, GraspEvidence, MoveResult, Robot, RobotError
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.types import Action, GraspOutcome, Observation, Step

DOWN = Action.move((0, 0, -0.5), 0.2)


class FakeClock:
    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time

    elapsed = now

    def sleep(self, seconds: float) -> None:
        self.time += seconds


class FakeArm:
    """Reaches every pose at once, not below `blocked_below`; it is out of view after move_joints."""

    def __init__(self, clock: FakeClock, log: list[str]) -> None:
        self.clock, self.log = clock, log
        self.current = np.array([0.2, 0.5, 0.4, 0.0])
        self.out_of_view, self.blocked_below, self.answers, self.slow, self.stops = True, -1.0, "", 0.2, 0

    def pose(self) -> np.ndarray:
        return self.current

    def joint_positions(self) -> np.ndarray:
        return np.arange(7.0)

    def move(self, pose: np.ndarray) -> MoveResult:
        self.clock.sleep(self.slow)
        self.log.append("move")
        reason = self.answers
        if not reason:
            reason = "blocked" if pose[2] < self.blocked_below else ""
            self.current, self.out_of_view = np.array(pose), False
            self.current[2] = max(pose[2], self.blocked_below)
        return MoveResult(self.current, reason)

    def move_joints(self, positions: np.ndarray) -> MoveResult:
        self.clock.sleep(self.slow)
        self.log.append("out_of_view")
        self.out_of_view = True
        return MoveResult(self.current, self.answers)

    def stop(self) -> None:
        self.stops += 1


class FakeGripper:
    """Closes on an object `width` (opening) wide if there is one."""

    def __init__(self, log: list[str]) -> None:
        self.log, self.width, self.measured = log, 0.0, 1.0

    def command(self, opening: float) -> float:
        self.log.append("open" if opening > 0.5 else "close")
        self.measured = max(opening, self.width) if opening < 0.5 else opening
        return self.measured

    def opening(self) -> float:
        return self.measured


class FakeCamera:
    """Its images are white while the arm is out of view, else black. It fails after `frames_left` of them."""

    def __init__(self, clock: FakeClock, arm: FakeArm) -> None:
        self.clock, self.arm, self.frames_left = clock, arm, 1000

    def frame(self) -> Frame:
        if self.frames_left == 0:
            raise RobotError("no image on image_raw for 2 s: check the camera driver")
        self.frames_left -= 1
        self.clock.sleep(0.03)
        return Frame(np.full((96, 128, 3), 255 if self.arm.out_of_view else 0, np.uint8), self.clock.now())


class ListPolicy:
    """Plays a list of actions, and then closes."""

    def __init__(self, *actions: Action) -> None:
        self.actions, self.observations, self.modes = list(actions), [], []

    def begin_episode(self, mode: str) -> None:
        self.modes.append(mode)

    def act(self, observation: Observation) -> Decision:
        self.observations.append(observation)
        return Decision(self.actions.pop(0) if self.actions else Action.close(), 0.5, 3)


class Recorder:
    """Observer and judge: keeps all it is told; a grasp succeeds if the gripper is not empty."""

    def __init__(self) -> None:
        self.phases: list[str] = []
        self.frames: dict[str, Frame | None] = {}
        self.steps: list[Step] = []
        self.evidence: GraspEvidence | None = None

    def on_phase(self, phase: str, frame: Frame | None, end_reason: str = "") -> None:
        self.phases.append(phase)
        self.frames[phase] = frame

    def on_step(self, step: Step) -> None:
        self.steps.append(step)

    def __call__(self, evidence: GraspEvidence) -> GraspOutcome:
        self.evidence = evidence
        return GraspOutcome(0.06 < evidence.opening_lifted < 0.97)


class FakeCell:
    """The devices, what they did, and the robot made of them."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.clock = FakeClock()
        self.arm = FakeArm(self.clock, self.log)
        self.gripper = FakeGripper(self.log)
        self.camera = FakeCamera(self.clock, self.arm)
        self.robot = Robot(self.arm, self.gripper, self.camera, self.clock)
        self.profile = RobotProfile()
