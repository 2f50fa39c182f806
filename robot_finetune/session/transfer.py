"""How long versions take to the policy in pieces, how long the swap, and what it does to images on the way: the ROS
side of `robot-finetune benchmark transfer`, as a process of its own.

DIR has the first policy in `base` and versions in `<name>/v0001`, `v0002`, ...; the result is the last line, as JSON.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from robot_finetune.data.layout import RECEIVED
from robot_finetune.data.version_card import CARD, WEIGHTS, read_card
from robot_finetune.files import to_json
from robot_finetune.graph.bringup import node_graph
from robot_finetune.graph.options import BringupOptions
from robot_finetune.graph.process_runner import ProcessRunner
from robot_finetune.msg import ModelUpdate
from robot_finetune.robot.interfaces import RobotError
from robot_finetune.ros.environment import graph_environment
from robot_finetune.ros.node.qos import LATCHED
from robot_finetune.ros.version_pieces import TRAINER, offer_pieces
from robot_finetune.session.image_check import ImageCheck
from robot_finetune.session.monitor import Monitor
from robot_finetune.stats import percentile

LOGS = "logs"
TICK, PATIENCE = 0.002, 180.0
"""Wall seconds between two looks, and the longest wait."""


class Transfers:
    """A simulated cell in real time whose trainer is this process."""

    def __init__(self, folder: Path, monitor: Monitor, tick: Callable[[], None]) -> None:
        self._monitor, self._tick = monitor, tick
        self._received, self._log = folder / "robot" / RECEIVED, folder / LOGS / "policy.log"
        self._folders = {read_card(card.parent).version: card.parent for card in folder.glob(f"*/v*/{CARD}")}
        offer_pieces(monitor.node, lambda version: self._folders.get(version, folder))
        self._updates = monitor.node.create_publisher(ModelUpdate, "model_update", LATCHED)

    def measure(self, versions: Sequence[Path], quiet: float) -> dict[str, Any]:
        """Bring versions one after the other; the first, for which the service has to be found, does not count. quiet:
        seconds for which images are timed before."""
        self._bring(versions[0])
        before = self._images(lambda: self._wait(quiet))
        took: list[float] = []
        during = self._images(lambda: took.extend(map(self._bring, versions[1:])))
        self._monitor.swap_ms.clear()
        self._monitor.trigger("policy/start")
        self._wait_until(lambda: self._monitor.swap_ms, "a grasp with the newest version")
        self._monitor.trigger("policy/stop")
        size = (versions[-1] / WEIGHTS).stat().st_size
        arrival = {"p50": round(percentile(took, 50), 1), "max": round(max(took), 1)}
        swap_ms = round(self._monitor.swap_ms[-1], 4)
        return {"bytes": size, "arrival_ms": arrival, "swap_ms": swap_ms, "images": before, "images_meanwhile": during}

    def _images(self, meanwhile: Callable[[], object]) -> dict[str, float]:
        check = ImageCheck(self._monitor.node, "image_raw")
        self._wait_until(lambda: check.observations > 1, "images")
        meanwhile()
        seen = check.observations
        self._wait_until(lambda: check.observations > seen + 1, "images")
        return check.finish()

    def _bring(self, folder: Path) -> float:
        """Announce a version; returns the milliseconds until it has arrived, when it is loaded too."""
        card, begun = read_card(folder), time.monotonic()
        self._updates.publish(ModelUpdate(version=card.version, path=str(folder), sha256=card.sha256))
        there = f"*/v{card.version:04d}-*/{CARD}"
        self._wait_until(lambda: next(self._received.glob(there), None), f"version {card.version}")
        took = (time.monotonic() - begun) * 1e3
        loaded = f"version {card.version} is loaded"
        self._wait_until(lambda: loaded in self._log.read_text(), f"version {card.version}")
        return took

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self._wait_until(lambda: time.monotonic() >= end, "")

    def _wait_until(self, condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            self._tick()
            if time.monotonic() > deadline:
                raise RobotError(f"waited in vain for {what}")
            time.sleep(TICK)


def main(folder: Path, quiet: float) -> int:
    """Measure what is in `folder`; returns the exit code."""
    environment = graph_environment(simulated=True)
    os.environ.update(environment)  # this process takes part in the graph
    runner = ProcessRunner(folder / LOGS, environment, print)
    monitor = Monitor(int(environment["ROS_DOMAIN_ID"]), runner.poll, TRAINER)
    options = BringupOptions(
        policy=str(folder / "base"), out=str(folder / "robot"), train=False, start_grasping=False, versions="dds",
        promotion="immediate",
    )  # fmt: skip
    try:
        runner.start(node_graph(options))
        transfers = Transfers(folder, monitor, runner.poll)
        names = sorted({card.parents[1].name for card in folder.glob(f"*/v*/{CARD}")})
        found = {name: transfers.measure(sorted((folder / name).glob("v*")), quiet) for name in names}
    finally:
        runner.stop()
        monitor.close()
    print(to_json(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute(), float(sys.argv[2])))
