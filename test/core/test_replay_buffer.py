"""The replay: batches are never dirty, nothing visible is lost, and a packed file is the same replay again."""

import dataclasses
import multiprocessing
import os
import signal
from collections import deque
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from make_episodes import numbered_episode, random_episode

from robot_finetune.data import replay_file
from robot_finetune.data.replay_buffer import CorruptReplay, ReplayBuffer, ReplayError
from robot_finetune.data.replay_file import copy_newest, pack, unpack
from robot_finetune.data.replay_storage import ROW_2, ROW_3
from robot_finetune.types import CELL_SIZE

process = multiprocessing.get_context("spawn")


@settings(max_examples=60, deadline=None)
@given(
    episodes=st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=1, max_size=25),
    capacity=st.integers(6, 40),
    n_step=st.integers(1, 8),
    discount=st.floats(0.5, 1.0),
)
def test_every_sampled_transition_is_what_brute_force_says(episodes, capacity, n_step, discount):
    buffer = ReplayBuffer(None, capacity, 2)
    kept: deque[int] = deque()
    for number, (steps, success) in enumerate(episodes):
        assert buffer.add(numbered_episode(number, steps, success))
        kept.append(number)
        while sum(episodes[one][0] for one in kept) > capacity:
            kept.popleft()
    assert len(buffer) == sum(episodes[number][0] for number in kept)
    assert buffer.episodes == len(kept)
    assert buffer.successes == sum(episodes[number][1] for number in kept)

    batch = buffer.sample(np.random.default_rng(0), 200, n_step, discount)
    for row in range(200):
        number, index = int(batch.pose[row, 0]), int(batch.step[row])
        steps, success = episodes[number]
        assert number in kept
        rewards = [float(success and step == steps - 1) for step in range(steps)]
        ahead = rewards[index : index + n_step]
        done = index + n_step >= steps
        assert batch.reward[row] == pytest.approx(sum(r * discount**k for k, r in enumerate(ahead)))
        assert batch.done[row] == done
        assert batch.discount[row] == pytest.approx(0 if done else discount**n_step)
        assert batch.success[row] == success
        assert (batch.image[row] == number).all() and (batch.next_image[row] == number).all()
        assert (batch.action[row] == number).all(), "the action as commanded, not as asked"
        assert tuple(batch.next_pose[row]) == (number, min(index + n_step, steps - 1), 0, 0)
        assert batch.next_step[row] == min(index + n_step, steps - 1)
        assert batch.opening[row] == batch.next_opening[row] == number


def test_going_back_to_an_earlier_state_forgets_the_episodes_since(tmp_path):
    buffer = ReplayBuffer(tmp_path, 40, 2)
    for number in range(4):
        buffer.add(numbered_episode(number, 3, True))
    rows, images = buffer.read_all()
    buffer.keep_first(6)
    assert (len(buffer), buffer.episodes) == (6, 2)
    with pytest.raises(ReplayError, match="first 7 transitions"):
        buffer.keep_first(7)
    again = ReplayBuffer(tmp_path, 40, 2)
    for number in (1, 2, 3):
        assert again.add(numbered_episode(number, 3, True)) == (number > 1)
    assert [array.tobytes() for array in again.read_all()] == [rows.tobytes(), images.tobytes()]


def test_what_a_person_did_can_be_sampled_alone_also_by_whoever_opens_the_folder(tmp_path):
    buffer = ReplayBuffer(tmp_path, 20, 2)
    buffer.add(numbered_episode(1))
    with pytest.raises(ReplayError, match="no transitions"):
        buffer.sample(np.random.default_rng(0), 4, by_hand=True)
    for number in range(2, 9):  # the ring drops the first ones
        made = numbered_episode(number)
        steps = tuple(
            dataclasses.replace(step, intervention=number > 5 and index == 1) for index, step in enumerate(made.steps)
        )
        buffer.add(dataclasses.replace(made, steps=steps))
    again = ReplayBuffer.open(tmp_path)
    assert again.interventions == buffer.interventions == 3
    batch = again.sample(np.random.default_rng(0), 50, by_hand=True)
    assert set(batch.pose[:, 0]) == {6, 7, 8} and set(batch.step) == {1}


@pytest.mark.parametrize(("number", "row"), [(0, ROW_2), (1, ROW_3)])
def test_a_packed_replay_of_a_format_before_is_read(number, row, tmp_path, monkeypatch):
    buffer = ReplayBuffer(None, 20, 2)
    buffer.add(random_episode(size=2))
    rows, images = buffer.read_all()
    assert rows["intervention"].any()
    monkeypatch.setattr(replay_file, "FORMAT", replay_file.READABLE[number])
    old = np.zeros(len(rows), row)
    for name in row.names:
        old[name] = rows[name]
    monkeypatch.setattr(buffer, "read_all", lambda: (old, images))
    pack(buffer, tmp_path / "old.bin")
    monkeypatch.undo()
    found, seen = unpack(tmp_path / "old.bin").read_all()
    assert found["intervention"].any() == (row is ROW_3) and np.isnan(found["cell"]).all() and (seen == images).all()
    assert all((found[name] == rows[name]).all() for name in ("pose", "action", "success", "remaining", "key"))


def test_an_episode_keeps_the_cell_it_was_made_in(tmp_path):
    buffer = ReplayBuffer(None, 20, 2)
    here, there = numbered_episode(1), numbered_episode(2)
    buffer.add(here)
    buffer.add(dataclasses.replace(there, meta={**there.meta, "cell": list(range(CELL_SIZE))}))
    pack(buffer, tmp_path / "both.bin")
    batch = unpack(tmp_path / "both.bin").every()
    own = batch.pose[:, 0] == 1
    assert np.isnan(batch.cell[own]).all() and (batch.cell[~own] == np.arange(CELL_SIZE)).all() and own.any()


def test_batch_has_the_types_a_network_takes():
    buffer = ReplayBuffer(None, 10, 64)
    buffer.add(random_episode())
    batch = buffer.sample(np.random.default_rng(0), 5)
    assert batch.image.shape == batch.next_image.shape == (5, 64, 64, 3) and batch.image.dtype == np.uint8
    for name in ("opening", "step", "reward", "done", "discount", "success", "next_opening", "next_step"):
        assert getattr(batch, name).shape == (5,) and getattr(batch, name).dtype == np.float32, name
    assert batch.pose.shape == batch.next_pose.shape == (5, 4) and batch.pose.dtype == np.float32
    assert batch.action.shape == (5, 8) and batch.action.dtype == np.float32


def test_an_episode_counts_once_even_after_the_ring_dropped_it(tmp_path):
    buffer = ReplayBuffer(tmp_path, 6, 2)
    assert [buffer.add(numbered_episode(number)) for number in (1, 2, 2, 3)] == [True, True, False, True]
    assert buffer.episodes == 2 and "000001" in buffer
    again = ReplayBuffer(tmp_path, 6, 2)
    assert not again.add(numbered_episode(1))
    assert again.add(numbered_episode(4))


def test_reopened_folder_goes_on(tmp_path):
    with_rows = ReplayBuffer(tmp_path, 20, 2)
    for number in range(9):
        with_rows.add(numbered_episode(number, success=number % 2 == 0))
    again = ReplayBuffer.open(tmp_path)
    assert (len(again), again.episodes, again.successes) == (len(with_rows), with_rows.episodes, with_rows.successes)
    first, second = (one.sample(np.random.default_rng(3), 16) for one in (with_rows, again))
    np.testing.assert_array_equal(first.pose, second.pose)


def test_refuses_what_would_make_a_dirty_batch():
    buffer = ReplayBuffer(None, 4, 2)
    with pytest.raises(ReplayError, match="image size"):
        buffer.add(numbered_episode(1, size=3))
    bad = numbered_episode(2)
    bad.steps[1].observation.pose[0] = np.nan
    with pytest.raises(ReplayError, match="000002.*step 1.*not finite"):
        buffer.add(bad)
    with pytest.raises(ReplayError, match="capacity"):
        buffer.add(numbered_episode(3, steps=5))
    assert not buffer.add(numbered_episode(4, steps=0))
    assert len(buffer) == 0
    with pytest.raises(ReplayError, match="no transitions"):
        buffer.sample(np.random.default_rng(0), 1)


def _add_and_die(folder: Path, where: str) -> None:
    """Add episode 2 and be killed just before it becomes visible, or just before its id is remembered."""
    buffer = ReplayBuffer.open(folder)

    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    if where == "remember":
        buffer._known.add = die
    else:

        class Counters(np.ndarray):
            def __setitem__(self, index, value):
                die() if index == 1 else super().__setitem__(index, value)

        buffer._counters = buffer._counters.view(Counters)
    buffer.add(numbered_episode(2))


@pytest.mark.parametrize(("where", "seen"), [("counter", False), ("remember", True)])
def test_process_killed_while_adding(tmp_path, where, seen):
    buffer = ReplayBuffer(tmp_path, 30, 2)
    buffer.add(numbered_episode(1))
    writer = process.Process(target=_add_and_die, args=(tmp_path, where))
    writer.start()
    writer.join()
    assert writer.exitcode == -signal.SIGKILL
    assert len(buffer) == (6 if seen else 3)
    poses = buffer.sample(np.random.default_rng(0), 64).pose[:, 0]
    assert set(poses) == ({1, 2} if seen else {1})
    again = ReplayBuffer.open(tmp_path)
    assert again.add(numbered_episode(2)) is not seen
    assert len(again) == 6


def _sample_until(folder: Path, stop, seen_enough, result) -> None:
    buffer = ReplayBuffer.open(folder)
    rng = np.random.default_rng(0)
    batches = dirty = 0
    numbers: set[int] = set()
    while not stop.is_set():
        batch = buffer.sample(rng, 32)
        number = batch.pose[:, 0]
        same = (batch.image == (number % 256)[:, None, None, None]).all() and (batch.action == number[:, None]).all()
        same &= (batch.next_image == batch.image).all() and (batch.next_pose[:, 0] == number).all()
        same &= (batch.next_step == np.where(batch.done, batch.step, batch.step + 1)).all()
        dirty += not same
        batches += 1
        numbers.update(number.astype(int).tolist())
        if batches > 50 and len(numbers) > 60:
            seen_enough.set()
    result.put((batches, dirty, len(numbers)))


def test_reader_in_another_process_sees_no_dirty_batch(tmp_path):
    buffer = ReplayBuffer(tmp_path, 12, 64)
    buffer.add(numbered_episode(0, size=64))
    stop, seen_enough, result = process.Event(), process.Event(), process.Queue()
    reader = process.Process(target=_sample_until, args=(tmp_path, stop, seen_enough, result))
    reader.start()
    number = 0
    while number < 4000 or (not seen_enough.is_set() and reader.is_alive()):
        number += 1
        buffer.add(numbered_episode(number, steps=1 + number % 5, size=64))
    stop.set()
    batches, dirty, seen = result.get(timeout=60)
    reader.join()
    assert batches > 20 and seen > 50, "the two did not run side by side"
    assert dirty == 0


def test_damage_on_disk_is_found_when_opened(tmp_path):
    buffer = ReplayBuffer(tmp_path, 30, 2)
    buffer.add(numbered_episode(1))
    buffer._images[1, 0, 0, 0] ^= 1
    with pytest.raises(CorruptReplay, match="row 1 is damaged.*delete"):
        ReplayBuffer.open(tmp_path)
    with pytest.raises(ReplayError, match="capacity"):
        ReplayBuffer(tmp_path, 31, 2)
    os.truncate(tmp_path / "rows.npy", 300)
    with pytest.raises(CorruptReplay, match="rows.npy"):
        ReplayBuffer.open(tmp_path)


def test_packed_replay_is_the_same_replay(tmp_path):
    buffer = ReplayBuffer(None, 12, 64)
    for seed in range(5):  # the ring drops the first ones
        buffer.add(random_episode(seed))
    size = pack(buffer, tmp_path / "base.replay")
    assert size == (tmp_path / "base.replay").stat().st_size
    again = unpack(tmp_path / "base.replay", tmp_path / "replay")
    assert (len(again), again.episodes, again.successes) == (12, 3, 3)
    assert [array.tobytes() for array in again.read_all()] == [array.tobytes() for array in buffer.read_all()]
    assert not again.add(random_episode(4))
    assert len(unpack(tmp_path / "base.replay", tmp_path / "replay")) == 12


def test_newest_episodes_are_copied():
    source, target = ReplayBuffer(None, 30, 2), ReplayBuffer(None, 30, 2)
    for number in range(5):
        source.add(numbered_episode(number))
    copy_newest(source, target, 2)
    assert set(target.read_all()[0]["pose"][:, 0]) == {3, 4}
    copy_newest(ReplayBuffer(None, 30, 2), target, 2)
    assert target.episodes == 2


@pytest.mark.parametrize("damage", ["cut", "flipped", "no file", "other file"])
def test_damaged_packed_replay_is_named(tmp_path, damage):
    path = tmp_path / "base.replay"
    buffer = ReplayBuffer(None, 12, 64)
    buffer.add(random_episode())
    pack(buffer, path)
    data = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(data[:-100])
    elif damage == "flipped":
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    elif damage == "no file":
        path.unlink()
    else:
        path.write_text("hello")
    with pytest.raises(CorruptReplay, match=r"base\.replay: .*; "):
        unpack(path)
