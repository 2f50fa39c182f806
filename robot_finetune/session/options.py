"""What a session is asked to do, kept in its folder as session.yaml so that it can be resumed and reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from robot_finetune.config import SEED_LIMIT, ConfigError, from_mapping, from_yaml, policy_folder, setting, to_mapping
from robot_finetune.data.atomic_file import atomic_file
from robot_finetune.data.layout import SESSION_FILE
from robot_finetune.data.promotion_log import GATED, IMMEDIATE
from robot_finetune.types import AUTO, EXPLORE, SCRIPTED


@dataclass(frozen=True)
class SessionOptions:
    """The arguments of a session."""

    robot: str = setting("sim", "robot: a name in config/robots or a YAML file")
    variation: str = setting("transparent_bottles", "state of the cell: a name in config/variations or a YAML file")
    mode: str = setting(
        EXPLORE,
        "explore: measure, learn, measure again; auto: work, and learn whenever success falls",
        choices=(EXPLORE, AUTO),
    )
    grasps: int = setting(
        200,
        "grasps to learn from, with mode auto all grasps; 0: the policy is measured and that is all",
        low=0,
        high=100_000,
    )
    before: int = setting(100, "grasps that measure the first policy", low=0, high=10_000)
    after: int = setting(100, "grasps that measure the policy that is promoted at the end", low=0, high=10_000)
    seed: int = setting(0, "seed of scenes, exploration and training", low=0, high=SEED_LIMIT)
    policy: str = setting(
        "",
        "checkpoint folder to start from; empty: the shipped base policy; scripted: grasps without a network, to learn "
        "from later",
    )
    earlier: tuple[str, ...] = setting(
        (), "folder of an earlier session whose grasps are rehearsed, besides that which the policy is from; repeatable"
    )
    promotion: str = setting(
        GATED, "how a version comes to act: on trial first, or from the next episode on", choices=(GATED, IMMEDIATE)
    )
    last_trial: int = setting(
        40, "grasps at the end of learning that try the trainer's newest version (promotion gated)", low=0, high=10_000
    )
    real_time_factor: float = setting(0.0, "speed of the simulated cell; 0: as fast as it can", low=0.0, high=100.0)
    image_check: float = setting(10.0, "how long images are timed while the robot rests", unit="s", low=0.0, high=600.0)
    discard_share: float = setting(
        0.1, "share of discarded episodes above which the session says so, with the commonest reason", low=0.0, high=1.0
    )
    tensorboard: bool = setting(True, "write curves for TensorBoard into the folder `tensorboard`")
    params_file: str = setting("", "ROS parameter file that is read after the package's own")

    def __post_init__(self) -> None:
        if not self.grasps and self.learning_mode != EXPLORE:
            raise ConfigError(f"grasps = 0: mode {self.learning_mode} measures nothing; allowed is at least 1")

    @property
    def measured_after(self) -> int:
        """Grasps that measure the policy at the end: none where nothing is learned."""
        return self.after if self.grasps else 0

    @property
    def scripted(self) -> bool:
        """Whether grasps are made without a network, to learn from later."""
        return self.policy == SCRIPTED

    @property
    def learning_mode(self) -> str:
        """What the policy is asked for while it may learn."""
        return SCRIPTED if self.scripted else self.mode

    @property
    def measures(self) -> bool:
        """Whether grasps measure a policy before and after: not where there is none, or where work itself tells."""
        return self.learning_mode == EXPLORE

    @property
    def checkpoint(self) -> Path:
        """The folder of the policy to start from. Raises ConfigError where there is none."""
        return policy_folder("" if self.scripted else self.policy)


@dataclass(frozen=True)
class SessionHead:
    """session.yaml: the options of a session, and what they meant when it began."""

    options: SessionOptions = setting(SessionOptions)
    started: str = setting("", "local date and time of the first start")
    base_version: int = setting(0, "version of the policy that the session began with", low=0)
    base_parent: int = setting(0, "version that it was trained from", low=0)
    base_sha256: str = setting("", "hash of its weights")
    variation: str = setting("base", "name of the variation, as in the episodes")
    description: str = setting("", "what the variation changes")
    operator_note: str = setting("", "what a person changes on a real cell")


def write_head(folder: Path, head: SessionHead) -> None:
    """Write DIR/session.yaml. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_file(folder / SESSION_FILE) as stream:
        stream.write(yaml.safe_dump(to_mapping(head), sort_keys=False, allow_unicode=True).encode())


def read_head(folder: Path) -> SessionHead:
    """Read DIR/session.yaml. Raises ConfigError where DIR holds no session."""
    if not (folder / SESSION_FILE).is_file():
        raise ConfigError(f"{folder}: no session there ({SESSION_FILE} is missing); give the --out folder of a session")
    return from_yaml(SessionHead, folder / SESSION_FILE)


def merge_options(given: Mapping[str, Any], stored: SessionOptions | None = None) -> SessionOptions:
    """The options of a command line (None where not given) over the stored ones or the defaults. Raises ConfigError."""
    chosen = {key: value for key, value in given.items() if value is not None}
    return from_mapping(SessionOptions, {**(to_mapping(stored) if stored else {}), **chosen}, "session")
