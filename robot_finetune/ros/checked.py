"""Values of messages, checked as they enter: ValueError names what is wrong in a few words, whatever was sent."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def shown(text: object, longest: int = 60) -> str:
    """Anything that was sent, as short and harmless text."""
    whole = repr(text) if len(str(text)) <= longest else repr(str(text)[:longest]) + "..."
    return whole if whole.isprintable() else ascii(whole)


def plain_text(text: str, what: str, longest: int = 200) -> str:
    """Text of one line without control characters. Raises ValueError."""
    if len(text) > longest or not text.isprintable():
        raise ValueError(f"{what} {shown(text)} is not plain text of at most {longest} characters")
    return text


def finite(values: Iterable[float], what: str, low: float, high: float, most: int) -> np.ndarray:
    """At most `most` numbers from `low` to `high`, float64 (n,). Raises ValueError."""
    numbers = np.asarray(values, np.float64).reshape(-1)
    if numbers.size > most:
        raise ValueError(f"{what} has {numbers.size} numbers: at most {most} are expected")
    wrong = ~((numbers >= low) & (numbers <= high))  # so is NaN
    if wrong.any():
        raise ValueError(f"{what} holds {numbers[wrong][0]:.4g}: allowed is {low:g} to {high:g}")
    return numbers
