"""The fault suite in its short form; `make faults` is the long one."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "suite"))

from run import KINDS, run
from tally import table


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_lost_wrong_or_ended(kind):
    tally = run(kind, long=False)
    assert tally.good, table([tally])
