"""Parameters of the node `policy`."""

from __future__ import annotations

from dataclasses import dataclass

from robot_finetune.config import setting
from robot_finetune.data.promotion_log import FLEET_HELP
from robot_finetune.data.version_store import WAYS
from robot_finetune.learning.device import AUTO, NAMES
from robot_finetune.learning.promotion.autonomy import AutonomyConfig
from robot_finetune.learning.promotion.gate import PromotionConfig
from robot_finetune.learning.q_policy import PolicyConfig
from robot_finetune.perception.scripted_policy import ScriptedConfig
from robot_finetune.robot.joystick import JoystickConfig
from robot_finetune.types import EXPLORE, WISHES


@dataclass(frozen=True)
class PolicyParameters:
    """What the node is told; see config/policy.yaml."""

    robot: str = setting("sim", "robot: a name in config/robots or a YAML file")
    policy: str = setting("", "checkpoint folder to start with; empty: the shipped base policy")
    variation: str = setting(
        "base", "state of the cell, a name in config/variations or a YAML file; from the next episode on"
    )
    mode: str = setting(
        EXPLORE,
        "explore to learn, evaluate to measure, auto to work and learn when success falls, scripted to grasp without a "
        "network, demonstrate for a person alone; from the next episode on",
        choices=WISHES,
    )
    seed: int = setting(0, "seed of exploration", low=0, high=2**31 - 1)
    device: str = setting(
        AUTO, f"where it decides: {NAMES}; auto is the CPU for the network compact, for others an accelerator if any"
    )
    start_grasping: bool = setting(True, "start grasping at once; otherwise wait for ~/start")
    max_episodes: int = setting(0, "episodes after ~/start until the node goes idle; 0: no end", low=0, high=2**31 - 1)
    accept_updates: bool = setting(True, "take new versions from the trainer; false keeps the version that acts")
    out: str = setting("", "output folder, whose promotion.jsonl says how versions did; empty: nothing is kept")
    versions: str = setting("", WAYS)
    fleet: str = setting("", FLEET_HELP)
    ready_timeout: float = setting(30.0, "longest wait for all devices at the start", unit="s", low=0.1, high=3600.0)
    outcome_timeout: float = setting(
        10.0, "longest wait for the grasp detector before grasping pauses", unit="s", low=0.1, high=600.0
    )
    summary_timeout: float = setting(
        10.0, "longest wait for the logger before grasping pauses", unit="s", low=0.1, high=600.0
    )
    episode_timeout: float = setting(
        60.0, "longest duration of one episode, robot time", unit="s", low=1.0, high=3600.0
    )
    max_failures: int = setting(3, "discarded episodes in a row after which the state is error", low=1, high=100)
    actions: PolicyConfig = setting(PolicyConfig)
    scripted: ScriptedConfig = setting(ScriptedConfig)
    joystick: JoystickConfig = setting(JoystickConfig)
    promotion: PromotionConfig = setting(PromotionConfig)
    auto: AutonomyConfig = setting(AutonomyConfig)
