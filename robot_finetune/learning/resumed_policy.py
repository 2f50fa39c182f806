"""A policy whose versions go on where an earlier process of the same output folder left them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from robot_finetune.data.promotion_log import FAILED, STARTED, Decision, Fact, PromotionLog, facts, read_promotion
from robot_finetune.learning.checkpoint import CheckpointError, load_checkpoint
from robot_finetune.learning.promotion.autonomy import Autonomy, AutonomyConfig, restored
from robot_finetune.learning.promotion.gate import Gate, PromotionConfig
from robot_finetune.learning.q_policy import QPolicy
from robot_finetune.learning.version_switch import SwitchingPolicy, version_id
from robot_finetune.robot.interfaces import Policy


def resumed_policy(
    policy: QPolicy,
    folder: Path,
    out: Path | None,
    config: PromotionConfig,
    complain: Callable[[str], None],
    scripted: Policy | None = None,
    auto: AutonomyConfig = AutonomyConfig(),
) -> SwitchingPolicy:
    """The policy of checkpoint `folder` with its gate, and what mode "auto" does, as `out`/promotion.jsonl tells.
    Without `out`, or if that is about another first version, both are new.

    scripted: acts in episodes of mode "scripted".

    complain: takes one line for each thing that is passed over, and for each that cannot be written: then a restart
    will not know of it, and the robot works on. Raises OSError if `out` cannot be read or made.
    """
    first = version_id(policy.checkpoint)
    if out is None:
        return SwitchingPolicy(policy, Gate(first, config), scripted=scripted, autonomy=Autonomy(auto))
    log = PromotionLog(out)

    def record(entry: Fact | Decision) -> None:
        try:
            log.add(entry)
        except OSError as error:
            complain(f"{out}: what happened to a version is not recorded: {error}; make room")

    entries, damaged = read_promotion(out)
    for line in damaged:
        complain(line)
    told = facts(entries)
    if not told or told[0].id != first:
        record(Fact(STARTED, *first, path=str(folder)))
        return SwitchingPolicy(policy, Gate(first, config), record, scripted=scripted, autonomy=Autonomy(auto))
    gate, autonomy = restored(told, config, auto)
    switching = SwitchingPolicy(policy, gate, record, scripted=scripted, autonomy=autonomy)
    folders = {fact.id: Path(fact.path) for fact in told if fact.path}
    for known in gate.kept - {first}:
        try:
            switching.restore(load_checkpoint(folders[known], known.sha256, policy.device), folders[known])
        except CheckpointError as error:
            complain(f"version {known.version} is left out: {error}")
            switching.apply(Fact(FAILED, *known))
    return switching
