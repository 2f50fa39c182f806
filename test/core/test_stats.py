import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_finetune.stats import Proportion, percentile, rolling_success, wilson_interval

counts = st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts)
def test_wilson_interval_holds_the_rate_and_stays_within_0_and_1(count):
    successes, trials = count
    low, high = wilson_interval(successes, trials)
    assert 0 <= low <= successes / trials <= high <= 1
    assert low < high


@given(counts)
def test_wilson_interval_mirrors_failures(count):
    successes, trials = count
    low, high = wilson_interval(successes, trials)
    mirrored = wilson_interval(trials - successes, trials)
    assert mirrored == pytest.approx((1 - high, 1 - low))


@given(counts, st.integers(2, 10))
def test_wilson_interval_shrinks_with_more_trials_and_grows_with_confidence(count, times):
    successes, trials = count
    low, high = wilson_interval(successes, trials)
    more_low, more_high = wilson_interval(successes * times, trials * times)
    assert more_high - more_low < high - low
    sure_low, sure_high = wilson_interval(successes, trials, 0.99)
    assert sure_low <= low and high <= sure_high


def test_wilson_interval_of_published_values():
    # Newcombe (1998), table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson_interval(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)


@pytest.mark.parametrize("successes, trials, confidence", [(3, 2, 0.95), (-1, 2, 0.95), (1, 2, 1.0)])
def test_wilson_interval_rejects_the_impossible(successes, trials, confidence):
    with pytest.raises(ValueError, match="expected"):
        wilson_interval(successes, trials, confidence)


@given(st.lists(st.booleans(), min_size=1, max_size=80), st.integers(1, 30))
def test_rolling_success_equals_counting_each_window(outcomes, window):
    rolling = rolling_success(outcomes, window)
    for i in range(len(outcomes)):
        part = outcomes[max(0, i - window + 1) : i + 1]
        assert rolling.rate[i] == pytest.approx(np.mean(part))
        assert (rolling.low[i], rolling.high[i]) == pytest.approx(wilson_interval(sum(part), len(part)))


def test_rolling_success_of_nothing_is_empty():
    rolling = rolling_success([], 10)
    assert len(rolling.rate) == len(rolling.low) == len(rolling.high) == 0


def test_proportions_are_apart_only_when_their_intervals_are():
    assert Proportion(70, 100).above(Proportion(30, 100))
    assert not Proportion(52, 100).above(Proportion(48, 100))
    assert not Proportion(70, 100).above(Proportion(0, 0))


def test_proportion_in_words_and_as_plain_data():
    assert str(Proportion.of([True] * 30 + [False] * 70)) == "30 % [22, 40]"
    assert str(Proportion(0, 0)) == "no grasps" and math.isnan(Proportion(0, 0).rate)
    assert Proportion(30, 100).summary() == {"episodes": 100, "successes": 30, "ci95": [0.2189, 0.3958]}


def test_percentile_leaves_out_what_was_not_measured():
    assert percentile([1.0, math.nan, 3.0], 50) == 2.0
    assert math.isnan(percentile([], 95))
