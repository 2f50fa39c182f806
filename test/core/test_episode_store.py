"""The directory of episodes: each comes once and in order, and a damaged one stops nobody."""

import csv
import os

import numpy as np
import pytest
from make_episodes import assert_same, random_episode

from robot_finetune.data.episode_log import CorruptEpisode, EpisodeLogError, write_episode
from robot_finetune.data.episode_store import EpisodeStore
from robot_finetune.data.episode_table import list_rows, verify
from robot_finetune.data.export import export


def test_new_episodes_come_once_and_in_order(tmp_path):
    store = EpisodeStore(tmp_path / "episodes")
    assert store.new() == [] and store.paths() == []
    for seed in (2, 0, 1):
        write_episode(store.folder, random_episode(seed, size=8))
    found = store.new()
    assert [episode.meta["seed"] for episode in found] == [0, 1, 2]
    assert_same(found[1], random_episode(1, size=8))
    assert store.new() == []
    write_episode(store.folder, random_episode(3, size=8))
    assert [path.name for path in store.poll()] == ["session-000003.mcap"]


def test_damaged_file_is_reported_once_and_left_alone(tmp_path):
    store = EpisodeStore(tmp_path)
    for seed in range(3):
        write_episode(tmp_path, random_episode(seed, size=8))
    damaged = tmp_path / "session-000001.mcap"
    os.truncate(damaged, 500)
    (tmp_path / ".session-000009.mcap.tmp").write_bytes(b"half")
    assert [episode.meta["seed"] for episode in store.new()] == [0, 2]
    assert store.new() == []
    assert [path for path, _ in store.corrupt] == [damaged]
    with pytest.raises(CorruptEpisode):
        store.read(damaged)
    assert len(store.corrupt) == 1 and damaged.stat().st_size == 500
    summary = store.verify()
    assert (summary.episodes, summary.successes, summary.steps) == (2, 2, 8)
    assert [path for path, _ in summary.corrupt] == [damaged]
    assert summary.bytes == sum(path.stat().st_size for path in tmp_path.glob("session*"))


def test_space_is_checked_before_recording(tmp_path):
    store = EpisodeStore(tmp_path / "not" / "there" / "yet")
    store.ensure_space(1)
    with pytest.raises(EpisodeLogError, match="MB are free.*at least .*delete files"):
        store.ensure_space(10**18)


def test_export_gives_arrays_and_a_table(tmp_path):
    folder, out = tmp_path / "session" / "episodes", tmp_path / "out"
    episode = random_episode(0, size=8)
    write_episode(folder, episode)
    write_episode(folder, random_episode(1, size=8))
    os.truncate(folder / "session-000001.mcap", 100)

    rows = export(tmp_path / "session", out)
    assert [row.file for row in rows] == [row.file for row in list_rows(folder)]
    assert rows[0].success and rows[0].steps == 4 and not rows[0].problem
    assert "damaged" in rows[1].problem
    assert verify(folder).episodes == 1
    assert sorted(path.name for path in out.iterdir()) == ["outcomes.csv", "session-000000.npz"]
    with open(out / "outcomes.csv", newline="") as stream:
        table = list(csv.DictReader(stream))
    assert (table[0]["episode_id"], table[0]["variation"], table[0]["success"]) == (
        "session-000000",
        "offset_gripper_10cm",
        "True",
    )
    with np.load(out / "session-000000.npz") as arrays:
        np.testing.assert_array_equal(arrays["images"], [step.observation.image for step in episode.steps])
        np.testing.assert_array_equal(arrays["commanded"], [step.commanded.vector for step in episode.steps])
        np.testing.assert_array_equal(arrays["joint_positions"], [step.joint_positions for step in episode.steps])
        assert arrays["success"]


def test_folder_that_is_not_there_is_named(tmp_path):
    for command in (list_rows, verify, lambda folder: export(folder, tmp_path / "out")):
        with pytest.raises(EpisodeLogError, match="nowhere: no such folder; give"):
            command(tmp_path / "nowhere")
