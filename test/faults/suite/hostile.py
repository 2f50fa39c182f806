"""Hostile messages on every topic of a running graph: no node ends, and grasping goes on."""

from __future__ import annotations

import os
import time
from pathlib import Path

from cell_graph import CellGraph
from fuzz.messages import TOPICS, damaged, hostile
from processes import TestNode, spawner
from std_srvs.srv import Trigger
from tally import Tally

BURST = 20
"""Messages of each topic between two looks at the nodes."""
SPARED = (
    "camera_info",
    "image_raw/compressed",
    "trainer_status",
    "image_raw",
    "joint_states",
    "policy_status",
    "promotion",
    "diagnostics",
    "policy/overlay",
    "episode_phase",
)
"""Not heard in the graph here, or a second voice of a device, whose contradiction rightly stops a grasp; these are
sent as well, and grasps are waited for afterwards, if need be after ~/start."""
PATIENCE, ASK_EVERY = 120.0, 5.0
"""Wall seconds for a grasp after the last message, and between two calls of ~/start."""


def hostile_messages(count: int, seed: int, folder: Path) -> Tally:
    """Random, spoiled and damaged messages in turns over all topics."""
    tally, domain = Tally("hostile messages"), int(os.environ["ROS_DOMAIN_ID"])
    node = TestNode(domain)
    with spawner(domain, folder) as spawn:
        cell = CellGraph(spawn, node, folder)
        nodes = {"sim_cell": cell.sim, "camera": cell.camera, "grasp_detector": cell.detector}
        nodes |= {"episode_logger": cell.logger(), "policy": cell.policy(max_failures=100)}
        node.wait_until(lambda: cell.summaries, "a grasp")
        publishers = {
            name: node.publisher(topic.kind, name, topic.qos, listened=name not in SPARED)
            for name, topic in TOPICS.items()
        }
        number = seed
        while tally.tried < count and not tally.ended:
            for _ in range(BURST):
                number += 1
                for name, publisher in publishers.items():
                    publisher.publish(hostile(name, number, f"e{number % 50}"))
                    publisher.publish(damaged(name, number, f"e{number % 50}"))
                    tally.tried += 2
                node.spin_for(0.01)
            for name, process in nodes.items():
                if not process.running:
                    tally.ended += 1
                    tally.note(f"{name} ended: {process.output[-300:]}")
        if not tally.ended and _goes_on(node, cell):
            tally.survived = tally.tried
        else:
            tally.note(f"no grasp afterwards: {nodes['policy'].output[-300:]}")
        for name, process in nodes.items():
            if "Traceback" in process.output:
                tally.wrong += 1
                tally.note(f"{name}: {process.output[process.output.index('Traceback') :][:300]}")
    node.close()
    return tally


def _goes_on(node: TestNode, cell: CellGraph) -> bool:
    known, deadline, asked = _grasps(cell), time.monotonic() + PATIENCE, time.monotonic()
    while _grasps(cell) == known and time.monotonic() < deadline:
        node.spin_for(0.1)
        if time.monotonic() - asked > ASK_EVERY:  # refused while it runs; its status may be anybody's here
            asked, _ = time.monotonic(), node.call(Trigger, "policy/start")
    return _grasps(cell) > known


def _grasps(cell: CellGraph) -> int:
    return len({summary.episode_id for summary in cell.summaries if summary.path.startswith(str(cell.out))})
