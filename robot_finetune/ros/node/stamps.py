"""Times and spans of time as messages, and back to seconds."""

from __future__ import annotations

import math
from typing import Any

from builtin_interfaces.msg import Duration, Time


def to_seconds(stamp: Any) -> float:
    """A Time or Duration message in seconds."""
    return float(stamp.sec + stamp.nanosec * 1e-9)


def to_stamp(seconds: float) -> Time:
    """Seconds (of any clock, not negative) as a Time message; `to_seconds` gives the same number back."""
    whole = math.floor(seconds)
    nanoseconds = round((seconds - whole) * 1e9)
    return Time(sec=whole + nanoseconds // 10**9, nanosec=nanoseconds % 10**9)


def duration_message(seconds: float) -> Duration:
    """A span of time [s] as a message."""
    nanoseconds = round(seconds * 1e9)
    return Duration(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)
