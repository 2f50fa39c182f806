"""Episode files: exact, readable by other tools, and whole or absent whatever happens to the writer."""

import multiprocessing
import os
import resource
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from make_episodes import assert_same, random_episode
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory
from rosbags.highlevel import AnyReader

from robot_finetune.data.episode_log import (
    CorruptEpisode,
    EpisodeLogError,
    read_episode,
    remove_leftovers,
    write_episode,
)
from robot_finetune.types import Episode, GraspOutcome, tool_quaternion, yaw_of

process = multiprocessing.get_context("spawn")


@pytest.mark.parametrize(
    "episode",
    [
        random_episode(),
        random_episode(1, steps=1, size=48, stamp=0.0),
        random_episode(2, stamp=12.345678901),
        Episode("empty", (), GraspOutcome(False, 0.5), end_reason="blocked"),
    ],
    ids=["full", "one step", "simulated time", "no steps"],
)
def test_what_is_read_is_what_was_written(tmp_path, episode):
    path = write_episode(tmp_path, episode)
    assert path == tmp_path / f"{episode.episode_id}.mcap"
    assert_same(read_episode(path), episode)
    assert os.listdir(tmp_path) == [path.name]


def test_mcap_reads_it_with_what_is_in_the_file(tmp_path):
    episode = random_episode()
    with open(write_episode(tmp_path, episode), "rb") as stream:
        reader = make_reader(stream, validate_crcs=True, decoder_factories=[DecoderFactory()])
        assert reader.get_header().profile == "ros2"
        summary = reader.get_summary()
        assert {channel.topic for channel in summary.channels.values()} == {
            "/observation",
            "/policy_step",
            "/joint_states",
            "/grasp_outcome",
        }
        assert {channel.message_encoding for channel in summary.channels.values()} == {"cdr"}
        assert {schema.encoding for schema in summary.schemas.values()} == {"ros2msg"}
        assert {chunk.compression for chunk in summary.chunk_indexes} == {"zstd"}
        found = [
            (item.channel.topic, item.message.log_time, item.decoded_message) for item in reader.iter_decoded_messages()
        ]
    steps = [(stamp, message) for topic, stamp, message in found if topic == "/policy_step"]
    assert [stamp for stamp, _ in steps] == [round(step.observation.stamp * 1e3) * 10**6 for step in episode.steps]
    np.testing.assert_array_equal(steps[1][1].commanded, episode.steps[1].commanded.vector)
    joints = next(message for topic, _, message in found if topic == "/joint_states")
    assert joints.name == episode.meta["joint_names"]


def test_rosbags_reads_it_independently(tmp_path):
    episode = random_episode()
    with AnyReader([write_episode(tmp_path, episode)]) as reader:
        found = [
            (item.topic, item.msgtype, reader.deserialize(data, item.msgtype)) for item, _, data in reader.messages()
        ]
    types = {topic: kind for topic, kind, _ in found}
    assert types == {
        "/observation": "sensor_msgs/msg/Image",
        "/policy_step": "robot_finetune/msg/PolicyStep",
        "/joint_states": "sensor_msgs/msg/JointState",
        "/grasp_outcome": "robot_finetune/msg/GraspOutcome",
    }
    images = [message for topic, _, message in found if topic == "/observation"]
    steps = [message for topic, _, message in found if topic == "/policy_step"]
    outcome = next(message for topic, _, message in found if topic == "/grasp_outcome")
    for step, image, message in zip(episode.steps, images, steps, strict=True):
        for one in (image, message.observation):
            np.testing.assert_array_equal(one.data.reshape(64, 64, 3), step.observation.image)
            assert (one.encoding, one.step) == ("rgb8", 192)
        x, y, z, yaw = step.observation.pose
        at, turn = message.pose.position, message.pose.orientation
        np.testing.assert_allclose((at.x, at.y, at.z), (x, y, z))
        tool = _matrix(turn.x, turn.y, turn.z, turn.w)
        expected = [[np.cos(yaw), np.sin(yaw), 0.0], [np.sin(yaw), -np.cos(yaw), 0.0], [0.0, 0.0, -1.0]]
        np.testing.assert_allclose(tool, expected, atol=1e-12, err_msg="x at the yaw, z straight down")
        assert message.mode == {"explore": 1, "evaluate": 2, "scripted": 3, "demonstrate": 4}[episode.mode]
        np.testing.assert_array_equal(message.asked, step.asked.vector)
        np.testing.assert_array_equal(message.commanded, step.commanded.vector)
        np.testing.assert_array_equal(message.joint_positions, step.joint_positions)
        np.testing.assert_array_equal(message.q, np.float32(step.q))
        assert (message.episode_id, message.variation, message.policy_version) == (
            episode.episode_id,
            episode.variation,
            7,
        )
    assert outcome.success and outcome.contradiction and outcome.steps == 4 and outcome.end_reason == "step_limit"
    assert dict(zip(outcome.evidence_names, outcome.evidence_values, strict=True)) == episode.outcome.evidence


def test_an_episode_written_twice_is_kept_and_another_one_is_refused(tmp_path):
    episode = random_episode()
    path = write_episode(tmp_path, episode)
    before = path.stat().st_ino
    assert write_episode(tmp_path, replace(episode, meta={})) == path and path.stat().st_ino == before
    with pytest.raises(EpisodeLogError, match="another grasp"):
        write_episode(tmp_path, replace(random_episode(5), episode_id=episode.episode_id))
    path.write_bytes(b"damaged")
    assert_same(read_episode(write_episode(tmp_path, episode)), episode)


@pytest.mark.parametrize("name", ["", "../up", ".hidden", "a" * 300])
def test_an_id_that_is_no_file_name_is_refused(tmp_path, name):
    with pytest.raises(EpisodeLogError, match="file's name"):
        write_episode(tmp_path, replace(random_episode(), episode_id=name))


def test_a_value_no_message_can_hold_leaves_no_file(tmp_path):
    with pytest.raises(EpisodeLogError, match="meta value"):
        write_episode(tmp_path, replace(random_episode(), meta={"robot": object()}))
    step = replace(random_episode().steps[0], policy_version=-1)
    with pytest.raises(EpisodeLogError, match="cannot be written"):
        write_episode(tmp_path, replace(random_episode(), steps=(step,)))
    assert os.listdir(tmp_path) == []


def test_cut_off_file_is_corrupt_wherever_it_ends(tmp_path):
    path = write_episode(tmp_path, random_episode(size=8))
    data = path.read_bytes()
    for length in range(0, len(data), 37):
        path.write_bytes(data[:length])
        with pytest.raises(CorruptEpisode, match=r"session-000000\.mcap: .*; move the file"):
            read_episode(path)


def test_a_changed_byte_never_changes_an_episode(tmp_path):
    episode = random_episode(size=8)
    path = write_episode(tmp_path, episode)
    data = path.read_bytes()
    damaged = 0
    for place in range(0, len(data), 23):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :])
        try:
            assert_same(read_episode(path), episode)  # the byte was in an index
        except CorruptEpisode:
            damaged += 1
    assert damaged > 20


@pytest.mark.parametrize("content", [None, b"", b"no mcap"])
def test_no_episode_at_all(tmp_path, content):
    path = tmp_path / "x.mcap"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CorruptEpisode, match=r"x\.mcap: .*; "):
        read_episode(path)


def _write_many(folder: Path, first: int) -> None:
    for seed in range(first, first + 1000):
        write_episode(folder, random_episode(seed, size=16))


def test_killed_writer_leaves_only_whole_files(tmp_path):
    for attempt in range(4):
        before = len(list(tmp_path.glob("*.mcap")))
        writer = process.Process(target=_write_many, args=(tmp_path, attempt * 1000))
        writer.start()
        deadline = time.monotonic() + 60
        while len(list(tmp_path.glob("*.mcap"))) < before + 3 and time.monotonic() < deadline:
            time.sleep(0.001 * (attempt + 1))
        writer.kill()
        writer.join()
    paths = sorted(tmp_path.glob("*.mcap"))
    assert len(paths) >= 12
    for path in paths:
        assert_same(read_episode(path), random_episode(int(path.stem.split("-")[1]), size=16))


def _write_and_die(folder: Path) -> None:
    os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
    write_episode(folder, random_episode())


def test_killed_just_before_it_is_on_disk_leaves_nothing_in_the_list(tmp_path):
    writer = process.Process(target=_write_and_die, args=(tmp_path,))
    writer.start()
    writer.join()
    assert writer.exitcode == -signal.SIGKILL
    assert list(tmp_path.glob("[!.]*")) == [] and len(os.listdir(tmp_path)) == 1
    assert remove_leftovers(tmp_path) == 1 and os.listdir(tmp_path) == []


def _write_with_a_limit(folder: Path, result) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    try:
        write_episode(folder, random_episode())
    except EpisodeLogError as error:
        result.put(str(error))


def test_file_size_limit_leaves_no_partial_file(tmp_path):
    result = process.Queue()
    writer = process.Process(target=_write_with_a_limit, args=(tmp_path, result))
    writer.start()
    assert "ulimit" in result.get(timeout=60)
    writer.join()
    assert os.listdir(tmp_path) == []


def test_full_disk_names_the_free_space_and_leaves_no_partial_file(tmp_path):
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", tmp_path], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        write_episode(tmp_path, random_episode(0, steps=1))
        with pytest.raises(EpisodeLogError, match=r"No space left.*0\.\d MB are free.*delete files"):
            write_episode(tmp_path, random_episode(1, steps=4))
        assert os.listdir(tmp_path) == ["session-000000.mcap"]
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_folder_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EpisodeLogError, match="check that .*file is a folder"):
        write_episode(tmp_path / "file", random_episode())


def _matrix(x, y, z, w):
    """(3, 3) rotation of a quaternion."""
    matrix = np.empty(9)
    mujoco.mju_quat2Mat(matrix, np.array([w, x, y, z]))
    return matrix.reshape(3, 3)


def test_a_recording_from_before_poses_and_constants_is_read_by_its_own_schema():
    episode = read_episode(Path(__file__).parent / "data" / "episode_with_former_messages.mcap")
    assert (episode.episode_id, episode.mode, episode.policy_version) == ("e0001", "evaluate", 3)
    np.testing.assert_array_equal(episode.steps[1].observation.pose, [0.5, 0.1, 0.2, -0.75])


def test_a_mode_that_no_message_has_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(EpisodeLogError, match="mode 'play': allowed are explore, evaluate, scripted, demonstrate"):
        write_episode(tmp_path, replace(random_episode(), mode="play"))
    assert not list(tmp_path.iterdir())


@given(st.floats(-np.pi, np.pi))
def test_a_yaw_survives_its_quaternion(yaw):
    assert abs((yaw_of(*tool_quaternion(yaw)) - yaw + np.pi) % (2 * np.pi) - np.pi) < 1e-12


@pytest.mark.parametrize("turn", [(0.0, 0.0, 0.0, 1.0), (0.5, 0.5, 0.5, 0.5), (np.nan, 0.0, 0.0, 0.0), (0.0,) * 4])
def test_a_tool_that_does_not_point_down_is_refused(turn):
    with pytest.raises(ValueError, match="straight down"):
        yaw_of(*turn)
