"""What is exported is what was logged, as people have labelled it, in each format."""

import importlib.util
import json
import os
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from make_episodes import random_episode

from robot_finetune import cli
from robot_finetune.config import ConfigError
from robot_finetune.data.episode_log import write_episode
from robot_finetune.data.episode_table import Selection, relabel
from robot_finetune.data.export import FORMATS, export, is_exported

pa = pytest.importorskip("pyarrow")
from pyarrow import parquet  # noqa: E402


def pixels(data):
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def from_npz(out):
    for path in sorted(out.glob("*.npz")):
        with np.load(path) as arrays:
            names = ("images", "poses", "openings", "commanded")
            yield (
                path.stem,
                [arrays[name] for name in names],
                [*[0.0] * (len(arrays["q"]) - 1), float(arrays["success"])],
            )


def from_parquet(out):
    table = parquet.read_table(out / "steps.parquet").to_pylist()
    for name in sorted({row["episode_id"] for row in table}):
        rows = [row for row in table if row["episode_id"] == name]
        assert [row["done"] for row in rows] == [*[False] * (len(rows) - 1), True]
        images = np.array([pixels(row["image"]) for row in rows])
        arrays = [np.array([row[key] for row in rows]) for key in ("pose", "opening", "commanded")]
        yield name, [images, *arrays], [row["reward"] for row in rows]


def from_lerobot(out):
    """By the documented layout alone, without the package lerobot."""
    info = json.loads((out / "meta" / "info.json").read_text())
    for episode in parquet.read_table(out / "meta" / "episodes" / "chunk-000" / "file-000.parquet").to_pylist():
        place = {name: episode[f"data/{name}"] for name in ("chunk_index", "file_index")}
        frames = parquet.read_table(out / info["data_path"].format(**place)).to_pylist()
        rows = [row for row in frames if episode["dataset_from_index"] <= row["index"] < episode["dataset_to_index"]]
        assert [row["frame_index"] for row in rows] == list(range(episode["length"]))
        assert {row["episode_index"] for row in rows} == {episode["episode_index"]}
        assert [row["seconds"] for row in rows] == [0.125 * number for number in range(episode["length"])]
        state = np.array([row["observation.state"] for row in rows])
        images = np.array([pixels(row["observation.images.camera"]["bytes"]) for row in rows])
        actions = np.array([row["action"] for row in rows])
        yield episode["episode_id"], [images, state[:, :4], state[:, 4], actions], [row["next.reward"] for row in rows]


LOADERS = {"npz": from_npz, "parquet": from_parquet, "lerobot": from_lerobot}


@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(lengths=st.lists(st.integers(1, 4), min_size=1, max_size=3), seed=st.integers(0, 1000), success=st.booleans())
def test_the_same_transitions_come_back(tmp_path_factory, form, lengths, seed, success):
    folder, out = (tmp_path_factory.mktemp(name) for name in ("log", "out"))
    logged = {}
    for number, steps in enumerate(lengths):
        episode = random_episode(seed + number, steps=steps, size=8)
        logged[episode.episode_id] = episode = replace(episode, outcome=replace(episode.outcome, success=success))
        write_episode(folder, episode)
    export(folder, out, form)
    loaded = {name: (arrays, reward) for name, arrays, reward in LOADERS[form](out)}
    assert loaded.keys() == logged.keys()
    for name, episode in logged.items():
        (images, poses, openings, actions), reward = loaded[name]
        seen = [step.observation for step in episode.steps]
        np.testing.assert_array_equal(images, [one.image for one in seen])
        np.testing.assert_allclose(poses, [one.pose for one in seen], rtol=1e-6, atol=1e-6)
        np.testing.assert_array_equal(np.float32(openings), np.float32([one.opening for one in seen]))
        np.testing.assert_array_equal(np.float32(actions), [step.commanded.vector for step in episode.steps])
        assert reward == [*[0.0] * (len(seen) - 1), float(success)]


@pytest.fixture
def folder(tmp_path):
    """Four grasps: one that people call a failure, one discarded, one damaged, one of another image size."""
    place = tmp_path / "log"
    for number in range(4):
        write_episode(place, random_episode(number, steps=2, size=8 if number < 3 else 16))
    write_episode(place, replace(random_episode(4, steps=2, size=8), steps=()))
    os.truncate(place / "session-000002.mcap", 100)
    relabel(place, "session-000000", "failure", "ada")
    relabel(place, "session-000001", "discard", "ada")
    write_episode(place, random_episode(5, steps=2, size=8))
    return place


@pytest.mark.parametrize("form", FORMATS)
def test_labels_count_and_what_cannot_be_exported_is_passed_over_by_name(folder, tmp_path, form, capsys):
    assert cli.main(["episodes", "export", str(folder), "--out", str(tmp_path / "out"), "--format", form]) == 0
    said = capsys.readouterr()
    assert "session-000002.mcap" in said.err and "1 discarded by people" in said.out
    odd = {"session-000003"} if form != "lerobot" else set()
    assert ("session-000003.mcap: observation.images.camera" in said.err) == (form == "lerobot")
    loaded = {name: reward for name, _, reward in LOADERS[form](tmp_path / "out")}
    assert loaded.keys() == {"session-000000", "session-000005", *odd}
    assert loaded["session-000000"] == [0.0, 0.0] and loaded["session-000005"] == [0.0, 1.0]


def test_only_wanted_grasps_are_exported(folder, tmp_path):
    rows = export(folder, tmp_path / "out", "npz", Selection(success=True))
    assert [row.episode_id for row in rows if is_exported(row)] == ["session-000003", "session-000005"]


def test_a_dataset_is_never_mixed_with_another_one_or_left_empty(folder, tmp_path):
    export(folder, tmp_path / "out", "lerobot")
    with pytest.raises(ConfigError, match="holds a dataset already"):
        export(folder, tmp_path / "out", "lerobot")
    with pytest.raises(ConfigError, match="no grasp to export"):
        export(folder, tmp_path / "other", "lerobot", Selection(variation="elsewhere"))
    assert not (tmp_path / "other" / "meta" / "info.json").exists()


def test_statistics_are_those_of_all_frames(tmp_path):
    episodes = [random_episode(number, steps=2 + number, size=8) for number in range(3)]
    for episode in episodes:
        write_episode(tmp_path / "log", episode)
    export(tmp_path / "log", tmp_path / "out", "lerobot")
    stats = json.loads((tmp_path / "out" / "meta" / "stats.json").read_text())
    actions = np.array([step.commanded.vector for episode in episodes for step in episode.steps], np.float64)
    for name, value in (("mean", actions.mean(0)), ("std", actions.std(0)), ("min", actions.min(0))):
        np.testing.assert_allclose(stats["action"][name], value, rtol=1e-6, atol=1e-9)
    images = np.array([step.observation.image for episode in episodes for step in episode.steps]) / 255
    np.testing.assert_allclose(np.ravel(stats["observation.images.camera"]["mean"]), images.mean((0, 1, 2)), rtol=1e-6)
    assert stats["action"]["count"] == [9] and np.shape(stats["observation.images.camera"]["q50"]) == (3, 1, 1)


def test_pandas_finds_the_task_as_an_index(tmp_path):
    write_episode(tmp_path / "log", random_episode(size=8))
    export(tmp_path / "log", tmp_path / "out", "lerobot")
    schema = parquet.read_schema(tmp_path / "out" / "meta" / "tasks.parquet")
    assert json.loads(schema.metadata[b"pandas"])["index_columns"] == ["task"] and schema.names == [
        "task_index",
        "task",
    ]


@pytest.mark.skipif(importlib.util.find_spec("lerobot") is None, reason="the package lerobot is not installed")
def test_lerobot_reads_its_dataset(tmp_path):
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    for number in range(3):
        write_episode(tmp_path / "log", random_episode(number, size=8))
    export(tmp_path / "log", tmp_path / "out", "lerobot")
    dataset = LeRobotDataset("local/grasps", root=tmp_path / "out")
    assert (dataset.num_episodes, len(dataset)) == (3, 12)
    step = random_episode(1, size=8).steps[2]
    frame = dataset[6]
    assert frame["seconds"] == 0.25 and dataset.meta.episodes[1]["first_stamp"] == 1_700_000_000.25
    assert frame["task"] == "grasp an object from the bin" and not frame["next.done"] and dataset[7]["next.done"]
    np.testing.assert_array_equal(frame["action"], step.commanded.vector)
    image = (255 * frame["observation.images.camera"].numpy()).round().transpose(1, 2, 0)
    np.testing.assert_array_equal(image, step.observation.image)
