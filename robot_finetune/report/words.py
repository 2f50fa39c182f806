"""What a report says, as plain text and rows: of its HTML page, of the terminal and of the live page alike."""

from __future__ import annotations

from collections import Counter
from typing import Any

from robot_finetune.data.label_log import DISCARD
from robot_finetune.data.promotion_log import ADAPTING, LOOKS, PHRASES, WORKING, Decision
from robot_finetune.robot.discards import too_many
from robot_finetune.robot.profile import SIMULATED
from robot_finetune.session.metrics import COMPLETE
from robot_finetune.session.record import SessionRecord, success
from robot_finetune.types import AUTO


def headline(record: SessionRecord) -> str:
    """The result in one sentence."""
    phases = record.phases
    if record.head.options.mode == AUTO and phases.all:
        return f"{len(phases.all)} grasps in mode auto, {success(phases.all)} of them successful"
    before, after, grasps = success(phases.before), success(phases.after), len(phases.learning)
    if before.episodes and after.episodes:
        change = 100 * (after.rate - before.rate)
        if abs(change) < 0.5:
            return f"Grasp success stayed at {100 * after.rate:.0f} % after {grasps} grasps"
        verb = "rose" if after.above(before) else "fell" if before.above(after) else "went"
        return f"Grasp success {verb} from {100 * before.rate:.0f} % to {100 * after.rate:.0f} % after {grasps} grasps"
    if grasps and record.head.options.scripted:
        return f"{grasps} grasps without a network, {success(phases.learning)} of them successful"
    if grasps:
        return f"{grasps} grasps learned from, {success(phases.learning)} of them successful"
    if before.episodes:
        return f"First policy measured: {before}"
    return "No grasp was made"


def verdict(record: SessionRecord) -> str:
    """How sure that is, or why it is not complete, in one sentence."""
    phases, ended = record.phases, record.metrics.ended
    before, after = success(phases.before), success(phases.after)
    stopped = "" if ended in ("", COMPLETE) else f" The session is not complete: {ended}."
    if record.head.options.scripted:
        robot = record.head.options.robot
        words = f"--episodes {record.folder}{'' if robot == SIMULATED else f' --robot {robot}'} --out runs/mine"
        return f"To learn from them: robot-finetune pretrain {words}.{stopped}"
    if record.head.options.mode == AUTO:
        return f"{_changes_of_mind(record)}.{stopped}"
    if not record.head.options.grasps and before.episodes:
        return f"95 % interval {_interval(before.ci95)}; nothing was learned.{stopped}"
    if not (before.episodes and after.episodes):
        return f"Before and after are not both measured.{stopped}"
    if after.above(before):
        sure = "the intervals are apart: the policy became better"
    elif before.above(after):
        sure = "the intervals are apart: the policy became worse"
    else:
        sure = "the intervals overlap: more grasps are needed to tell"
    return f"95 % intervals {_interval(before.ci95)} before and {_interval(after.ci95)} after; {sure}.{stopped}"


def _changes_of_mind(record: SessionRecord) -> str:
    """When mode auto began to learn and to work again, and why."""
    decisions = [entry for entry in record.promotion if isinstance(entry, Decision)]
    told = [made for made in decisions if made.decision in (ADAPTING, WORKING, LOOKS)]
    lines = [f"after {made.grasp} grasps it {PHRASES[made.decision]}: {made.reason}" for made in told]
    said = "; ".join(lines)
    return said[:1].upper() + said[1:] or "Success was as usual: there was nothing to learn"


def discards(record: SessionRecord) -> str:
    """That too many episodes were discarded, and why, in one sentence; "" if they were not."""
    complaint = too_many(record.metrics.discarded, len(record.phases.all), record.head.options.discard_share)
    return complaint and f"{complaint}."


def corrections(record: SessionRecord) -> str:
    """What people have said of grasps afterwards, in one sentence; "" if nothing."""
    grasps = record.phases.all
    wrong, gone = sum(grasp.corrected for grasp in grasps), sum(grasp.label == DISCARD for grasp in grasps)
    confirmed = sum(bool(grasp.label) for grasp in grasps) - wrong - gone
    said = {"corrected": wrong, "confirmed": confirmed, "discarded": gone}
    told = ", ".join(f"{count} {name}" for name, count in said.items() if count)
    return told and f"Judgements that were looked at afterwards: {told}."


def _interval(bounds: tuple[float, float]) -> str:
    return f"{100 * bounds[0]:.0f} to {100 * bounds[1]:.0f} %"


def identity(record: SessionRecord) -> str:
    """Which session it is, in one line."""
    head = record.head
    return f"{head.variation} · robot {head.options.robot} · seed {head.options.seed} · {head.started}"


def failure_counts(record: SessionRecord) -> list[tuple[str, int, int, int]]:
    """How failed grasps ended, the commonest first, with how many did so before, while learning and after."""
    phases = record.phases
    parts = (phases.before, phases.learning, phases.after)
    counts = [Counter(grasp.end_reason for grasp in part if not grasp.success) for part in parts]
    reasons = sorted(set().union(*counts), key=lambda reason: -sum(count[reason] for count in counts))
    return [(reason or "unknown", *(count[reason] for count in counts)) for reason in reasons]  # type: ignore[misc]


def timing_rows(record: SessionRecord, summary: dict[str, Any]) -> list[tuple[str, str]]:
    """How fast everything was: names and wall times."""
    decision, pictures, swap = summary["decision_ms"], summary["image"], summary["swap_ms"]
    return [
        ("decision, image to action, p50 / p95", f"{number(decision['p50'])} / {number(decision['p95'])} ms"),
        ("camera driver to observation, p50 / p95", f"{number(pictures['p50_ms'])} / {number(pictures['p95_ms'])} ms"),
        ("images", f"{number(pictures['hz'])} Hz, {number(pictures['lost'], 0)} lost"),
        ("swap of the policy, p50 / largest", f"{number(swap['p50'], 3)} / {number(swap['max'], 3)} ms"),
        ("grasps a minute", number(summary["grasps_per_minute"])),
        ("until the node graph was up", f"{number(summary['set_up_s'])} s"),
        ("whole session", f"{number(summary['wall_s'], 0)} s in {record.metrics.runs} run(s)"),
    ]


def trouble_lines(record: SessionRecord) -> list[str]:
    """Processes that were started again, episodes that were discarded and files that cannot be read."""
    lines = [f"{name} was started again {count} time(s)" for name, count in record.metrics.restarts.items()]
    lines += [f"{count} episode(s) discarded: {reason}" for reason, count in record.metrics.discarded.items()]
    return [*lines, *record.corrupt]


def number(value: float | None, digits: int = 1) -> str:
    """A figure as text; a dash where it was not measured."""
    return "–" if value is None else f"{value:.{digits}f}"
