"""Which grasp belongs to which phase of a session follows from the episodes alone."""

from hypothesis import given
from hypothesis import strategies as st
from session_folder import BASE, write_version

from robot_finetune.session.record import Grasp, sort_into_phases
from robot_finetune.session.versions import newest_sound
from robot_finetune.types import EVALUATE, EXPLORE


def grasps(*modes_and_versions):
    """Grasps made one after the other."""
    return [Grasp(f"e{i:03d}", mode, version, True) for i, (mode, version) in enumerate(modes_and_versions)]


def ids(part):
    return [int(grasp.episode_id[1:]) for grasp in part]


def test_a_whole_session():
    made = grasps((EVALUATE, 1), (EVALUATE, 1), (EXPLORE, 1), (EXPLORE, 2), (EVALUATE, 3), (EVALUATE, 3))
    phases = sort_into_phases(made, base_version=1)
    assert (ids(phases.before), ids(phases.learning), ids(phases.after), phases.other) == ([0, 1], [2, 3], [4, 5], ())


def test_without_anything_learned_all_measured_grasps_are_before():
    assert ids(sort_into_phases(grasps((EVALUATE, 1), (EVALUATE, 1)), 1).before) == [0, 1]


def test_after_counts_only_the_version_that_acted_last():
    phases = sort_into_phases(grasps((EXPLORE, 1), (EVALUATE, 1), (EVALUATE, 2), (EVALUATE, 2)), 1)
    assert ids(phases.after) == [2, 3] and ids(phases.other) == [1]


def test_more_grasps_after_the_end_make_the_old_measurement_no_longer_the_last():
    made = grasps((EVALUATE, 1), (EXPLORE, 1), (EVALUATE, 2), (EXPLORE, 2), (EVALUATE, 3))
    phases = sort_into_phases(made, 1)
    assert (ids(phases.learning), ids(phases.after), ids(phases.other)) == ([1, 3], [4], [2])


@given(st.lists(st.tuples(st.sampled_from([EXPLORE, EVALUATE]), st.integers(1, 3))), st.randoms())
def test_every_grasp_is_in_exactly_one_phase_whatever_the_order_of_the_files(kinds, random):
    made = grasps(*kinds)
    shuffled = random.sample(made, len(made))
    phases = sort_into_phases(shuffled, 1)
    assert phases == sort_into_phases(made, 1)
    assert list(phases.all) == made
    assert all(grasp.version == 1 and grasp.mode == EVALUATE for grasp in phases.before)
    assert len({grasp.version for grasp in phases.after}) <= 1


def test_the_newest_undamaged_version_goes_on(tmp_path):
    assert newest_sound(tmp_path) is None
    write_version(tmp_path, BASE + 1)
    write_version(tmp_path, BASE + 2, sha256="not that of the weights")
    (tmp_path / "checkpoints" / "v0009").mkdir()  # torn: without a card
    newest = newest_sound(tmp_path)
    assert newest is not None and newest.version == BASE + 1


def test_a_clock_that_was_set_back_changes_no_phase():
    """Ids have the time in them; the numbers that the logger counts say what came first."""
    before = Grasp("20260102T000000-a", EVALUATE, BASE, True, number=1)
    learned = [Grasp(f"20260101T00000{i}-b", EXPLORE, BASE + i, True, number=2 + i) for i in range(3)]
    after = Grasp("20250101T000000-c", EVALUATE, BASE + 2, True, number=5)
    phases = sort_into_phases([*learned, after, before], BASE)
    assert (phases.before, phases.learning, phases.after) == ((before,), tuple(learned), (after,))
    assert phases.all == (before, *learned, after)
