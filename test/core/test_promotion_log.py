"""The record of promotions: what was written is read again, whatever a crash or somebody else has left between."""

from hypothesis import given, settings
from hypothesis import strategies as st

from robot_finetune.data.promotion_log import (
    JUDGED,
    OFFERED,
    PROMOTION_FILE,
    STARTED,
    Decision,
    Fact,
    PromotionLog,
    facts,
    read_promotion,
)

ENTRIES = [
    Fact(STARTED, 3, "ab", "/models/base"),
    Fact(OFFERED, 4, "cd", "/x/v0004"),
    Decision("trial", 4, 3, "acts in turns with version 3", {"better": 1.0}, 7),
    Fact(JUDGED, 4, "cd", side="candidate", success=True, episode_id="e1"),
]


def write(folder, entries=ENTRIES):
    log = PromotionLog(folder)
    for entry in entries:
        log.add(entry)


def test_what_was_written_is_read_again_in_order(tmp_path):
    write(tmp_path)
    assert read_promotion(tmp_path) == (ENTRIES, [])
    assert facts(ENTRIES) == [ENTRIES[0], ENTRIES[1], ENTRIES[3]]


def test_only_what_happened_since_the_last_start_of_a_policy_counts(tmp_path):
    write(tmp_path)
    write(tmp_path, [Fact(STARTED, 9, "ef", "/y")])
    assert facts(read_promotion(tmp_path)[0]) == [Fact(STARTED, 9, "ef", "/y")]


def test_a_line_that_a_crash_has_torn_takes_nothing_with_it(tmp_path):
    write(tmp_path)
    path = tmp_path / PROMOTION_FILE
    path.write_bytes(path.read_bytes()[:-9])
    write(tmp_path, [Fact(OFFERED, 5, "ee", "/x/v0005")])
    entries, damaged = read_promotion(tmp_path)
    assert entries == [*ENTRIES[:3], Fact(OFFERED, 5, "ee", "/x/v0005")]
    assert len(damaged) == 1 and f"{PROMOTION_FILE}:4" in damaged[0]


def test_nothing_is_told_where_there_is_no_file(tmp_path):
    assert read_promotion(tmp_path) == ([], []) and facts([]) == []


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 400), st.binary(max_size=60))
def test_damaged_bytes_cost_the_lines_they_are_in(tmp_path_factory, place, noise):
    folder = tmp_path_factory.mktemp("log")
    write(folder)
    path = folder / PROMOTION_FILE
    data = path.read_bytes()
    path.write_bytes(data[:place] + noise + data[place + len(noise) :])
    entries, damaged = read_promotion(folder)
    assert all(isinstance(entry, (Fact, Decision)) for entry in entries)
    assert all(len(line) < 2000 for line in damaged)
