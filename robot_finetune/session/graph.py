"""Which nodes a session starts, and whether they are all there."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from robot_finetune.config import SEED_LIMIT
from robot_finetune.data.promotion_log import facts, read_promotion
from robot_finetune.graph.bringup import node_graph
from robot_finetune.graph.node_spec import NodeSpec
from robot_finetune.graph.options import BringupOptions
from robot_finetune.robot.profile import SIMULATED, RobotProfile
from robot_finetune.session.options import SessionOptions
from robot_finetune.session.record import Phases
from robot_finetune.session.versions import newest_sound
from robot_finetune.types import EVALUATE


def session_graph(folder: Path, options: SessionOptions, phases: Phases, runs: int) -> list[NodeSpec]:
    """The nodes of a session that has `runs` runs behind it and made the grasps in `phases`. Raises ConfigError.

    The policy waits for ~/start and begins with the version that acted last; the trainer goes on from its base.
    A resumed session gets scenes of its own. Without anything left to learn there is no trainer.
    """
    seed = options.seed if not runs else int(np.random.default_rng([options.seed, runs]).integers(SEED_LIMIT))
    graph = BringupOptions(
        robot=options.robot,
        variation=options.variation,
        policy=str(options.checkpoint),
        out=str(folder),
        earlier=os.pathsep.join(options.earlier),
        mode=EVALUATE,
        seed=seed,
        train=not options.scripted
        and options.grasps > 0
        and (len(phases.towards(options.mode)) < options.grasps or (options.measures and not phases.after)),
        start_grasping=False,
        accept_updates=False,
        promotion=options.promotion,
        real_time_factor=options.real_time_factor,
        params_file=options.params_file,
    )
    first = _first_policy(folder)
    own: dict[str, dict[str, Any]] = {"policy": {"policy": first}} if first else {}
    if not options.tensorboard:
        own["trainer"] = {"training.tensorboard": False}
    return [
        dataclasses.replace(spec, parameters={**spec.parameters, **own.get(spec.name, {})})
        for spec in node_graph(graph)
    ]


def _first_policy(folder: Path) -> str:
    """The policy that the record of promotions in the folder began with; the newest version of a session without."""
    known = facts(read_promotion(folder)[0])
    newest = newest_sound(folder)
    return known[0].path if known else str(newest.folder) if newest else ""


def expected_topics(profile: RobotProfile, specs: Sequence[NodeSpec]) -> Mapping[str, str]:
    """The topics that have to be published before anything moves, with the node that should do so."""
    simulated = profile.name == SIMULATED
    driver = "camera" if profile.camera.published else "the camera driver"
    topics = {
        profile.full_image_topic: "sim_cell" if simulated else driver,
        profile.joint_states_topic: "sim_cell" if simulated else "the arm driver",
        "observation": "camera",
        "grasp_outcome": "grasp_detector",
        "episode_summary": "episode_logger",
        "policy_status": "policy",
        "trainer_status": "trainer",
    }
    if not any(spec.name == "trainer" for spec in specs):
        del topics["trainer_status"]
    return topics
