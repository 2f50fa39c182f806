"""Ends and stops of the policy in the middle of whatever it does: the arm holds, at once."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
from cell_graph import CellGraph
from processes import TestNode, spawner
from std_srvs.srv import Trigger
from tally import Tally
from trajectory_msgs.msg import JointTrajectory

from robot_finetune.ros.node.qos import COMMAND

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
AFTER = 0.5
"""Wall seconds after the last motion command in which another one would come."""


def signals(count: int, seed: int, folder: Path) -> Tally:
    """A signal at a random moment of an episode: exit code 0, and if the arm was moving, the last command holds it."""
    tally, rng = Tally("signals to the policy"), np.random.default_rng(seed)
    node = TestNode(int(os.environ["ROS_DOMAIN_ID"]))
    with spawner(int(os.environ["ROS_DOMAIN_ID"]), folder) as spawn:
        cell = CellGraph(spawn, node, folder, real_time_factor=2.0)
        commands = node.collect(JointTrajectory, "arm_controller/joint_trajectory", COMMAND)
        cell.logger()
        for number in range(count):
            tally.tried += 1
            policy = cell.policy()
            known = len(commands)
            node.wait_until(lambda known=known: len(commands) > known, "a motion")
            node.spin_for(float(rng.uniform(0.0, 4.0)))
            code = policy.stop(SIGNALS[number % len(SIGNALS)])
            node.spin_for(AFTER)
            if code != 0 or "Traceback" in policy.output:
                tally.note(f"exit code {code}: {policy.output[-300:]}")
            elif _moves_on(commands[-1], node):
                tally.wrong += 1
                tally.note(f"a motion of {_seconds(commands[-1]):.1f} s goes on")
            else:
                tally.survived += 1
    node.close()
    return tally


def emergency_stops(count: int, seed: int, folder: Path) -> tuple[Tally, list[float]]:
    """Emergency stops during motions; also the wall seconds from each call to the last command that still moved."""
    tally, rng, latest = Tally("emergency stops"), np.random.default_rng(seed), []
    node = TestNode(int(os.environ["ROS_DOMAIN_ID"]))
    with spawner(int(os.environ["ROS_DOMAIN_ID"]), folder) as spawn:
        cell = CellGraph(spawn, node, folder, real_time_factor=1.0)
        heard: list[tuple[float, bool]] = []  # when, and whether it moves the arm
        node.node.create_subscription(
            JointTrajectory,
            "arm_controller/joint_trajectory",
            lambda message: heard.append((time.monotonic(), len(message.points) > 1)),
            COMMAND,
        )
        cell.logger()
        cell.policy()
        for _ in range(count):
            tally.tried += 1
            known = len(heard)
            node.wait_until(lambda known=known: any(moves for _, moves in heard[known:]), "a motion")
            node.spin_for(float(rng.uniform(0.0, 0.5)))
            called = time.monotonic()
            assert node.call(Trigger, "policy/emergency_stop").success
            node.spin_for(AFTER)
            moved = [when - called for when, moves in heard if moves and when > called]
            latest.append(max(moved, default=0.0))
            tally.survived += 1
            for service in ("reset_emergency_stop", "start"):
                assert node.call(Trigger, f"policy/{service}").success
    node.close()
    return tally, latest


def _seconds(command: JointTrajectory) -> float:
    end = command.points[-1].time_from_start
    return float(end.sec + end.nanosec * 1e-9)


def _moves_on(command: JointTrajectory, node: TestNode) -> bool:
    """Whether a command is no hold and would last longer than it has been out."""
    return len(command.points) > 1 and _seconds(command) > 2.0 * AFTER
