"""Robots of one lineage try a version together: their evidence is pooled, and the error rates hold."""

import math
from dataclasses import asdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_promotion import offered, run, words

from robot_finetune.data.promotion_log import BEGUN, HEARD, JUDGED, STARTED, Fact, VersionId
from robot_finetune.experiments.benchmarks.trust import trials
from robot_finetune.learning.promotion.autonomy import restored
from robot_finetune.learning.promotion.gate import Gate
from robot_finetune.learning.promotion.trial import Evidence, Trial
from robot_finetune.types import CANDIDATE, INCUMBENT

COUNTS = st.integers(0, 40)
EVIDENCE = st.builds(
    lambda a, b, c, d, better, worse: Evidence(a + b, a, c + d, c, better, worse),
    *[COUNTS] * 4,
    *[st.floats(1e-3, 1e3)] * 2,
)  # fmt: skip


def on_trial(blocks=0):
    """A gate that tries version 1 against version 0; the candidate has succeeded in each block, the incumbent not."""
    gate = Gate(VersionId(0))
    gate.apply(offered(1))
    run(gate, lambda version: float(version), 2 * blocks, AlwaysHalf())
    if not blocks:
        gate.apply(Fact(BEGUN, explore=True))
    assert gate.state == "trial"
    return gate


class AlwaysHalf:
    def random(self):
        return 0.5


def heard(evidence, robot="/b", trial=1, version=0):
    return Fact(HEARD, version, robot=robot, trial=trial, evidence=asdict(evidence))


def test_what_two_robots_know_together_promotes_what_neither_would_alone():
    alone, together = on_trial(5), on_trial(4)
    other = alone.evidence
    assert 5 < other.better < 20
    together.apply(heard(other))
    assert together.state == "trial", "a robot decides at the end of its own block"
    (decision,) = run(together, lambda version: float(version), 2, AlwaysHalf())
    assert decision.decision == "promoted" and "of 2 robots" in decision.reason
    assert decision.evidence["candidate_grasps"] == 10 and decision.evidence["better"] >= 20
    assert decision.evidence["better"] == pytest.approx(other.better**2)


def test_a_candidate_that_this_robot_has_hardly_tried_is_not_promoted_by_others():
    gate = on_trial()
    gate.apply(heard(Evidence(60, 20, 60, 55, better=1e6, worse=1e-3)))
    assert words(run(gate, lambda version: float(version), 6, AlwaysHalf())) == []
    assert words(run(gate, lambda version: float(version), 2, AlwaysHalf())) == ["promoted"]


@pytest.mark.parametrize("fact", [heard(Evidence(better=1e6), version=7), heard(Evidence(better=1e6), trial=2)])
def test_another_question_is_not_this_one(fact):
    """Of another incumbent; of a later trial of a robot whose first one is a partner already."""
    gate = on_trial()
    gate.apply(heard(Evidence(better=2.0)))
    gate.apply(fact)
    assert gate.pooled.better == pytest.approx(2.0) and gate.robots == 2


def test_evidence_ends_with_its_trial():
    gate = on_trial()
    gate.apply(heard(Evidence(60, 55, 60, 5, better=1e-3, worse=1e6)))
    assert words(run(gate, lambda version: 0.0, 2, AlwaysHalf())) == ["rejected"]
    gate.apply(heard(Evidence(worse=1e6)))  # while none is on trial
    gate.apply(offered(2))
    gate.apply(Fact(BEGUN, explore=True))
    assert gate.robots == 1 and gate.pooled.worse == 1.0


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["/b", "/c", "/d"]), st.lists(EVIDENCE, min_size=1, max_size=4)), st.randoms())
def test_the_newest_word_of_each_robot_counts_in_whatever_order_they_come(said, random):
    trial = Trial()
    for side, success in ((CANDIDATE, True), (INCUMBENT, False)):
        trial.record(side, success)
    queues = {robot: list(words) for robot, words in said.items()}
    while queues:
        robot = random.choice(sorted(queues))
        trial.hear(robot, 1, queues[robot].pop(0))
        if not queues[robot]:
            del queues[robot]
    last = [trial.evidence, *(words[-1] for words in said.values())]
    assert trial.robots == len(last)
    assert asdict(trial.pooled) == pytest.approx(asdict(Evidence.pooled(last)))
    assert trial.e_values == pytest.approx((trial.pooled.better, trial.pooled.worse))
    assert trial.pooled.better == pytest.approx(math.prod(one.better for one in last))
    assert trial.pooled.candidate.grasps == sum(one.candidate_grasps for one in last)


def test_a_restart_in_a_pooled_trial_goes_on_with_the_same_evidence():
    gate, told = Gate(VersionId(0)), [Fact(STARTED)]

    def tell(fact):
        told.append(fact)
        return gate.apply(fact)

    tell(offered(1))
    for success in (True, True, False, True):
        tell(Fact(BEGUN, explore=True))
        turn = gate.turn(True)
        tell(Fact(JUDGED, *turn.id, side=turn.side, success=success))
        tell(heard(Evidence(4, 1, 4, 3, better=2.5, worse=0.4)))
    again, _ = restored(told, gate.config)
    assert (again.pooled, again.robots, again.turn(True)) == (gate.pooled, 2, gate.turn(True))


def test_pooling_halves_the_grasps_and_keeps_the_error_rates():
    one, four = ({row["difference"]: row for row in trials(200, robots)} for robots in (1, 4))
    assert four[0.2]["promoted"] == four[0.2]["trials"]
    assert four[0.2]["median_grasps"] < 0.5 * one[0.2]["median_grasps"]
    highest = 0.05 + 3 * math.sqrt(0.05 * 0.95 / (200 / 4))  # robots of a fleet err together
    for row in four.values():
        wrong = row["promoted"] if row["difference"] <= 0 else row["rejected"]
        assert wrong / row["trials"] < highest
