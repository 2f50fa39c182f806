"""Joint states that go wrong between the cell and the policy: no command to the arm is wrong, and grasping goes on."""

from __future__ import annotations

import copy
import math
import os
import time
from pathlib import Path

import numpy as np
from cell_graph import CellGraph
from processes import TestNode, spawner
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger
from tally import Tally
from trajectory_msgs.msg import JointTrajectory

from robot_finetune.robot.profile import load_robot
from robot_finetune.ros.node.qos import COMMAND

FAULTS = ("nan", "huge", "zeros too", "silent", "jumps", "efforts only", "unstamped", "late", "cut short", "future")
LASTS = (0.2, 3.0)
"""Wall seconds of a fault."""
AWAY = 0.35
"""Farthest [rad] from where the arm is that a command may begin: it moves while the message is on its way."""
PATIENCE = 90.0


class StateRelay:
    """Passes joint states on to `seen`, as `fault` has it; `truth` is the newest of the cell."""

    def __init__(self, node: TestNode, rng: np.random.Generator) -> None:
        self.fault, self.truth, self._rng = "", None, rng
        self._joints = list(load_robot().joints)
        self._out = node.node.create_publisher(JointState, "seen", COMMAND)
        node.node.create_subscription(JointState, "joint_states", self._pass_on, COMMAND)

    def _pass_on(self, message: JointState) -> None:
        self.truth = np.array(message.position)[: len(self._joints)]
        for one in self._spoiled(message):
            self._out.publish(one)

    def _spoiled(self, message: JointState) -> list[JointState]:
        changed, index = copy.deepcopy(message), int(self._rng.integers(len(self._joints)))
        if self.fault == "silent":
            return []
        if self.fault == "nan":
            changed.position[index] = math.nan
        elif self.fault == "huge":
            changed.position[index] = 1e6
        elif self.fault == "jumps" and self._rng.random() < 0.3:
            changed.position[index] += float(self._rng.uniform(-1.5, 1.5))
        elif self.fault == "efforts only":
            changed.position = []
        elif self.fault == "unstamped":
            changed.header.stamp.sec = changed.header.stamp.nanosec = 0
        elif self.fault == "late":
            changed.header.stamp.sec = max(0, changed.header.stamp.sec - 1)
        elif self.fault == "cut short":
            changed.position = changed.position[:index]
        elif self.fault == "future":
            changed.header.stamp.sec += 1000
        elif self.fault == "zeros too":
            zeros = copy.deepcopy(message)
            zeros.position = [0.0] * len(message.position)
            return [message, zeros]
        return [changed]


def joint_state_faults(count: int, seed: int, folder: Path) -> Tally:
    """Faults in turns, each for a moment; after each one grasps are made again, if need be after ~/start."""
    tally, rng = Tally("joint-state faults"), np.random.default_rng(seed)
    domain = int(os.environ["ROS_DOMAIN_ID"])
    node = TestNode(domain)
    with spawner(domain, folder) as spawn:
        cell = CellGraph(spawn, node, folder, real_time_factor=2.0)
        relay = StateRelay(node, rng)

        def judge(command: JointTrajectory) -> None:
            points = np.array([point.positions for point in command.points])
            if not np.isfinite(points).all() or (len(points) and np.abs(points[0] - relay.truth).max() > AWAY):
                tally.wrong += 1
                tally.note(f"{relay.fault}: command {points[:1]} to an arm at {relay.truth}")

        node.node.create_subscription(JointTrajectory, "arm_controller/joint_trajectory", judge, COMMAND)
        cell.logger()
        parameters = {"use_sim_time": True, "policy": str(cell.out / "v0")}
        policy = spawn("policy", parameters, "-r", "joint_states:=seen")
        node.wait_until(lambda: cell.summaries, "a grasp")
        for number in range(count):
            tally.tried += 1
            relay.fault = FAULTS[number % len(FAULTS)]
            node.spin_for(float(rng.uniform(*LASTS)))
            fault, relay.fault = relay.fault, ""
            if not policy.running:
                tally.ended += 1
                tally.note(f"{fault} ended the policy: {policy.output[-300:]}")
                break
            if _goes_on(node, cell):
                tally.survived += 1
            else:
                tally.note(f"no grasp after {fault}: {cell.state}, {cell.status.message}")
    node.close()
    return tally


def _goes_on(node: TestNode, cell: CellGraph) -> bool:
    known, deadline = len(cell.summaries), time.monotonic() + PATIENCE
    while len(cell.summaries) == known and time.monotonic() < deadline:
        node.spin_for(0.2)
        if cell.state == "error":
            node.call(Trigger, "policy/start")
    return len(cell.summaries) > known
