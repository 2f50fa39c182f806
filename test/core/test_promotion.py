"""The promotion gate: its tests keep their error rates, and its decisions follow from what happened alone."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_finetune.data.promotion_log import (
    BEGUN,
    FAILED,
    JUDGED,
    OFFERED,
    PROMOTE,
    ROLLBACK,
    STARTED,
    Fact,
    VersionId,
)
from robot_finetune.learning.promotion.autonomy import restored
from robot_finetune.learning.promotion.gate import Gate, NothingToDecide, PromotionConfig
from robot_finetune.learning.promotion.sequential import EProcess, probability_better
from robot_finetune.learning.promotion.trial import Trial
from robot_finetune.types import CANDIDATE, INCUMBENT, NO_TRIAL


def run(gate, rate, grasps, rng, explore=True):
    """Grasps by turns, each successful by `rate` of its version; returns the decisions."""
    decisions = []
    for _ in range(grasps):
        decisions += gate.apply(Fact(BEGUN, explore=explore))
        turn = gate.turn(explore)
        success = bool(rng.random() < rate(turn.id.version))
        decisions += gate.apply(Fact(JUDGED, *turn.id, side=turn.side, success=success))
    return decisions


def offered(version):
    return Fact(OFFERED, version, f"hash {version}")


def words(decisions):
    return [decision.decision for decision in decisions]


# The tests behind the decisions


def test_golden_numbers_of_the_e_process():
    process = EProcess()
    for value in (1, 1, 0, -1, 1):
        process.add(value)
    expected = np.mean([(1 + bet) ** 3 * (1 - bet) for bet in (0.2, 0.4, 0.6)])
    assert process.evidence == pytest.approx(expected) == pytest.approx(1.555733, abs=1e-6)
    shifted = EProcess(0.1)
    shifted.add(0.5)
    assert shifted.evidence == pytest.approx(1 + 0.4 * 0.4)


@pytest.mark.parametrize("value", [1.01, -1.01, math.nan])
def test_the_e_process_refuses_what_breaks_its_promise(value):
    with pytest.raises(ValueError):
        EProcess().add(value)
    with pytest.raises(ValueError):
        EProcess(value)


@pytest.mark.parametrize(("rate", "mean"), [(0.3, 0.0), (0.8, 0.0), (0.6, 0.1)])
def test_false_alarms_of_the_e_process_stay_below_their_level_however_often_one_looks(rate, mean):
    """Two sides whose rates differ by exactly `mean`, looked at after each of 400 pairs."""
    rng, alarms, runs = np.random.default_rng(1), 0, 400
    for _ in range(runs):
        process = EProcess(mean)
        for value in (rng.random(400) < rate + mean).astype(int) - (rng.random(400) < rate):
            process.add(float(value))
            if process.evidence >= 1 / 0.1:
                alarms += 1
                break
    assert alarms / runs < 0.1 + 3 * math.sqrt(0.1 * 0.9 / runs)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_probability_that_one_rate_is_the_higher(a, b, c, d):
    """Against numbers drawn from both posteriors."""
    rng = np.random.default_rng(0)
    drawn = np.mean(rng.beta(a + 1, b + 1, 40_000) > rng.beta(c + 1, d + 1, 40_000))
    assert probability_better(a, a + b, c, c + d) == pytest.approx(drawn, abs=0.015)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40), st.lists(st.booleans(), min_size=40, max_size=40)
)
def test_only_the_counts_of_a_block_matter_not_their_order(pairs, turned):
    trials = Trial(), Trial()
    for (new, old), turn in zip(pairs, turned, strict=False):
        sides = [(CANDIDATE, new), (INCUMBENT, old)]
        for trial, order in zip(trials, (sides, sides[::-1] if turn else sides), strict=True):
            for side, success in order:
                trial.record(side, success)
    assert trials[0].evidence == trials[1].evidence and trials[0].own_lead == trials[1].own_lead


@pytest.mark.parametrize(("share", "part"), [(0.5, 1 / 2), (0.25, 1 / 4), (0.75, 3 / 4), (0.3, 2 / 7)])
def test_each_block_has_the_candidates_share(share, part):
    trial, made = Trial(share, seed=3), []
    for _ in range(280):
        made.append(trial.side)
        trial.record(trial.side, True)
    assert made.count(CANDIDATE) / len(made) == pytest.approx(part)
    assert trial.between_blocks and len({tuple(made[i : i + 4]) for i in range(0, 280, 4)}) > 1


# The gate


def test_a_better_candidate_is_promoted_and_then_watched():
    gate, rng = Gate(VersionId(0)), np.random.default_rng(0)
    gate.apply(offered(1))
    decisions = run(gate, lambda version: 0.9 if version else 0.3, 60, rng)
    assert words(decisions) == ["trial", "promoted"]
    evidence = decisions[1].evidence
    assert evidence["better"] >= 20 and evidence["candidate_grasps"] + evidence["incumbent_grasps"] <= 60
    assert gate.incumbent.version == 1 and gate.state == "watch"
    run(gate, lambda version: 0.9, 60, rng)
    assert gate.state == "steady"


def test_a_worse_candidate_is_rejected_and_never_comes_back():
    gate, rng = Gate(VersionId(0)), np.random.default_rng(0)
    gate.apply(offered(1))
    decisions = run(gate, lambda version: 0.1 if version else 0.8, 60, rng)
    assert words(decisions) == ["trial", "rejected"] and gate.incumbent.version == 0
    gate.apply(offered(1))
    assert run(gate, lambda version: 0.8, 4, rng) == [] and gate.waiting is None


def test_after_a_rejection_the_next_one_needs_proof():
    gate, rng = Gate(VersionId(0)), np.random.default_rng(0)
    gate.apply(offered(1))
    run(gate, lambda version: 0.1 if version else 0.8, 60, rng)
    gate.apply(offered(2))
    run(gate, lambda version: 0.8, 40, rng)
    (decision,) = gate.apply(Fact(BEGUN, explore=False))
    assert decision.decision == "kept" and "proof" in decision.reason and gate.incumbent.version == 0
    assert run(gate, lambda version: 0.8, 5, rng, explore=False) == [], "it is said once a measurement"


def test_a_version_with_a_clearly_worse_offline_score_never_acts():
    gate = Gate(VersionId(0))
    scores = {"grasps": 20.0, "log_loss": 2.5, "first": 0.6}
    (decision,) = gate.apply(Fact(OFFERED, 1, "a", scores={**scores, "worse": 4.2}))
    assert decision.decision == "rejected" and "2.50" in decision.reason and decision.evidence["worse"] == 4.2
    assert gate.waiting is None and VersionId(1, "a") in gate.refused
    assert gate.apply(Fact(OFFERED, 2, "b", scores={**scores, "worse": 1.0})) == [] and gate.waiting.version == 2


def test_what_is_on_trial_needs_proof_once_a_later_version_contradicts_the_robots_own_grasps():
    decided = []
    for worse in (1.0, 4.2):
        gate = Gate(VersionId(0))
        gate.apply(offered(1))
        run(gate, lambda version: 0.6, 30, np.random.default_rng(3))
        gate.apply(Fact(OFFERED, 2, "hash 2", scores={"own_grasps": 60.0, "own_worse": worse}))
        decided += gate.apply(Fact(BEGUN, explore=False))
    assert [made.decision for made in decided] == ["promoted", "kept"] and "proof" in decided[1].reason


def test_a_newer_version_waits_for_the_end_of_a_leg_and_replaces_only_the_one_that_waits():
    gate, rng = Gate(VersionId(0), PromotionConfig(leg=20)), np.random.default_rng(0)
    gate.apply(offered(1))
    gate.apply(Fact(BEGUN, explore=True))
    gate.apply(offered(2))
    gate.apply(offered(3))
    assert (gate.candidate.version, gate.waiting.version) == (1, 3)
    decisions = run(gate, lambda version: 0.5, 21, rng)
    assert [(decision.decision, decision.version) for decision in decisions] == [("succeeded", 3)]
    assert decisions[0].grasp == 20 and decisions[0].evidence["candidate_grasps"] == 10


def test_a_measurement_promotes_who_leads_and_measures_the_incumbent_alone():
    gate, rng = Gate(VersionId(0)), np.random.default_rng(1)
    gate.apply(offered(1))
    run(gate, lambda version: 0.7 if version else 0.5, 20, rng)
    assert gate.state == "trial"
    decisions = run(gate, lambda version: 0.7, 10, rng, explore=False)
    assert words(decisions) == ["promoted"] and "not behind" in decisions[0].reason
    assert gate.turn(False).side == NO_TRIAL and gate.turn(False).id.version == 1


def test_a_version_with_hardly_a_grasp_is_not_promoted_by_the_lead_of_its_predecessor():
    gate, rng = Gate(VersionId(0), PromotionConfig(leg=20)), np.random.default_rng(1)
    gate.apply(offered(1))
    run(gate, lambda version: 0.7 if version else 0.5, 20, rng)
    gate.apply(offered(2))
    run(gate, lambda version: 0.7 if version else 0.5, 2, rng)
    assert gate.candidate.version == 2
    assert gate.apply(Fact(BEGUN, explore=False))[0].version == 1


def test_a_promoted_version_that_falls_gives_way_to_the_one_before():
    gate, rng = Gate(VersionId(0)), np.random.default_rng(0)
    gate.apply(offered(1))
    run(gate, lambda version: 0.9 if version else 0.6, 60, rng)
    assert gate.incumbent.version == 1
    decisions = run(gate, lambda version: 0.0 if version else 0.6, 60, rng)
    assert words(decisions) == ["restored"] and gate.incumbent.version == 0
    assert decisions[0].grasp < 120


def test_an_operator_can_promote_and_roll_back_at_any_time():
    gate = Gate(VersionId(0))
    for wish in (PROMOTE, ROLLBACK):
        with pytest.raises(NothingToDecide):
            gate.apply(Fact(wish))
    gate.apply(offered(1))
    gate.apply(Fact(BEGUN, explore=True))
    assert words(gate.apply(Fact(PROMOTE))) == ["promoted"] and gate.incumbent.version == 1
    gate.apply(offered(2))
    gate.apply(Fact(BEGUN, explore=True))
    assert words(gate.apply(Fact(ROLLBACK))) == ["rejected"] and gate.state != "trial"
    assert words(gate.apply(Fact(ROLLBACK))) == ["restored"] and gate.incumbent.version == 0


def test_a_candidate_that_cannot_act_is_dropped():
    gate = Gate(VersionId(0))
    gate.apply(offered(1))
    gate.apply(Fact(BEGUN, explore=True))
    assert words(gate.apply(Fact(FAILED, 1, "hash 1"))) == ["rejected"]
    assert gate.turn(True).id == VersionId(0)


def test_what_was_compared_with_an_incumbent_that_cannot_act_is_tried_again():
    gate = Gate(VersionId(0))
    gate.apply(offered(1))
    gate.apply(Fact(PROMOTE))
    gate.apply(offered(2))
    gate.apply(Fact(BEGUN, explore=True))
    gate.apply(Fact(FAILED, 1, "hash 1"))
    assert gate.incumbent.version == 0 and gate.waiting.version == 2 and gate.candidate is None


def test_immediate_mode_promotes_at_the_next_episode():
    gate = Gate(VersionId(0), PromotionConfig(mode="immediate"))
    gate.apply(offered(1))
    assert words(gate.apply(Fact(BEGUN))) == ["promoted"] and gate.turn(True).side == NO_TRIAL


KINDS = st.sampled_from([OFFERED, BEGUN, JUDGED, JUDGED, JUDGED, ROLLBACK, PROMOTE, FAILED])


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(KINDS, st.integers(1, 6), st.booleans()), max_size=120), st.integers(0, 120))
def test_whatever_happens_one_known_version_acts_and_a_restart_goes_on_the_same(events, cut):
    """Also when the process ends in the middle of a trial: the gate that is restored decides as the first one."""
    config = PromotionConfig(leg=4, longest=12, fewest=4, watch=6)
    gate, told, known = Gate(VersionId(0), config), [Fact(STARTED)], {0}
    for number, (kind, version, flag) in enumerate(events):
        if number == cut:
            gate, _ = restored(told, config)
        fact = offered(version) if kind == OFFERED else Fact(kind, version, f"hash {version}", explore=flag)
        if kind == JUDGED:
            turn = gate.turn(True)
            fact = Fact(JUDGED, *turn.id, side=turn.side, success=flag)
        try:
            gate.apply(fact)
        except NothingToDecide:
            continue
        told.append(fact)
        known |= {version} if kind == OFFERED else set()
        for explore in (True, False):
            acting = gate.turn(explore).id
            assert acting.version in known and acting not in gate.refused and acting in gate.kept
    again, _ = restored(told, config)
    assert (again.turn(True), again.evidence, again.state) == (gate.turn(True), gate.evidence, gate.state)
    assert (again.history, again.waiting, again.refused) == (gate.history, gate.waiting, gate.refused)
