"""Episodes from other tools: what was exported comes back the same, and what no robot can have logged is named."""

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from make_episodes import random_episode

from robot_finetune import cli
from robot_finetune.config import ConfigError
from robot_finetune.data.episode_import import episode_of, import_episodes
from robot_finetune.data.episode_log import write_episode
from robot_finetune.data.episode_store import EpisodeStore, episodes_in
from robot_finetune.data.export import FORMATS, export
from robot_finetune.data.step_arrays import step_arrays
from robot_finetune.types import Action

pytest.importorskip("pyarrow")


def grasp(seed=0, steps=3, size=8):
    """A random episode, with commands that a workspace can have given."""
    made = random_episode(seed, steps, size)
    clipped = [replace(step, commanded=Action(np.clip(step.commanded.vector, -1, 1))) for step in made.steps]
    return replace(made, steps=tuple(clipped), meta={**made.meta, "number": seed + 1})


@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(lengths=st.lists(st.integers(1, 4), min_size=1, max_size=3), seed=st.integers(0, 1000), success=st.booleans())
def test_what_was_exported_comes_back(tmp_path_factory, form, lengths, seed, success):
    log, out, back = (tmp_path_factory.mktemp(name) for name in ("log", "out", "back"))
    logged = {}
    for number, steps in enumerate(lengths):
        episode = grasp(seed + number, steps)
        episode = replace(episode, outcome=replace(episode.outcome, success=success))
        logged[episode.episode_id] = episode
        write_episode(log, episode)
    export(log, out, form)
    assert import_episodes(out, back).problems == ()
    returned = {episode.episode_id: episode for episode in EpisodeStore(back).new()}
    assert returned.keys() == logged.keys()
    for name, episode in logged.items():
        other, rounded = returned[name], 1e-6 if form == "lerobot" else 1e-12
        for key in ("variation", "mode", "end_reason", "reward", "policy_version", "interventions"):
            assert getattr(other, key) == getattr(episode, key), key
        assert other.outcome.confidence == episode.outcome.confidence and other.outcome.contradiction
        assert other.meta["number"] == episode.meta["number"] and other.stamp == episode.stamp
        one, two = step_arrays(episode), step_arrays(other)
        for key in one:
            if one[key].dtype.kind == "U" and form == "lerobot":
                continue  # a LeRobotDataset does not say sides
            if key == "q" and form == "lerobot":
                continue
            if one[key].dtype.kind in "Ub":
                assert one[key].tolist() == two[key].tolist(), key
            else:
                np.testing.assert_allclose(one[key], two[key], rtol=rounded, atol=rounded, err_msg=key)


def arrays(**changed):
    """Arrays that are sound, but for what is changed; None takes one away."""
    made = {**step_arrays(grasp()), **changed}
    return {name: value for name, value in made.items() if value is not None}


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"images": np.zeros((3, 8, 6, 3), np.uint8)}, "square"),
        ({"images": np.zeros((3, 8, 8, 3))}, "uint8"),
        ({"images": np.zeros((0, 8, 8, 3), np.uint8)}, "0 steps"),
        ({"poses": None}, "missing: poses"),
        ({"poses": np.zeros((3, 7))}, "poses"),
        ({"poses": np.full((3, 4), np.nan)}, "no finite number"),
        ({"openings": np.array([0, 40, 80])}, "openings: 0 to 80, allowed are 0 to 1"),
        ({"commanded": np.full((3, 8), 2.0)}, "commanded"),
        ({"commanded": np.array([["a"] * 8] * 3)}, "numbers"),
        ({"commanded": np.zeros((2, 8))}, "commanded"),
        ({"steps": np.array([0, 1, 1000])}, "steps"),
        ({"sides": np.array(["left"] * 3)}, "sides"),
    ],
)
def test_what_no_robot_can_have_logged_is_named(changed, says):
    with pytest.raises(ValueError, match=says):
        episode_of({"episode_id": "a", "success": True}, arrays(**changed))


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({}, "nothing says whether it succeeded"),
        ({"success": "perhaps"}, "success 'perhaps'"),
        ({"success": True, "mode": "play"}, "mode 'play'"),
        ({"success": True, "confidence": 3}, "confidence 3"),
        ({"success": True, "number": "one"}, "number 'one'"),
    ],
)
def test_what_is_said_of_a_grasp_has_to_mean_something(said, says):
    with pytest.raises(ValueError, match=says):
        episode_of(said, arrays())


def test_four_arrays_and_an_outcome_are_enough(tmp_path):
    few = {name: value for name, value in arrays().items() if name in ("images", "poses", "openings", "commanded")}
    (tmp_path / "in").mkdir()
    np.savez(tmp_path / "in" / "theirs.npz", success=True, **few)
    assert import_episodes(tmp_path / "in", tmp_path / "out").episodes == 1
    episode = EpisodeStore(tmp_path / "out").new()[0]
    assert (episode.episode_id, episode.mode, episode.variation, episode.reward) == ("theirs", "explore", "base", 1.0)
    assert [step.observation.step for step in episode.steps] == [0, 1, 2] and episode.meta["imported_from"] == "in"


def test_one_that_is_damaged_is_left_out_by_name_and_the_rest_is_there(tmp_path, capsys):
    for number in range(3):
        write_episode(tmp_path / "log", grasp(number))
    export(tmp_path / "log", tmp_path / "in")
    (tmp_path / "in" / "session-000001.npz").write_bytes(b"no arrays")
    assert cli.main(["episodes", "import", str(tmp_path / "in"), "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr()
    assert "session-000001: cannot be read" in said.err and "2 episodes imported" in said.out
    assert len(episodes_in(tmp_path / "out").paths()) == 2
    assert cli.main(["episodes", "import", str(tmp_path / "in"), "--out", str(tmp_path / "out")]) == 1  # again: no harm


def test_a_folder_of_something_else_says_what_can_be_imported(tmp_path):
    with pytest.raises(ConfigError, match=r"no \*.npz, steps.parquet or meta/info.json there"):
        import_episodes(tmp_path, tmp_path / "out")


def dataset(tmp_path, change):
    """A LeRobotDataset whose info.json is changed."""
    write_episode(tmp_path / "log", grasp())
    export(tmp_path / "log", tmp_path / "in", "lerobot")
    path = tmp_path / "in" / "meta" / "info.json"
    info = json.loads(path.read_text())
    change(info)
    path.write_text(json.dumps(info))
    return tmp_path / "in"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda info: info.update(codebase_version="v2.1"), "format v2.1, read is v3.0"),
        (lambda info: info["features"].pop("action"), "action is missing"),
        (lambda info: info["features"]["action"].update(names=["joint"]), "wanted is dx, dy, dz"),
        (lambda info: info["features"]["observation.images.camera"].update(dtype="video"), "without videos"),
    ],
)
def test_a_dataset_of_another_kind_of_robot_says_what_is_wanted(tmp_path, change, says):
    with pytest.raises(ConfigError, match=says):
        import_episodes(dataset(tmp_path, change), tmp_path / "out")


def test_a_dataset_of_others_needs_only_the_features_that_are_named(tmp_path):
    """As LeRobot writes one: other names of the camera, no column of ours, no table of outcomes."""
    from pyarrow import parquet

    place = dataset(
        tmp_path,
        lambda info: info["features"].update(
            {"observation.images.top": info["features"].pop("observation.images.camera")}
        ),
    )
    (place / "outcomes.csv").unlink()
    path = place / "data" / "chunk-000" / "file-000.parquet"
    table = parquet.read_table(path)
    ours = ("asked", "policy_version", "seconds", "complementary_info.is_intervention", "observation.joint_positions")
    names = ["observation.images.top" if name.endswith("camera") else name for name in table.column_names]
    parquet.write_table(table.rename_columns(names).drop_columns([*ours, "next.success"]), path)
    path = place / "meta" / "episodes" / "chunk-000" / "file-000.parquet"
    table = parquet.read_table(path)
    own = [name for name in table.column_names if "/" not in name and not name.startswith("dataset_")]
    parquet.write_table(
        table.drop_columns([name for name in own if name not in ("episode_index", "length", "tasks")]), path
    )
    assert import_episodes(place, tmp_path / "out").problems == ()
    episode = EpisodeStore(tmp_path / "out").new()[0]
    np.testing.assert_array_equal(episode.steps[1].observation.image, grasp().steps[1].observation.image)
    assert episode.episode_id == "lerobot-000000" and episode.reward == 1.0 and episode.mode == "explore"


def test_imported_grasps_are_learned_from(tmp_path):
    from robot_finetune.experiments.offline import OfflineConfig, OfflineTraining
    from robot_finetune.robot.profile import load_robot

    for number in range(4):
        write_episode(tmp_path / "log", replace(grasp(number, size=64), mode="explore"))
    export(tmp_path / "log", tmp_path / "in", "lerobot")
    import_episodes(tmp_path / "in", tmp_path / "out")
    shutil.rmtree(tmp_path / "log")
    training = OfflineTraining([tmp_path / "out"], tmp_path / "run", load_robot(), OfflineConfig(hold_out=0.5))
    assert training.new.episodes + len(training.closings) == 4


def test_the_table_counts_only_where_the_arrays_are_silent(tmp_path):
    write_episode(tmp_path / "log", grasp())
    export(tmp_path / "log", tmp_path / "in")
    table = tmp_path / "in" / "outcomes.csv"
    line = next(csv.DictReader(table.read_text().splitlines()))
    table.write_text(table.read_text().replace("True,0.75", "False,0.75").replace(line["variation"], "mine"))
    import_episodes(tmp_path / "in", tmp_path / "out")
    episode = EpisodeStore(tmp_path / "out").new()[0]
    assert episode.outcome.success and episode.variation == "mine"
