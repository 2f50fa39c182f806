"""One grasp attempt as a state machine: the same for exploration and evaluation, simulated cell and arm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from robot_finetune.config import setting
from robot_finetune.robot.action_space import ActionSpace
from robot_finetune.robot.interfaces import (
    EpisodeObserver,
    Frame,
    GraspEvidence,
    Judge,
    MoveResult,
    Policy,
    Robot,
    RobotError,
)
from robot_finetune.robot.preprocess import preprocess
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.robot.workspace import Workspace
from robot_finetune.types import Action, Episode, Observation, Step


@dataclass(frozen=True)
class RunnerConfig:
    """How an episode runs."""

    max_steps: int = setting(10, "decisions of one episode; the last one closes the gripper", low=1, high=100)
    image_size: int = setting(64, "edge of the square image that the policy sees", unit="px", low=16, high=1024)
    look: bool = setting(True, "take images with the arm out of view before, after lifting and after dropping")
    episode_timeout: float = setting(
        60.0, "longest duration of one episode in the robot's time", unit="s", low=1.0, high=3600.0
    )
    drop_spread: float = setting(
        0.08, "a held object is let go within this of the bin's centre in x and y", unit="m", low=0.0, high=0.5
    )


class EpisodeDiscarded(RobotError):
    """The episode could not be completed and must not be learned from; the message is the reason."""


class Phase(Enum):
    """States of an episode, in their order. Names are those of EpisodePhase.phase."""

    RESET = "reset"
    BEFORE = "before"
    APPROACH = "approach"
    LIFTED = "lifted"
    AFTER_LIFT = "after_lift"
    AFTER_DROP = "after_drop"
    DONE = "done"
    DISCARDED = "discarded"


class SilentObserver:
    """An `EpisodeObserver` that does nothing."""

    def on_phase(self, phase: str, frame: Frame | None, end_reason: str = "") -> None:
        pass

    def on_step(self, step: Step) -> None:
        pass


@dataclass
class _Attempt:
    """What is known of the running episode. contacts: motions that were blocked. openings: NaN until measured."""

    episode_id: str
    deadline: float
    steps: list[Step] = field(default_factory=list)
    end_reason: str = ""
    contacts: int = 0
    opening_closed: float = float("nan")
    opening_lifted: float = float("nan")
    before: Frame | None = None
    after_lift: Frame | None = None
    after_drop: Frame | None = None

    @property
    def gripper_closed(self) -> bool:
        return self.end_reason in ("closed", "terminated", "step_limit")


class EpisodeRunner:
    """Runs grasp attempts of a policy on a robot and has them judged.

    Where a motion of the approach is blocked, the arm has stopped: the policy looks again and goes on from there, as
    often as `motion.contacts` allows. One more, or a motion that is unreachable or in collision, ends the approach: the
    gripper stays open, the arm lifts, and the grasp counts as failed. One that times out or was stopped says nothing
    about the policy, nor does a lift, a drop or a move out of view that fails: the episode is discarded.
    """

    def __init__(
        self,
        robot: Robot,
        profile: RobotProfile,
        policy: Policy,
        judge: Judge,
        observer: EpisodeObserver | None = None,
        config: RunnerConfig = RunnerConfig(),
    ) -> None:
        self.robot, self.profile, self.policy, self.judge, self.config = robot, profile, policy, judge, config
        self.observer = observer or SilentObserver()
        self.action_space = ActionSpace(profile.workspace)
        self.workspace = Workspace(profile)
        self._enter: dict[Phase, Callable[[_Attempt], Phase]] = {
            Phase.RESET: self._reset,
            Phase.BEFORE: self._before,
            Phase.APPROACH: self._approach,
            Phase.LIFTED: self._lift,
            Phase.AFTER_LIFT: self._after_lift,
            Phase.AFTER_DROP: self._after_drop,
        }

    def run(self, episode_id: str, variation: str = "base", mode: str = "explore") -> Episode:
        """One grasp attempt, judged. Raises EpisodeDiscarded, with the arm stopped, if a device fails."""
        self.policy.begin_episode(mode)
        start, begun = self.robot.clock.now(), self.robot.clock.elapsed()
        attempt = _Attempt(episode_id, deadline=begun + self.config.episode_timeout)
        try:
            phase = Phase.RESET
            while phase is not Phase.DONE:
                self._check_time(attempt, phase)
                phase = self._enter[phase](attempt)
            outcome = self.judge(self._evidence(attempt))
        except BaseException as error:
            with suppress(RobotError):
                self.robot.arm.stop()
            self.observer.on_phase(Phase.DISCARDED.value, None, attempt.end_reason)
            if isinstance(error, RobotError):
                raise EpisodeDiscarded(str(error)) from error
            raise
        self.observer.on_phase(Phase.DONE.value, None, attempt.end_reason)
        meta = {"seconds": self.robot.clock.elapsed() - begun}
        return Episode(episode_id, tuple(attempt.steps), outcome, variation, mode, attempt.end_reason, start, meta)

    def _reset(self, attempt: _Attempt) -> Phase:
        """Empty the gripper over the bin if the last episode left something in it; open it with the arm out of view."""
        self.observer.on_phase(Phase.RESET.value, None)
        self._rise()
        if self._holding(self.robot.gripper.opening()):
            self._drop(attempt.episode_id)
        if self.config.look:
            self._go_out_of_view()
        self.robot.gripper.command(1.0)
        return Phase.BEFORE

    def _before(self, attempt: _Attempt) -> Phase:
        attempt.before = self._look(attempt, Phase.BEFORE)
        return Phase.APPROACH

    def _approach(self, attempt: _Attempt) -> Phase:
        """Observe and act until the gripper is to close or a motion fails."""
        self.observer.on_phase(Phase.APPROACH.value, None)
        self._reach(np.array(self.profile.start_pose), "the start pose")
        while not attempt.end_reason:
            self._check_time(attempt, Phase.APPROACH)
            self._decide_and_act(attempt)
        return Phase.LIFTED

    def _decide_and_act(self, attempt: _Attempt) -> None:
        index = len(attempt.steps)
        observation, joints = self._observe(index)
        begun = self.robot.clock.elapsed()
        decision = self.policy.act(observation)
        if decision is None or decision.intervention:
            attempt.deadline += self.robot.clock.elapsed() - begun  # a person may take their time
        if decision is None:
            return
        asked, pose = decision.action, observation.pose
        last = index + 1 >= self.config.max_steps
        if asked.closes or asked.terminates or last:
            attempt.end_reason = "closed" if asked.closes else "terminated" if asked.terminates else "step_limit"
            commanded = Action.close()
        else:
            target = self.workspace.clip(pose, self.action_space.target(pose, asked))
            commanded = self.action_space.from_poses(pose, target)
        chosen = decision.q, decision.version, joints, decision.side, decision.intervention
        step = Step(observation, asked, commanded, *chosen)
        attempt.steps.append(step)
        self.observer.on_step(step)
        if attempt.gripper_closed:
            attempt.opening_closed = self.robot.gripper.command(0.0)
        else:
            failure = self._failure_of(self.robot.arm.move(target))
            attempt.contacts += failure == "blocked"
            goes_on = failure == "blocked" and attempt.contacts <= self.profile.motion.contacts
            attempt.end_reason = "" if goes_on else failure

    def _lift(self, attempt: _Attempt) -> Phase:
        """Lift, straight up where there is a way."""
        self.observer.on_phase(Phase.LIFTED.value, None, attempt.end_reason)
        self._rise([step.observation.pose for step in attempt.steps])
        return Phase.AFTER_LIFT

    def _rise(self, way: Sequence[np.ndarray] = ()) -> None:
        """Straight up to the start height. What does not come along, such as the bin's wall, is let go.

        Where there is no straight way up: back along `way`, the poses (4,) by which the tip came, to one that has one;
        or else by joints, out of view."""
        result = self._straight_up()
        if result.reason == "blocked":
            self.robot.gripper.command(1.0)
            result = self._straight_up()
        for pose in reversed(way):
            if result.reason == "unreachable" and not self._failure_of(self.robot.arm.move(pose)):
                result = self._straight_up()
        if result.reason == "unreachable":
            result = self.robot.arm.move_joints(np.array(self.profile.out_of_view_joints))
        self._require(result, "lift")

    def _straight_up(self) -> MoveResult:
        pose = np.array(self.robot.arm.pose())
        if pose[2] >= self.profile.start_pose[2]:
            return MoveResult(pose)
        pose[2] = self.profile.start_pose[2]
        return self.robot.arm.move(pose)

    def _after_lift(self, attempt: _Attempt) -> Phase:
        if self.config.look:
            self._go_out_of_view()
        attempt.after_lift = self._look(attempt, Phase.AFTER_LIFT)
        attempt.opening_lifted = self.robot.gripper.opening()
        if not attempt.gripper_closed:
            attempt.opening_closed = attempt.opening_lifted
        return Phase.AFTER_DROP

    def _after_drop(self, attempt: _Attempt) -> Phase:
        """Let a held object go over the bin. Without one the image after lifting stands for the one after dropping."""
        if self.config.look and attempt.gripper_closed and self._holding(attempt.opening_lifted):
            self._drop(attempt.episode_id)
            self._go_out_of_view()
            attempt.after_drop = self._look(attempt, Phase.AFTER_DROP)
        else:
            attempt.after_drop = attempt.after_lift
            self.observer.on_phase(Phase.AFTER_DROP.value, attempt.after_lift, attempt.end_reason)
        return Phase.DONE

    def _observe(self, index: int) -> tuple[Observation, tuple[float, ...]]:
        frame = self.robot.camera.frame()
        image = preprocess(frame.image, self.config.image_size, self.profile.camera.crop)
        pose, opening = np.array(self.robot.arm.pose(), np.float64), self.robot.gripper.opening()
        joints = tuple(float(joint) for joint in self.robot.arm.joint_positions())
        return Observation(image, pose, opening, index, frame.stamp), joints

    def _look(self, attempt: _Attempt, phase: Phase) -> Frame | None:
        frame = self.robot.camera.frame() if self.config.look else None
        self.observer.on_phase(phase.value, frame, attempt.end_reason)
        return frame

    def _drop(self, episode_id: str) -> None:
        rng = np.random.default_rng(list(episode_id.encode()))
        x, y = self.profile.bin_center + rng.uniform(-1, 1, 2) * self.config.drop_spread
        height = self.profile.floor_z + self.profile.drop_height
        pose = self.workspace.inside(np.array([x, y, height, self.profile.start_pose[3]]))
        self._reach(pose, "the place over the bin where it lets go")
        self.robot.gripper.command(1.0)

    def _reach(self, pose: np.ndarray, what: str) -> None:
        """In a straight line; where there is none from a posture that others brought the arm into, by joints first."""
        result = self.robot.arm.move(pose)
        if result.reason == "unreachable":
            self._go_out_of_view()
            result = self.robot.arm.move(pose)
        self._require(result, f"reach {what}")

    def _go_out_of_view(self) -> None:
        self._require(self.robot.arm.move_joints(np.array(self.profile.out_of_view_joints)), "move out of view")

    def _holding(self, opening: float) -> bool:
        return self.profile.gripper.empty_opening < opening < self.profile.gripper.full_opening

    def _evidence(self, attempt: _Attempt) -> GraspEvidence:
        images = attempt.before, attempt.after_lift, attempt.after_drop
        return GraspEvidence(attempt.opening_closed, attempt.opening_lifted, *images)

    def _check_time(self, attempt: _Attempt, phase: Phase) -> None:
        if self.robot.clock.elapsed() > attempt.deadline:
            budget = f"{self.config.episode_timeout:g} s (in phase {phase.value})"
            raise RobotError(f"episode takes longer than {budget}: check the arm, or raise episode_timeout")

    def _failure_of(self, result: MoveResult) -> str:
        """Why a motion of the approach ended it, or "". Raises RobotError if the arm was stopped or does not answer."""
        if result.reason in ("stopped", "timeout"):
            self._require(result, "finish a motion")
        return result.reason

    def _require(self, result: MoveResult, what: str) -> None:
        if not result.reached:
            raise RobotError(
                f"the arm could not {what}: {result.reason}; clear its way and check its controller and limits"
            )
