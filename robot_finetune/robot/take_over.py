"""A person moves the gripper instead of the policy, as in Luo et al., "Precise and dexterous robotic manipulation via
human-in-the-loop reinforcement learning" (2024)."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from robot_finetune.robot.action_space import ActionSpace, wrap_angle
from robot_finetune.robot.interfaces import Decision, Hand, Policy, Robot, RobotError, Wish
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.robot.workspace import Workspace
from robot_finetune.types import DEMONSTRATE, Action, Observation

PIECE = 0.25
"""Part of the largest step that a full axis moves at once: what is under way when the person lets go."""
POLL = 0.02
"""Seconds of the robot between two looks at the person's hand while the arm stands still."""


class TakeOver:
    """Implements `Policy`: by a person while they hold, else by `policy`; in mode "demonstrate" by the person alone.

    The person moves the arm piece by piece, each within the workspace and through the same devices as the policy's
    motions. What they did until they let go, closed the gripper or came as far as one action may lead is one decision:
    the displacement in the policy's own action space. The arm is there already when it is returned.
    """

    def __init__(
        self,
        policy: Policy,
        hand: Hand,
        robot: Robot,
        profile: RobotProfile,
        patience: float = 60.0,
        version: Callable[[], int] = lambda: 0,
    ) -> None:
        """robot: guarded, so that a stop holds for the person too. patience: wall seconds that a person may stand
        still. version: that would act if the person did not."""
        self._policy, self._hand, self._robot = policy, hand, robot
        self._patience, self._version = patience, version
        self._space, self._workspace = ActionSpace(profile.workspace), Workspace(profile)
        self._alone = False

    def begin_episode(self, mode: str) -> None:
        """As `Policy`."""
        self._alone = mode == DEMONSTRATE
        self._hand.served()
        self._policy.begin_episode(mode)

    def act(self, observation: Observation) -> Decision | None:
        """As `Policy`. Raises RobotError if a person who holds, or who has to act, stands still for too long."""
        wish = self._hand.wish()
        if wish is None and not self._alone:
            return self._policy.act(observation)
        if wish is not None and wish.close:
            self._hand.served()
            return self._decided(Action.close())
        if wish is not None and wish.moves:
            return self._follow(np.asarray(observation.pose, np.float64))
        self._stand()
        return None

    def _stand(self) -> None:
        """Wait until the person moves or closes, or leaves it to the policy."""
        deadline = time.monotonic() + self._patience
        while (wish := self._hand.wish()) is not None or self._alone:
            if wish is not None and (wish.moves or wish.close):
                return
            self._wait(wish, deadline)

    def _follow(self, pose: np.ndarray) -> Decision | None:
        """Go with the person from `pose` (4,) [m, rad] for one decision; None if that led nowhere."""
        target, deadline = pose, time.monotonic() + self._patience
        while (wish := self._hand.wish()) is not None and not wish.close:
            wanted = target + PIECE * wish.motion * self._workspace.max_step
            goal = self._workspace.clip(pose, wanted)
            if np.allclose(goal, target, atol=1e-6):
                self._wait(wish, deadline)
            else:
                target, deadline = goal, time.monotonic() + self._patience
                if not self._robot.arm.move(target).reached:
                    break  # which the same motion tells once more, with its reason
            away = np.array([*(wanted - pose)[:3], wrap_angle(wanted[3] - pose[3])])
            if (np.abs(away) >= self._workspace.max_step - 1e-9).any():
                break
        if np.array_equal(target, pose):
            return None
        return self._decided(self._space.from_poses(pose, target))

    def _decided(self, action: Action) -> Decision:
        return Decision(action, version=self._version(), intervention=True)

    def _wait(self, wish: Wish | None, deadline: float) -> None:
        if wish is not None and wish.open:
            self._robot.gripper.command(1.0)
            self._hand.served()
        if time.monotonic() > deadline:
            silent = wish is not None and wish.silent
            raise RobotError(
                f"nobody moved the gripper for {self._patience:g} s: "
                + ("the joystick is silent with its button held; see to it, then ~/start" if silent else "let go")
            )
        self._robot.clock.sleep(POLL)
