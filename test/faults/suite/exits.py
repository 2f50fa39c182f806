"""Ends and stops of the policy in the middle of whatever it does: the arm holds, at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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


def emergency_stops(count: int, seed: int, folder: Path) -> tuple[Tally, list[float], list[float]]:
    """Emergency stops during motions, on a busy computer; also the wall seconds from each call to when the first
    hold was published, and the last command that still moved the arm (0 if none was)."""
    tally, rng, first, latest = Tally("emergency stops"), np.random.default_rng(seed), [], []
    node = TestNode(int(os.environ["ROS_DOMAIN_ID"]))
    with busy(os.cpu_count() or 1), spawner(int(os.environ["ROS_DOMAIN_ID"]), folder) as spawn:
        cell = CellGraph(spawn, node, folder, real_time_factor=1.0)
        heard: list[tuple[int, bool]] = []  # when it was published [ns, system time], and whether it moves the arm

        def hear(message: JointTrajectory, info: Mapping[str, Any]) -> None:
            heard.append((info["source_timestamp"], len(message.points) > 1))

        node.node.create_subscription(JointTrajectory, "arm_controller/joint_trajectory", hear, COMMAND)
        stop = node.node.create_client(Trigger, "policy/emergency_stop")
        cell.logger()
        cell.policy()
        node.wait_until(stop.service_is_ready, "the service")
        for _ in range(count):
            tally.tried += 1
            known = len(heard)
            node.wait_until(lambda known=known: any(moves for _, moves in heard[known:]), "a motion")
            node.spin_for(float(rng.uniform(0.0, 0.5)))
            called, answer = time.time_ns(), stop.call_async(Trigger.Request())
            node.wait_until(answer.done, "the answer")
            node.spin_for(AFTER)
            after = [((when - called) * 1e-9, moves) for when, moves in heard if when > called]
            holds = [when for when, moves in after if not moves]
            latest.append(max((when for when, moves in after if moves), default=0.0))
            if answer.result().success and holds:
                first.append(min(holds))
                tally.survived += 1
            else:
                tally.note("no hold after the call")
            for service in ("reset_emergency_stop", "start"):
                assert node.call(Trigger, f"policy/{service}").success
    node.close()
    return tally, first, latest


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """As many processes that do nothing but compute."""
    started = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def _seconds(command: JointTrajectory) -> float:
    end = command.points[-1].time_from_start
    return float(end.sec + end.nanosec * 1e-9)


def _moves_on(command: JointTrajectory, node: TestNode) -> bool:
    """Whether a command is no hold and would last longer than it has been out."""
    return len(command.points) > 1 and _seconds(command) > 2.0 * AFTER
