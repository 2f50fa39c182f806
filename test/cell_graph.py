"""The simulated cell and the nodes around a policy, as real processes; `cell` and `slow_cell` are fixtures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


class CellGraph:
    """sim_cell, camera and grasp_detector run; a test starts the other nodes. Lists hold what is published."""

    def __init__(self, spawn_node: Callable[..., Any], ros: Any, out: Path, real_time_factor: float = 0.0) -> None:
        from robot_finetune.msg import EpisodePhase, EpisodeSummary, ModelUpdate, PolicyStatus, PolicyStep
        from robot_finetune.ros.node.qos import EPISODE, LATCHED, STEP

        self._spawn, self.out = spawn_node, out
        self._empty, self._update = PolicyStatus(), ModelUpdate
        self.statuses = ros.collect(PolicyStatus, "policy_status", LATCHED)
        self.phases = ros.collect(EpisodePhase, "episode_phase", EPISODE)
        self.steps = ros.collect(PolicyStep, "policy_step", STEP)
        self.summaries = ros.collect(EpisodeSummary, "episode_summary", EPISODE)
        self._updates = ros.publisher(ModelUpdate, "model_update", LATCHED, listened=False)
        self.sim = spawn_node("sim_cell", {"real_time_factor": real_time_factor})
        self.camera = self.spawn("camera")
        self.detector = self.spawn("grasp_detector")
        self.checkpoint(0)

    def spawn(self, name: str, **params: Any) -> Any:
        """Start a node on the cell's clock."""
        return self._spawn(name, {"use_sim_time": True, **params})

    def logger(self) -> Any:
        return self.spawn("episode_logger", out=str(self.out))

    def policy(self, **params: Any) -> Any:
        """Start the policy with a small random network as version 0; versions act at once unless told otherwise."""
        return self.spawn("policy", **{"policy": str(self.out / "v0"), "promotion.mode": "immediate", **params})

    def checkpoint(self, version: int) -> str:
        """Write a small random network as a version; returns its sha256."""
        from robot_finetune.learning.checkpoint import save_checkpoint
        from robot_finetune.learning.networks.build import build_network
        from robot_finetune.learning.networks.interface import NetworkConfig

        network = build_network(NetworkConfig(channels=8, hidden=8, max_steps=3), version)
        return save_checkpoint(self.out / f"v{version}", network, version, max(0, version - 1), {})

    def announce(self, version: int, sha256: str = "") -> None:
        """Publish a version as the trainer does; with a sha256 that is not its own, as if its file were damaged."""
        made = self.checkpoint(version)
        self.tell(version, str(self.out / f"v{version}"), sha256 or made)

    def tell(self, version: int, path: str, sha256: str) -> None:
        """Publish that there is a version."""
        self._updates.publish(self._update(version=version, path=path, sha256=sha256))

    @property
    def status(self) -> Any:
        """Newest PolicyStatus."""
        return self.statuses[-1] if self.statuses else self._empty

    @property
    def state(self) -> str:
        """Of the policy, by its name."""
        from robot_finetune.ros.constants import STATE

        return STATE.name(self.status.state) if self.statuses else ""

    @property
    def phase(self) -> str:
        """The newest phase of an episode, by its name."""
        return self.phase_names()[-1] if self.phases else ""

    def phase_names(self, episode_id: str = "") -> list[str]:
        """The phases of an episode, or of all."""
        from robot_finetune.ros.constants import PHASE

        return [PHASE.name(event.phase) for event in self.phases if episode_id in ("", event.episode_id)]

    def discarded(self) -> set[str]:
        """Episodes that were discarded."""
        from robot_finetune.ros.constants import PHASE

        return {event.episode_id for event in self.phases if event.phase == PHASE.number("discarded")}

    def finished(self) -> bool:
        return self.state == "idle" and "episodes are done" in self.status.message


@pytest.fixture
def cell(spawn_node: Callable[..., Any], ros: Any, tmp_path: Path) -> CellGraph:
    return CellGraph(spawn_node, ros, tmp_path)


@pytest.fixture
def slow_cell(spawn_node: Callable[..., Any], ros: Any, tmp_path: Path) -> CellGraph:
    """In real time, so that a motion takes as long as on an arm."""
    return CellGraph(spawn_node, ros, tmp_path, real_time_factor=1.0)
