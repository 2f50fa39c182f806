"""Episodes that were not completed, counted by their reason."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

REASONS, LONGEST = 16, 120
"""Reasons that are told apart, and characters of each; the rest are OTHERS."""
OTHERS = "other reasons"
FEW = 3
"""Fewer discarded episodes than this are never too many."""
_NUMBER = re.compile(r"\d+(\.\d+)?")


def reason_of(message: str) -> str:
    """The cause in an error's message, without its cure: before the first semicolon, or else before the last colon."""
    text = " ".join(message.split())
    cause = text.partition(";")[0] if ";" in text else (text.rpartition(": ")[0] or text)
    return cause[:LONGEST] or "unknown"


class Discards:
    """Counts by reason; messages that differ only in their numbers have the same one, said as it was at first."""

    def __init__(self) -> None:
        self._labels: dict[str, str] = {}
        self._counts: Counter[str] = Counter()

    def add(self, message: str) -> None:
        """An episode was discarded with this message."""
        reason = reason_of(message)
        label = self._labels.get(_NUMBER.sub("#", reason))
        if label is None:
            label = reason if len(self._labels) < REASONS else OTHERS
            if label is reason:
                self._labels[_NUMBER.sub("#", reason)] = reason
        self._counts[label] += 1

    @property
    def total(self) -> int:
        return sum(self._counts.values())

    @property
    def counts(self) -> dict[str, int]:
        """Episodes by reason, the commonest first."""
        return dict(self._counts.most_common())


def too_many(counts: Mapping[str, int], completed: int, share: float) -> str:
    """One line with the commonest reason if more than `share` of all episodes were discarded, else ""."""
    lost = sum(counts.values())
    if lost < FEW or lost <= share * (lost + completed):
        return ""
    reason, count = max(counts.items(), key=lambda item: item[1])
    return (
        f"{lost} of {lost + completed} episodes were discarded ({100 * lost / (lost + completed):.0f} %, more than "
        f"{100 * share:.0f} %), {count} of them: {reason}"
    )
