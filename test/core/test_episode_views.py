"""Grasps on a list, one by one and in pictures: filters, what is shown, and damaged files that are named."""

import json
import os

import cv2
import numpy as np
import pytest
from make_episodes import random_episode
from session_folder import write_grasp, write_head_of

from robot_finetune import cli
from robot_finetune.data.episode_log import write_episode
from robot_finetune.data.episode_table import Selection, list_rows
from robot_finetune.report.grasp_pictures import TILE, step_tile
from robot_finetune.robot.profile import load_robot
from robot_finetune.types import Action, Observation, Step


@pytest.fixture
def folder(tmp_path):
    """Six grasps, one of them discarded and one of them unreadable."""
    place = tmp_path / "session"
    write_head_of(place)
    for number in range(6):
        reason = "blocked" if number == 4 else "closed"
        write_grasp(place, number, version=3 + number // 3, success=number % 2 == 0, end_reason=reason)
    os.truncate(place / "episodes" / "e0005.mcap", 200)
    assert cli.main(["episodes", "relabel", str(place), "e0002", "discard", "--who", "ada", "--why", "a hand"]) == 0
    assert cli.main(["episodes", "relabel", str(place), "e0001", "success", "--who", "ada"]) == 0
    return place


def run(capsys, *words):
    """What a command prints; it has to succeed."""
    capsys.readouterr()
    assert cli.main(["episodes", *map(str, words)]) == 0
    return capsys.readouterr()


@pytest.mark.parametrize(
    ("selection", "wanted"),
    [
        (Selection(), [0, 1, 2, 3, 4]),
        (Selection(success=True), [0, 1, 4]),
        (Selection(success=False), [3]),
        (Selection(version=4), [3, 4]),
        (Selection(end_reason="blocked"), [4]),
        (Selection(variation="elsewhere"), []),
        (Selection(variation="moved", success=True, version=3), [0, 1]),
        (Selection(contradiction=True), []),
        (Selection(since=1), []),
    ],
)
def test_filters_choose_and_a_damaged_file_is_always_named(folder, selection, wanted):
    rows = list_rows(folder, selection)
    assert [row.episode_id for row in rows if not row.problem] == [f"e{number:04d}" for number in wanted]
    assert [row.file for row in rows if row.problem] == ["e0005.mcap"]


def test_the_options_of_the_list_are_the_filters(folder, capsys):
    printed = run(capsys, "list", folder, "--failure", "--version", 4, "--json").out
    assert "e0005.mcap" in printed
    rows = json.loads(printed.splitlines()[-1])["episodes"]
    assert [row["episode_id"] for row in rows if not row["problem"]] == ["e0003"]


def test_all_that_is_logged_of_a_grasp_is_shown(tmp_path, capsys):
    episode = random_episode()
    write_episode(tmp_path, episode)
    run(capsys, "relabel", tmp_path, episode.episode_id, "failure", "--who", "ada", "--why", "an edge")
    printed = run(capsys, "show", tmp_path, episode.episode_id, "--json").out
    for said in ("judgement  success", "failure by ada", "an edge", "opening_closed = 0.31", "candidate of a trial"):
        assert said in printed
    shown = json.loads(printed.splitlines()[-1])
    assert shown["label"] == "failure" and shown["evidence"] == episode.outcome.evidence and shown["steps"] == 4
    np.testing.assert_array_equal(shown["data"][1]["commanded"], episode.steps[1].commanded.vector)
    assert shown["data"][0]["q"] is None


def test_a_grasp_becomes_a_sheet_and_a_video(folder, capsys, tmp_path):
    run(capsys, "show", folder, "e0000", "--png", tmp_path / "a.png", "--mp4", tmp_path / "a.mp4")
    sheet = cv2.imread(str(tmp_path / "a.png"))
    assert sheet.shape[1] > 2 * TILE > TILE < sheet.shape[0]
    capture = cv2.VideoCapture(str(tmp_path / "a.mp4"))
    assert [capture.read()[0] for _ in range(3)] == [True, True, False]
    told = run(capsys, "sheet", folder, "--out", tmp_path / "b.png", "--columns", 3, "--most", 4)
    assert "e0005.mcap" in told.err
    assert cv2.imread(str(tmp_path / "b.png")).shape == (2 * (TILE + 36 + 6) + 6, 3 * (TILE + 6) + 6, 3)


def test_a_grasp_becomes_a_recording_that_rerun_reads(tmp_path, capsys):
    """Read back by Rerun's own reader: the images as they were, where the camera is, and what was commanded."""
    chunk = pytest.importorskip("rerun.chunk", reason="rerun-sdk is not installed (requirements-rerun.txt)")
    episode = random_episode(size=16)
    write_episode(tmp_path, episode)
    run(capsys, "show", tmp_path, episode.episode_id, "--rerun", tmp_path / "grasp.rrd")
    parts = chunk.RrdReader(tmp_path / "grasp.rrd").stream().to_chunks()

    def column(entity, ending):
        """Values of a component over the steps."""
        found = []
        for batch in (part.to_record_batch() for part in parts if part.entity_path == f"/{entity}"):
            for name in (name for name in batch.schema.names if name.endswith(ending)):
                steps = batch["step"].to_pylist() if "step" in batch.schema.names else [0] * len(batch)
                found += zip(steps, batch[name].to_pylist(), strict=True)
        return [value[0] for _, value in sorted(found, key=lambda pair: pair[0]) if value]

    blobs = [np.array(blob, np.uint8) for blob in column("base/camera/image", "blob")]
    images = [cv2.imdecode(blob, cv2.IMREAD_COLOR)[..., ::-1] for blob in blobs]
    np.testing.assert_array_equal(images, [step.observation.image for step in episode.steps])
    poses = [step.observation.pose for step in episode.steps]
    np.testing.assert_allclose(column("base/tool", "translation"), [pose[:3] for pose in poses], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(column("base/camera", "translation"), [load_robot().camera.position], rtol=1e-6)
    np.testing.assert_allclose(column("curves/q", "scalars"), [step.q for step in episode.steps[1:]])
    assert "opening_closed = 0.31" in column("grasp", "text")[0] and len(column("decision", "text")) == 4


def test_the_arrow_ends_where_the_camera_sees_what_was_commanded():
    profile = load_robot()
    image = np.zeros((64, 64, 3), np.uint8)
    still, moved = Action.move((0, 0, 0), 0.0), Action.move((0, 1, 0), 0.0)
    pose = np.array([*profile.start_pose[:2], 0.05, 0.0])
    columns = []
    for action in (still, moved):
        tile = step_tile(Step(Observation(image, pose, 1.0, 0), action, action), profile)
        columns.append(np.flatnonzero((tile == (255, 210, 0)).all(axis=2).any(axis=0)))
    assert columns[0].size and np.ptp(columns[1]) > np.ptp(columns[0]), "a step along y widens what is drawn"


@pytest.mark.parametrize("words", [["show", "e0009"], ["show", "../e0001"], ["show", "e0005"]])
def test_a_grasp_that_is_not_there_or_damaged_is_one_line(folder, capsys, words):
    capsys.readouterr()
    assert cli.main(["episodes", words[0], str(folder), words[1]]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and words[1].lstrip("./") in line


def test_verify_counts_what_people_discarded_and_names_torn_labels(folder, capsys):
    (folder / "episodes" / "e0005.mcap").unlink()
    printed = run(capsys, "verify", folder, "--json").out
    assert json.loads(printed.splitlines()[-1])["discarded"] == 1
    with (folder / "episodes" / "labels.jsonl").open("a") as file:
        file.write('{"episode_id": "e00')
    assert cli.main(["episodes", "verify", str(folder)]) == 1
    assert "labels.jsonl:3" in capsys.readouterr().err
