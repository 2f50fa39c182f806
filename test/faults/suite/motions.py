"""Random actions and random joint states through everything between a policy and the arm's controller."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tally import Tally

from robot_finetune.robot.action_space import ActionSpace
from robot_finetune.robot.interfaces import RobotError
from robot_finetune.robot.joint_arm import JointArm
from robot_finetune.robot.joint_intake import BadJointState, JointIntake
from robot_finetune.robot.joint_limits import measured_limits
from robot_finetune.robot.joint_trajectory import JointTrajectory
from robot_finetune.robot.kinematics import Kinematics
from robot_finetune.robot.profile import load_robot
from robot_finetune.robot.workspace import Workspace
from robot_finetune.types import Action

LINES = 20
"""One action in so many is planned and sent as well."""
AWAY = 0.15
"""Farthest [rad] from the arm that a trajectory may begin: the gate's tolerance, and what is believed too much."""


class Recorder:
    """A JointDriver and Clock without an arm: `truth` is where it is, `believed` what the joint states say."""

    def __init__(self, truth: np.ndarray) -> None:
        self.truth = self.believed = truth
        self.time, self.sent = 0.0, []

    def positions(self, since: float = 0.0) -> np.ndarray:
        return self.believed

    newest = positions

    def send(self, trajectory: JointTrajectory) -> None:
        self.sent.append(trajectory)

    def cancel(self) -> None:
        pass

    def now(self) -> float:
        return self.time

    elapsed = now

    def sleep(self, seconds: float) -> None:
        """The motion that was sent is over."""
        self.time += seconds
        if self.sent:
            self.truth = self.believed = self.sent[-1].positions[-1]


def violation(sent: JointTrajectory, begin: np.ndarray, kinematics: Kinematics) -> str:
    """What is wrong with a trajectory that was sent to an arm at `begin`; "" if nothing is. Not by the gate's code."""
    path = np.vstack([begin, sent.positions])
    spans = np.diff(sent.times, prepend=0.0)
    if not (np.isfinite(path).all() and np.isfinite(sent.times).all() and (spans > 0).all()):
        return "not finite, or times that do not rise"
    if (path[1:] > kinematics.high + 0.051).any() or (path[1:] < kinematics.low - 0.051).any():
        return "beyond the joint limits"
    if np.abs(path[1] - begin).max() > AWAY:
        return f"begins {np.abs(path[1] - begin).max():.2f} rad from the arm"
    speeds = np.abs(np.diff(sent.positions, axis=0)) / spans[1:, None]
    return "too fast" if (speeds > kinematics.velocity_limits * 1.0001).any() else ""


def random_actions(count: int, seed: int, folder: Path) -> Tally:
    """Actions of any size through action space, workspace, and, one in LINES, kinematics and gate."""
    tally, rng, profile = Tally("random actions"), np.random.default_rng(seed), load_robot()
    space, workspace, kinematics = ActionSpace(profile.workspace), Workspace(profile), Kinematics(profile)
    driver = Recorder(kinematics.inverse(np.array(profile.start_pose)))
    arm, pose = JointArm(driver, kinematics, driver, profile), np.array(profile.start_pose)
    low, high = np.array(profile.workspace.low), np.array(profile.workspace.high)
    for index in range(count):
        tally.tried += 1
        action = Action((rng.standard_normal(8) * 10.0 ** rng.uniform(-2, 3)).astype(np.float32))
        target = workspace.clip(pose, space.target(pose, action))
        inside = np.isfinite(target).all() and (target[:3] >= low).all() and (target[:3] <= high).all()
        if not inside or np.abs(target[:3] - pose[:3]).max() > workspace.max_step[:3].max() + 1e-9:
            tally.wrong += 1
            tally.note(f"target {target} at {pose}")
        pose = target
        if index % LINES == 0:
            begin, before = driver.believed, len(driver.sent)
            arm.move(pose)
            for sent in driver.sent[before:][:1]:
                if said := violation(sent, begin, kinematics):
                    tally.wrong += 1
                    tally.note(f"{said}: from {begin} to {pose}")
            driver.sent.clear()
        tally.survived += 1
    return tally


def random_joint_states(count: int, seed: int, folder: Path) -> Tally:
    """Joint states of an arm at rest among messages of every other kind; now and then it is moved, or stopped."""
    tally, rng, profile = Tally("random joint states"), np.random.default_rng(seed), load_robot()
    kinematics, home = Kinematics(profile), np.array(profile.home_joints)
    intake, driver, names = JointIntake(measured_limits(profile)), Recorder(home), list(profile.joints)
    arm, stamp = JointArm(driver, kinematics, driver, profile), 100.0
    for index in range(count):
        tally.tried += 1
        stamp += 0.01
        try:
            believed = intake.accept(*_message(rng, names, driver.truth, stamp))
        except BadJointState:
            believed = {}
        if len(believed) == len(names):
            driver.believed = np.array([believed[name] for name in names])
        if index % 50 == 0:
            truth, before = driver.truth, len(driver.sent)
            try:
                if rng.random() < 0.3:
                    arm.stop()
                else:
                    arm.move_joints(home + rng.uniform(-0.5, 0.5, len(home)))
            except RobotError:
                pass
            for sent in driver.sent[before:][:1]:
                if said := violation(sent, truth, kinematics):
                    tally.wrong += 1
                    tally.note(said)
            stamp = max(stamp, 100.0 + driver.time + index * 0.01)
            driver.sent.clear()
        tally.survived += 1
    return tally


def _message(
    rng: np.random.Generator, names: list[str], truth: np.ndarray, stamp: float
) -> tuple[list[str], list[float], float]:
    """Names, positions and stamp: most of them true, the others wrong in every way that was thought of."""
    kind, q = rng.integers(48), truth.copy()
    if kind == 0:
        q[rng.integers(len(q))] = rng.choice([np.nan, np.inf, -np.inf])
    elif kind == 1:
        q[rng.integers(len(q))] = 10.0 ** rng.uniform(0, 9) * rng.choice([-1, 1])
    elif kind == 2:
        q = np.zeros(len(q))
    elif kind == 3:
        q = rng.uniform(-3, 3, len(q))
    elif kind == 4:
        return names, list(q[: rng.integers(len(q))]), stamp
    elif kind == 5:
        return list(rng.permutation(names)), list(q), stamp - rng.uniform(0, 2)
    elif kind == 6:
        return names, list(q), stamp + 10.0 ** rng.uniform(-2, 9)
    elif kind == 7:
        return [f"other_{i}" for i in range(3)], list(rng.normal(size=3)), stamp
    return names, list(q), stamp
