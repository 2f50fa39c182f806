"""Statistics of successes and failures: proportions with their Wilson interval, rolling success, percentiles; how well
numbers foretell them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

CONFIDENCE = 0.95


def wilson_interval(successes: float, trials: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's score interval of a proportion, as fractions; (0, 1) without trials. Raises ValueError."""
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes of {trials} trials: expected 0 <= successes <= trials")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence}: expected a fraction between 0 and 1")
    if trials == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    rate = successes / trials
    scale = 1 + z * z / trials
    center = (rate + z * z / (2 * trials)) / scale
    half = z * math.sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials)) / scale
    low = 0.0 if successes == 0 else center - half
    high = 1.0 if successes == trials else center + half
    return low, high


@dataclass(frozen=True)
class Proportion:
    """Successes among a number of episodes."""

    successes: int
    episodes: int

    @staticmethod
    def of(outcomes: Iterable[bool]) -> Proportion:
        """Count the successes of `outcomes`."""
        values = [bool(outcome) for outcome in outcomes]
        return Proportion(sum(values), len(values))

    @property
    def rate(self) -> float:
        """Fraction of successes; nan without episodes."""
        return self.successes / self.episodes if self.episodes else math.nan

    @property
    def ci95(self) -> tuple[float, float]:
        """Wilson's 95 % interval, as fractions."""
        return wilson_interval(self.successes, self.episodes)

    def above(self, other: Proportion) -> bool:
        """Whether this proportion's 95 % interval lies wholly above the other's."""
        return bool(self.episodes and other.episodes) and self.ci95[0] > other.ci95[1]

    def gain_over(self, other: Proportion) -> tuple[float, float]:
        """Newcombe's 95 % interval of this rate less the other's, as fractions (his method 10, of Wilson's intervals);
        (-1, 1) where one of them has no episodes."""
        if not (self.episodes and other.episodes):
            return -1.0, 1.0
        (low, high), (other_low, other_high) = self.ci95, other.ci95
        gain = self.rate - other.rate
        down = math.hypot(self.rate - low, other_high - other.rate)
        up = math.hypot(high - self.rate, other.rate - other_low)
        return gain - down, gain + up

    def summary(self) -> dict[str, int | list[float]]:
        """Plain data for JSON: episodes, successes, ci95 (fractions)."""
        return {
            "episodes": self.episodes,
            "successes": self.successes,
            "ci95": [round(bound, 4) for bound in self.ci95],
        }

    def __str__(self) -> str:
        if not self.episodes:
            return "no grasps"
        low, high = self.ci95
        return f"{100 * self.rate:.0f} % [{100 * low:.0f}, {100 * high:.0f}]"


@dataclass(frozen=True)
class RollingSuccess:
    """Success over the last `window` grasps, at each grasp: arrays (n,) of fractions."""

    rate: np.ndarray
    low: np.ndarray
    high: np.ndarray


def rolling_success(outcomes: Sequence[bool], window: int) -> RollingSuccess:
    """The success of the `window` grasps up to each grasp (fewer at the beginning) with Wilson's 95 % interval."""
    if window < 1:
        raise ValueError(f"window {window}: expected at least 1")
    total = np.concatenate([[0], np.cumsum(np.asarray(outcomes, dtype=np.int64))])
    ends = np.arange(1, len(total))
    starts = np.maximum(ends - window, 0)
    successes, trials = total[ends] - total[starts], ends - starts
    bounds = [wilson_interval(int(s), int(n)) for s, n in zip(successes, trials, strict=True)]
    low, high = np.array(bounds, np.float64).reshape(-1, 2).T
    return RollingSuccess(successes / np.maximum(trials, 1), low, high)


def percentile(values: Sequence[float], percent: float) -> float:
    """The `percent` percentile of the finite values; nan if there are none."""
    finite = [value for value in values if math.isfinite(value)]
    return float(np.percentile(finite, percent)) if finite else math.nan


def ranks(values: np.ndarray) -> np.ndarray:
    """The place (n,) of each value in ascending order, from 1; equal ones share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place.reshape(-1)]


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's, of two arrays (n,); nan where one of them does not vary."""
    one, other = one - np.mean(one), other - np.mean(other)
    scale = math.sqrt(float(one @ one) * float(other @ other))
    return float(one @ other) / scale if scale > 0 else math.nan


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's, of two arrays (n,); nan where one of them does not vary."""
    return correlation(ranks(one), ranks(other))


def auc(values: np.ndarray, outcomes: np.ndarray) -> float:
    """Chance that the value (n,) of a success is above that of a failure (area under the ROC curve); 0.5, which says
    nothing, where either is missing. outcomes: (n,) of 0 or 1."""
    good = int(np.sum(outcomes))
    bad = len(outcomes) - good
    if not good or not bad:
        return 0.5
    return float((ranks(values)[outcomes > 0].sum() - good * (good + 1) / 2) / (good * bad))


def calibration_error(probabilities: np.ndarray, outcomes: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error (Naeini et al. 2015): how far the mean of probabilities (n,) and the share of
    successes lie apart, in bins of equal width, on the mean over all; 0 without any."""
    which = np.minimum((probabilities * bins).astype(int), bins - 1)
    apart = np.abs(np.bincount(which, probabilities - outcomes)) if len(which) else np.zeros(1)
    return float(apart.sum() / max(1, len(which)))
