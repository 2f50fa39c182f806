"""What people say of grasps afterwards overrules the judgement everywhere, and changes no episode."""

from dataclasses import replace

import numpy as np
import pytest
from make_episodes import random_episode
from session_folder import write_grasp, write_head_of, write_session

from robot_finetune import cli
from robot_finetune.data.episode_log import write_episode
from robot_finetune.data.episode_store import EpisodeStore
from robot_finetune.data.label_log import LABELS_FILE, Label, add_label, may_be_learned_from, read_labels
from robot_finetune.data.replay_buffer import ReplayBuffer, ReplayError
from robot_finetune.report.page import write_report
from robot_finetune.session.record import read_record


def explored(folder, name="a"):
    episode = replace(random_episode(), episode_id=name, mode="explore")
    return write_episode(folder, episode)


def test_the_newest_label_counts_and_the_file_of_the_episode_stays_as_it_is(tmp_path):
    path = explored(tmp_path)
    before, judged = path.read_bytes(), EpisodeStore(tmp_path).read(path)
    assert judged.outcome.success
    add_label(tmp_path, Label("a", "discard", "ada"))
    add_label(tmp_path, Label("a", "failure", "bob", why="it slipped"))
    add_label(tmp_path, Label("b", "success", "ada"))
    read = EpisodeStore(tmp_path).read(path)
    assert (read.outcome.success, read.outcome.confidence, read.outcome.contradiction) == (False, 1.0, False)
    assert read.outcome.evidence == judged.outcome.evidence and may_be_learned_from(read)
    assert path.read_bytes() == before
    labels, damaged = read_labels(tmp_path)
    assert [label.who for label in labels] == ["ada", "bob", "ada"] and labels[1].why == "it slipped" and not damaged
    assert all(label.when for label in labels)


def test_labels_are_seen_while_others_add_them_each_once(tmp_path):
    path, store = explored(tmp_path), EpisodeStore(tmp_path)
    assert store.relabelled() == []
    add_label(tmp_path, Label("a", "failure", "ada"))
    assert store.read(path).outcome.success, "not before it was asked for"
    assert [label.verdict for label in store.relabelled()] == ["failure"]
    assert not store.read(path).outcome.success and store.relabelled() == []
    add_label(tmp_path, Label("a", "discard", "ada"))
    assert [label.verdict for label in store.relabelled()] == ["discard"]
    assert not may_be_learned_from(store.read(path)) and store.discarded == {"a"}


def test_a_torn_line_and_lines_that_are_none_are_left_out(tmp_path):
    path = explored(tmp_path)
    add_label(tmp_path, Label("a", "failure", "ada"))
    with (tmp_path / LABELS_FILE).open("a") as file:
        file.write('{"episode_id": "a", "verdict": "maybe"}\n{"episode_id": "a", "verd')
    add_label(tmp_path, Label("b", "success", "ada"))
    labels, damaged = read_labels(tmp_path)
    assert [label.episode_id for label in labels] == ["a", "b"] and len(damaged) == 2 and "'maybe'" in damaged[0]
    assert not EpisodeStore(tmp_path).read(path).outcome.success


def test_an_episode_cannot_label_itself(tmp_path):
    forged = replace(random_episode(), episode_id="a", mode="explore", meta={"label": "discard", "note": "x"})
    read = EpisodeStore(tmp_path).read(write_episode(tmp_path, forged))
    assert may_be_learned_from(read) and read.meta == {"note": "x"}


def test_the_outcome_of_an_episode_that_was_learned_from_changes_in_the_replay(tmp_path):
    replay = ReplayBuffer(tmp_path / "replay", 20, 64)
    for number in range(3):
        replay.add(replace(random_episode(number, steps=3), episode_id=f"e{number}"))
    assert replay.successes == 3
    assert replay.relabel("e1", False) and not replay.relabel("e9", False)
    assert replay.successes == 2 and replay.episodes == 3
    batch = replay.sample(np.random.default_rng(0), 200, terminal_fraction=1.0)
    assert batch.reward.mean() == pytest.approx(2 / 3, abs=0.15) and np.array_equal(batch.reward, batch.success)
    del replay
    assert ReplayBuffer(tmp_path / "replay", 20, 64).successes == 2, "the checks of a restart find no damage"
    with pytest.raises(ReplayError, match="only read"):
        ReplayBuffer(tmp_path / "replay", 20, 64, read_only=True).relabel("e1", True)


def test_a_discarded_grasp_counts_in_no_phase_and_corrections_are_in_the_report(tmp_path):
    write_session(tmp_path, before=(2, 4), learning=6, after=(4, 4))
    for name, verdict in (("e0000", "failure"), ("e0003", "failure"), ("e0100", "discard"), ("e0101", "failure")):
        assert cli.main(["episodes", "relabel", str(tmp_path), name, verdict, "--who", "ada"]) == 0
    phases = read_record(tmp_path).phases
    assert [grasp.success for grasp in phases.before] == [False, True, False, False]
    assert len(phases.learning) == 5 and len(phases.all) == 14
    assert any("1 corrected, 2 confirmed, 1 discarded" in line for line in write_report(tmp_path).lines)


def test_the_command_names_a_grasp_that_there_is_not_and_lists_labels(tmp_path, capsys):
    write_head_of(tmp_path)
    write_grasp(tmp_path, 7)
    assert cli.main(["episodes", "relabel", str(tmp_path), "e0008", "failure"]) != 0
    assert "no episode e0008; `robot-finetune episodes list` has their ids" in capsys.readouterr().err
    assert cli.main(["episodes", "relabel", str(tmp_path), "e0007", "failure", "--why", "an edge"]) == 0
    assert cli.main(["episodes", "list", str(tmp_path)]) == 0
    assert "failure 1.00 label: failure" in capsys.readouterr().out
