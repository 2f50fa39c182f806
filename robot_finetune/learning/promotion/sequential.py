"""Tests that may be looked at after every grasp: testing by betting.

An e-process is the wealth of a gambler who bets against a hypothesis in fair rounds. If the hypothesis is true, the
wealth ever reaches 1 / a with probability a at most, however often one looks and whenever one stops (Ville's
inequality). See Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting" (JRSS B, 2024).
"""

from __future__ import annotations

import math

import numpy as np

BETS = (0.2, 0.4, 0.6)
"""Parts of the wealth that are bet, one gambler each; the evidence is their mean wealth. The middle is about right for
success rates 20 points apart, the outer ones for 10 and 40."""
LARGEST_MEAN = 0.6
"""Of a hypothesis: no gambler may go bankrupt in one round."""


class EProcess:
    """Evidence against "numbers in [-1, 1] have, given those before, a mean of at most `mean`"."""

    def __init__(self, mean: float = 0.0) -> None:
        """Raises ValueError unless |mean| <= LARGEST_MEAN."""
        if not abs(mean) <= LARGEST_MEAN:
            raise ValueError(f"a mean of {mean}: expected -{LARGEST_MEAN} to {LARGEST_MEAN}")
        self._mean = mean
        self._log_wealth = np.zeros(len(BETS))

    def add(self, value: float) -> None:
        """One more number. Raises ValueError outside of [-1, 1]."""
        if not -1.0 <= value <= 1.0:  # nor is NaN
            raise ValueError(f"{value}: expected a number in [-1, 1]")
        self._log_wealth += np.log1p(np.array(BETS) * (value - self._mean))

    @property
    def evidence(self) -> float:
        """The wealth: 1 at the start; 20 refutes the hypothesis at the level 0.05."""
        return float(np.exp(np.minimum(self._log_wealth, 700.0)).mean())


def probability_better(successes: int, grasps: int, other_successes: int, other_grasps: int) -> float:
    """Probability that the first success rate is the higher one, both uniform before anything was seen (Beta-binomial).

    For people to read; decisions are made by `EProcess`, which allows for repeated looks.
    """
    a, b = successes + 1, grasps - successes + 1
    c, d = other_successes + 1, other_grasps - other_successes + 1
    base = _log_beta(c, d)
    terms = [math.exp(_log_beta(c + i, d + b) - math.log(b + i) - _log_beta(1 + i, b) - base) for i in range(a)]
    return min(1.0, math.fsum(terms))


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
