"""Discarded episodes are counted by what was wrong, and too many of them are told of in one line."""

from hypothesis import given
from hypothesis import strategies as st

from robot_finetune.robot.discards import LONGEST, OTHERS, REASONS, Discards, reason_of, too_many


def test_a_reason_is_the_cause_without_its_cure():
    assert (
        reason_of("no image on /observation for 2.0 s: is the camera running?") == "no image on /observation for 2.0 s"
    )
    assert reason_of("the arm could not lift: blocked; clear its way") == "the arm could not lift: blocked"


def test_messages_that_differ_in_numbers_have_one_reason():
    discards = Discards()
    for seconds in (2.0, 2.5, 13.0):
        discards.add(f"images are stamped {seconds} s behind the clock: synchronise the clocks")
    discards.add("images are black: take the lens cap off")
    assert discards.counts == {"images are stamped 2.0 s behind the clock": 3, "images are black": 1}
    assert discards.total == 4


@given(st.lists(st.text(max_size=300), max_size=100))
def test_all_are_counted_in_bounded_memory(messages):
    discards = Discards()
    for message in messages:
        discards.add(message)
    assert discards.total == len(messages) == sum(discards.counts.values())
    assert len(discards.counts) <= REASONS + 1 and all(0 < len(reason) <= LONGEST for reason in discards.counts)
    assert (OTHERS in discards.counts) <= (len(discards.counts) > REASONS)


def test_too_many_is_one_line_with_the_commonest_reason():
    counts = {"images are black": 4, "no judgement": 1}
    line = too_many(counts, 15, 0.2)
    assert line == "5 of 20 episodes were discarded (25 %, more than 20 %), 4 of them: images are black"
    assert too_many(counts, 15, 0.25) == "" and too_many({}, 0, 0.0) == ""
    assert too_many({"x": 2}, 0, 0.1) == "", "two say nothing yet"
