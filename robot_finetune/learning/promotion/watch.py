"""The watch over a promoted version: whether it is worse than the one before it was in their trial."""

from __future__ import annotations

from robot_finetune.learning.promotion.sequential import EProcess
from robot_finetune.learning.promotion.trial import Count
from robot_finetune.stats import wilson_interval


class Watch:
    """Evidence against "its success is no lower than that of the last good one, `before`".

    Of that the lower end of an interval is taken, with half of the allowed `error`; the e-process has the other half.
    longest: grasps after which the watch is over."""

    def __init__(self, before: Count, error: float, longest: int) -> None:
        self._reference, _ = wilson_interval(before.successes, before.grasps, 1 - error)
        self._error, self._longest = error, longest
        self._made, self._process = Count(), EProcess(0.0)

    def add(self, success: bool) -> None:
        """A grasp of the promoted version."""
        self._made.add(success)
        self._process.add(self._reference - success)

    @property
    def fallen(self) -> bool:
        """Whether it is significantly worse."""
        return self._process.evidence >= 2 / self._error

    @property
    def over(self) -> bool:
        """Whether it has been watched for long enough."""
        return self._made.grasps >= self._longest

    def __str__(self) -> str:
        seen = f"{self._made.successes} of {self._made.grasps} grasps succeeded"
        return f"{seen}, the version before had at least {100 * self._reference:.0f} %"
