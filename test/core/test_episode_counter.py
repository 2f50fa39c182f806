"""Numbers of episodes only go up, whatever happens to the files around them."""

import pytest

from robot_finetune.data.episode_counter import FILE, EpisodeCounter


def fill(folder, count):
    for number in range(count):
        (folder / f"e{number}.mcap").write_bytes(b"")


def test_it_counts_on_after_a_restart_and_after_files_were_taken_out(tmp_path):
    counter = EpisodeCounter(tmp_path)
    assert counter.last == 0
    for number in range(1, 4):
        counter.count()
        assert counter.last == number
    assert EpisodeCounter(tmp_path).last == 3, "with no file left"


def test_a_folder_from_before_is_counted_by_its_files(tmp_path):
    fill(tmp_path, 5)
    assert EpisodeCounter(tmp_path).last == 5


@pytest.mark.parametrize("damaged", [b"", b"\xff\xfe", b"-3", b"9" * 40, b"2\n"])
def test_a_damaged_count_is_passed_over(tmp_path, damaged):
    fill(tmp_path, 5)
    (tmp_path / FILE).write_bytes(damaged)
    assert EpisodeCounter(tmp_path).last == 5
