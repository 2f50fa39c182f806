"""Mode auto: works while success is as usual, learns when it falls, works again when learning has levelled off."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_finetune.data.promotion_log import ADAPTING, JUDGED, STARTED, WORKING, Fact, VersionId
from robot_finetune.experiments.benchmarks import drift
from robot_finetune.learning.promotion.autonomy import Autonomy, AutonomyConfig, decide, restored
from robot_finetune.learning.promotion.drift import FallDetector
from robot_finetune.learning.promotion.gate import Gate, PromotionConfig
from robot_finetune.types import EVALUATE, EXPLORE


def grasps(autonomy, rates, rng):
    """Grasps in the modes that it chooses; returns (what was decided, after how many grasps)."""
    told = []
    for grasp, rate in enumerate(rates, 1):
        fact = Fact(JUDGED, explore=autonomy.mode == EXPLORE, auto=True, success=bool(rng.random() < rate))
        told += [(made.decision, grasp) for made in autonomy.apply(fact, 0, grasp)]
    return told


def test_golden_numbers_of_the_fall_detector():
    detector = FallDetector(0.8, 0.001)
    for success in (True, False, False):
        detector.add(success)
    fallen = [0.8 * part for part in (0.85, 0.65, 0.35)]
    sums = [((p / 0.8 + 1) * (1 - p) / 0.2 + 1) * (1 - p) / 0.2 for p in fallen]
    assert detector.evidence == pytest.approx(np.mean(sums)) == pytest.approx(13.112)
    assert not detector.alarm and detector.limit == 1000


@pytest.mark.parametrize("usual", [0.5, 0.8])
def test_false_alarms_are_as_rare_as_was_asked_for(usual):
    """The mean run to a false alarm is 1 / rate at least, the true rate being the lowest usual one."""
    rng, runs = np.random.default_rng(3), []
    for _ in range(200):
        detector = FallDetector(usual, 0.01)
        while not detector.alarm:
            detector.add(bool(rng.random() < usual))
            runs.append(1)
    assert len(runs) / 200 > 100 * (1 - 3 / np.sqrt(200))


@given(st.lists(st.booleans(), max_size=60), st.floats(0, 1), st.integers(0, 59))
def test_a_failure_in_place_of_a_success_is_never_less_evidence(made, usual, index):
    one, other = FallDetector(usual, 0.001), FallDetector(usual, 0.001)
    for place, success in enumerate(made):
        one.add(success)
        other.add(success and place != index)
    assert other.evidence >= one.evidence * (1 - 1e-12)


@pytest.mark.parametrize(("usual", "rate"), [(1.1, 0.1), (-0.1, 0.1), (0.5, 0.0), (float("nan"), 0.1)])
def test_impossible_rates_are_refused(usual, rate):
    with pytest.raises(ValueError, match="expected parts of 1"):
        FallDetector(usual, rate)


def test_it_works_adapts_and_works_again():
    autonomy, rng = Autonomy(), np.random.default_rng(0)
    assert not grasps(autonomy, [0.9] * 100, rng) and autonomy.mode == EVALUATE
    (what, noticed), *more = grasps(autonomy, [0.3] * 60, rng)
    assert what == ADAPTING and noticed <= 30 and not more and autonomy.mode == EXPLORE
    assert grasps(autonomy, [0.85] * 200, rng)[0][0] == WORKING and autonomy.mode == EVALUATE


def test_learning_that_gains_nothing_any_more_ends():
    """At less than what was usual, which is the new usual then: a further fall is noticed."""
    autonomy, rng = Autonomy(AutonomyConfig(expected=0.9)), np.random.default_rng(1)
    assert grasps(autonomy, [0.3] * 40, rng)[0][0] == ADAPTING
    explored = 0
    while not grasps(autonomy, [0.6], rng):
        explored += 1
    assert autonomy.mode == EVALUATE and 60 < explored < 360
    assert grasps(autonomy, [0.1] * 40, rng)[0][0] == ADAPTING


def test_learning_goes_on_while_it_gains_and_ends_after_the_longest():
    config = AutonomyConfig(expected=0.9, leg=20, longest=100, gain=-5.0)
    autonomy, rng = Autonomy(config), np.random.default_rng(2)
    grasps(autonomy, [0.0] * 30, rng)
    told = grasps(autonomy, [0.4] * 120, rng)
    assert told[0][0] == WORKING and 60 < told[0][1] <= 100


@pytest.mark.parametrize("fact", [{"auto": False}, {"auto": True, "explore": True}])
def test_grasps_that_it_did_not_ask_for_say_nothing(fact):
    autonomy = Autonomy(AutonomyConfig(expected=0.9))
    for _ in range(50):
        assert not autonomy.apply(Fact(JUDGED, success=False, **fact), 0, 0)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 400))
def test_a_restart_goes_on_where_it_was(seed, cut):
    rng, first = np.random.default_rng(seed), VersionId(0)
    gate, autonomy, facts = Gate(first), Autonomy(), [Fact(STARTED, *first)]

    def step(gate, autonomy, rate):
        explores = autonomy.mode == EXPLORE
        facts.append(Fact(JUDGED, *first, explore=explores, auto=True, success=bool(rng.random() < rate)))
        return decide(facts[-1], gate, autonomy)

    for grasp in range(cut):
        step(gate, autonomy, 0.9 if grasp < 80 else 0.4)
    again = restored(facts, PromotionConfig())
    assert again[1].mode == autonomy.mode
    for _ in range(100):
        fact = Fact(JUDGED, *first, explore=autonomy.mode == EXPLORE, auto=True, success=bool(rng.random() < 0.5))
        assert decide(fact, gate, autonomy) == decide(fact, *again)


def test_the_benchmark_notices_falls_that_are_known():
    rows = {row["rate"]: row for row in drift.known_falls(10)}
    assert rows[0.3]["false"] == 0 and rows[0.3]["median"] < 20 < rows[0.7]["median"]


def test_a_session_is_told_by_when_it_noticed_and_recovered():
    plan = drift.Plan("", None, before=10, after=20, last=5)
    cell = {
        "variation": "v",
        "seed": 0,
        "success": [True] * 10 + [False] * 4 + [True] * 16,
        "mode": [EVALUATE] * 14 + [EXPLORE] * 6 + [EVALUATE] * 10,
        "decisions": [{"decision": ADAPTING, "grasp": 14}, {"decision": WORKING, "grasp": 20}],
    }
    row = drift.summarise(plan, cell)
    assert (row["noticed_after"], row["works_again_after"], row["explored"], row["false_alarms"]) == (4, 10, 6, 0)
    assert row["fallen"].startswith("0 %") and row["last"].startswith("100 %")
