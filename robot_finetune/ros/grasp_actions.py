"""The actions of the policy node: one attempt (`~/grasp`) and several (`~/run`), for behaviour trees and scripts.

A goal starts the policy's own loop as ~/start does, and follows it: whatever ends the loop ends the goal.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.node import Node
from rclpy.task import Future

from robot_finetune.action import Grasp, Run
from robot_finetune.robot.interfaces import EpisodeObserver, Frame, RobotError
from robot_finetune.robot.run_control import IDLE, PAUSED, RUNNING, RequestRefused, RunControl
from robot_finetune.ros.constants import PHASE
from robot_finetune.types import Episode, Step

CANCELLED = "cancelled by the client of the action; ~/start or another goal goes on"


@dataclass
class _Goal:
    """A goal that is being carried out. attempts: after which it has succeeded, 0 for no end."""

    handle: ServerGoalHandle
    attempts: int
    feedback: Any
    ended: Future[None] = field(default_factory=Future)
    made: int = 0
    successes: int = 0
    discarded: int = 0
    newest: Episode | None = None
    message: str = ""


class GraspActions:
    """Serves both actions, one goal at a time. Implements `interfaces.EpisodeObserver` for the feedback.

    The worker thread that runs the episodes tells of them; goals come and go on the executor's thread.
    """

    def __init__(self, node: Node, control: RunControl, start: Callable[[], None], observer: EpisodeObserver) -> None:
        """start: begins to grasp, with the count of episodes at 0; raises RequestRefused. observer: is told as well."""
        self._node, self._control, self._start, self._observer = node, control, start, observer
        self._lock = threading.RLock()
        self._goal: _Goal | None = None
        self._accepted = False
        serve = partial(ActionServer, node, goal_callback=self._on_goal, cancel_callback=self._on_cancel)
        serve(Grasp, "~/grasp", self._grasp)
        serve(Run, "~/run", self._run)

    @property
    def busy(self) -> bool:
        """Whether a goal is carried out."""
        return self._goal is not None

    @property
    def attempts(self) -> int:
        """Judged grasps after which the goal that is carried out is reached; 0 for no end."""
        return self._goal.attempts if self._goal is not None else 0

    # What the policy's worker thread tells

    def on_phase(self, phase: str, frame: Frame | None, end_reason: str = "") -> None:
        """As `interfaces.EpisodeObserver`."""
        self._observer.on_phase(phase, frame, end_reason)
        self._feed(phase=PHASE.number(phase))

    def on_step(self, step: Step) -> None:
        """As `interfaces.EpisodeObserver`."""
        self._observer.on_step(step)
        self._feed(step=step.observation.step + 1, q=float(step.q))

    def begun(self, episode_id: str) -> None:
        """An episode begins."""
        self._feed(episode_id=episode_id)

    def judged(self, episode: Episode) -> None:
        """An episode was judged."""
        with self._lock:
            if (goal := self._goal) is None:
                return
            goal.newest = episode
            goal.made += 1
            goal.successes += episode.outcome.success
            if isinstance(goal.feedback, Run.Feedback):
                goal.feedback = _counted(Run.Feedback, goal)
                goal.feedback.episode_id, goal.feedback.success = episode.episode_id, bool(episode.outcome.success)
                goal.handle.publish_feedback(goal.feedback)

    def discarded(self, why: str) -> None:
        """An episode was discarded: that was the one attempt of ~/grasp."""
        with self._lock:
            if (goal := self._goal) is None:
                return
            goal.discarded += 1
            goal.message = why
            single = isinstance(goal.feedback, Grasp.Feedback)
        if single:
            self._control.finish(why)

    def state_changed(self) -> None:
        """The policy works no more: so does the goal."""
        with self._lock:
            if self._goal is not None and self._control.state not in (RUNNING, PAUSED) and not self._goal.ended.done():
                if self._control.state != IDLE:
                    self._goal.message = self._control.message
                self._goal.ended.set_result(None)

    def _feed(self, **fields: Any) -> None:
        """Set fields of the feedback of ~/grasp and publish it."""
        with self._lock:
            if self._goal is not None and isinstance(self._goal.feedback, Grasp.Feedback):
                for name, value in fields.items():
                    setattr(self._goal.feedback, name, value)
                self._goal.handle.publish_feedback(self._goal.feedback)

    # Callbacks on the executor's thread

    def _on_goal(self, _: Any) -> GoalResponse:
        busy = self._accepted or self.busy or self._control.state in (RUNNING, PAUSED)
        if busy:
            self._node.get_logger().warning(f"a goal is refused: the policy is {self._control.state}")
            return GoalResponse.REJECT
        self._accepted = True
        return GoalResponse.ACCEPT

    def _on_cancel(self, _: ServerGoalHandle) -> CancelResponse:
        try:
            self._control.stop(CANCELLED)
        except RobotError as error:
            self._node.get_logger().error(str(error))
        return CancelResponse.ACCEPT

    async def _grasp(self, handle: ServerGoalHandle) -> Grasp.Result:
        goal = await self._carry_out(_Goal(handle, 1, Grasp.Feedback()))
        result = Grasp.Result(message=goal.message)
        if goal.newest is not None:
            episode, outcome = goal.newest, goal.newest.outcome
            result.episode_id, result.end_reason = episode.episode_id, episode.end_reason
            result.policy_version = episode.policy_version
            result.success, result.confidence = bool(outcome.success), float(outcome.confidence)
            result.contradiction = bool(outcome.contradiction)
        return result

    async def _run(self, handle: ServerGoalHandle) -> Run.Result:
        goal = await self._carry_out(_Goal(handle, int(handle.request.attempts), Run.Feedback()))
        result = _counted(Run.Result, goal)
        result.message = goal.message
        return result

    async def _carry_out(self, goal: _Goal) -> _Goal:
        """Start, wait for the end, and say how it ended."""
        with self._lock:
            self._goal, self._accepted = goal, False
        try:
            self._start()
            await goal.ended
        except RequestRefused as error:
            goal.message = str(error)
        finally:
            with self._lock:
                self._goal = None
        reached = goal.made >= max(goal.attempts, 1)
        if reached:
            goal.message = ""
        if goal.handle.is_cancel_requested:
            goal.handle.canceled()
        elif reached:
            goal.handle.succeed()
        else:
            self._node.get_logger().warning(f"a goal is aborted: {goal.message}")
            goal.handle.abort()
        return goal


def _counted(kind: Any, goal: _Goal) -> Any:
    return kind(attempts=goal.made, successes=goal.successes, discarded=goal.discarded)
