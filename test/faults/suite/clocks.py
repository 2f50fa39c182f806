"""A simulated clock that leaps, is set back, or says what cannot be: no node ends, and grasping goes on."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
from cell_graph import CellGraph
from processes import TestNode, spawner
from rosgraph_msgs.msg import Clock
from tally import Tally

from robot_finetune.ros.node.qos import CLOCK

JUMPS = (-5, 0, 3_600, 2_000_000_000, 10)
"""Seconds that a second publisher of /clock says in between."""
PATIENCE = 60.0


def clock_jumps(count: int, seed: int, folder: Path) -> Tally:
    """Bursts of wrong times; after each one grasps are made again."""
    tally, rng = Tally("clock jumps"), np.random.default_rng(seed)
    domain = int(os.environ["ROS_DOMAIN_ID"])
    node = TestNode(domain)
    with spawner(domain, folder) as spawn:
        cell = CellGraph(spawn, node, folder)
        nodes = {"camera": cell.camera, "grasp_detector": cell.detector}
        nodes |= {"episode_logger": cell.logger(), "policy": cell.policy(max_failures=100)}
        publisher = node.publisher(Clock, "/clock", CLOCK)
        node.wait_until(lambda: cell.summaries, "a grasp")
        for number in range(count):
            tally.tried += 1
            message = Clock()
            message.clock.sec = JUMPS[number % len(JUMPS)]
            for _ in range(int(rng.integers(1, 30))):
                publisher.publish(message)
                node.spin_for(0.02)
            ended = [name for name, process in nodes.items() if not process.running]
            if ended:
                tally.ended += len(ended)
                tally.note(f"{message.clock.sec} s ended {', '.join(ended)}: {nodes[ended[0]].output[-300:]}")
                break
            known, deadline = len(cell.summaries), time.monotonic() + PATIENCE
            while len(cell.summaries) == known and time.monotonic() < deadline:
                node.spin_for(0.1)
            if len(cell.summaries) > known:
                tally.survived += 1
            else:
                tally.note(f"no grasp after {message.clock.sec} s: {cell.state}, {cell.status.message}")
    node.close()
    return tally
