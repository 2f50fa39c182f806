"""The shared unpacked replay: made once for all processes, whole or not there, bounded, and never in the way."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from make_episodes import random_episode

import robot_finetune.data.replay_cache as cache
from robot_finetune.data.replay_buffer import ReplayBuffer, ReplayError
from robot_finetune.data.replay_cache import CACHE_FOLDER, cache_folder, unpacked
from robot_finetune.data.replay_file import pack

OPEN = """
import os, signal, sys
from pathlib import Path
import robot_finetune.data.replay_cache as cache
from robot_finetune.data.replay_buffer import ReplayBuffer
how, path = sys.argv[1], Path(sys.argv[2])
if how == "die":
    add, count = ReplayBuffer.add_rows, []
    def add_rows(self, *args):
        count.append(add(self, *args))
        if len(count) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
    ReplayBuffer.add_rows = add_rows
replay = cache.unpacked(path)
print(replay.folder, len(replay), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_FOLDER, str(tmp_path / "cache"))
    return tmp_path / "cache" / "replays"


@pytest.fixture
def start():
    """start(how, path) opens a packed replay in a process that waits with it."""
    started = []

    def begin(how, path):
        command = [sys.executable, "-c", OPEN, how, path]
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def packed(path, seed=0, episodes=4):
    replay = ReplayBuffer(None, 40, 16)
    for number in range(episodes):
        replay.add(random_episode(10 * seed + number, size=16))
    pack(replay, path)
    return path


def entries(folder):
    return sorted(path for path in folder.iterdir() if path.is_dir())


def test_it_is_the_packed_replay_and_cannot_be_written(tmp_path, folder):
    replay = unpacked(packed(tmp_path / "replay.bin"))
    assert len(replay) == 16 and replay.episodes == 4 and "session" not in replay and "session-000001" in replay
    assert replay.sample(np.random.default_rng(0), 5).image.shape == (5, 16, 16, 3)
    for change in (lambda: replay.add(random_episode(99, size=16)), lambda: replay.keep_first(0)):
        with pytest.raises(ReplayError, match="only read"):
            change()
    first = os.stat(entries(folder)[0] / "images.npy").st_ino
    unpacked(tmp_path / "replay.bin")
    assert os.stat(entries(folder)[0] / "images.npy").st_ino == first, "unpacked once"


def test_two_processes_at_once_share_one(tmp_path, folder, start):
    packed(tmp_path / "replay.bin")
    processes = [start("open", tmp_path / "replay.bin") for _ in range(2)]
    told = {process.stdout.readline() for process in processes}
    assert told == {f"{entries(folder)[0]} 16\n"} and len(entries(folder)) == 1


def test_one_that_is_killed_while_it_unpacks_leaves_nothing_behind(tmp_path, folder, start):
    packed(tmp_path / "replay.bin")
    killed = start("die", tmp_path / "replay.bin")
    assert killed.wait() == -signal.SIGKILL and [path.name[:7] for path in entries(folder)] == [".aside-"]
    assert len(unpacked(tmp_path / "replay.bin")) == 16
    assert [path.name[:7] for path in entries(folder)] != [".aside-"] and len(entries(folder)) == 1


@pytest.mark.parametrize("file", ["images.npy", "rows.npy", "counters.npy", "replay.json", "episodes.keys"])
@pytest.mark.parametrize("damage", ["gone", "cut", "flipped"])
def test_a_damaged_entry_is_made_again(tmp_path, folder, file, damage):
    want = unpacked(packed(tmp_path / "replay.bin")).read_all()
    path = entries(folder)[0] / file
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.unlink()
    if damage != "gone":
        path.write_bytes(data[:50] if damage == "cut" else data)
    found = unpacked(tmp_path / "replay.bin").read_all()
    assert [array.tobytes() for array in found] == [array.tobytes() for array in want]
    assert len(entries(folder)) == 1


def test_the_oldest_unused_one_goes_when_there_are_too_many(tmp_path, folder, monkeypatch):
    kept = unpacked(packed(tmp_path / "0.bin", 0))
    unpacked(packed(tmp_path / "1.bin", 1))
    old = [path for path in entries(folder) if path != kept.folder]
    for age, path in ((300, kept.folder), (200, old[0])):
        os.utime(path, (os.stat(path).st_mtime - age,) * 2)
    monkeypatch.setattr(cache, "LIMIT", 1)
    newest = unpacked(packed(tmp_path / "2.bin", 2))
    assert set(entries(folder)) == {kept.folder, newest.folder}, "in use stays, and so does the one that is asked for"
    assert len(kept.sample(np.random.default_rng(0), 3).step) == 3


def test_without_a_place_for_it_the_process_has_its_own(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(CACHE_FOLDER, str(tmp_path / "file"))
    said = []
    replay = unpacked(packed(tmp_path / "replay.bin"), said.append)
    assert len(replay) == 16 and not replay.folder.exists()
    assert len(said) == 1 and CACHE_FOLDER in said[0] and "\n" not in said[0]


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, folder, monkeypatch):
    packed(tmp_path / "replay.bin")

    def full(handle, offset, size):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        said = []
        with pytest.raises(ReplayError, match="no room for .* free disk space"):
            unpacked(tmp_path / "replay.bin", said.append)
    assert len(said) == 1 and not entries(folder)


def test_where_it_is_kept(monkeypatch):
    for name in (CACHE_FOLDER, "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert str(cache_folder()) == "/home/somebody/.cache/robot_finetune"
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert str(cache_folder()) == "/caches/robot_finetune"
    monkeypatch.setenv(CACHE_FOLDER, "/own")
    assert str(cache_folder()) == "/own"


def test_a_temporary_replay_leaves_nothing_when_its_process_is_killed(tmp_path):
    program = """
import os, signal
from robot_finetune.data.replay_buffer import ReplayBuffer
replay = ReplayBuffer(None, 1000, 16)
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", program], env={**os.environ, "TMPDIR": str(tmp_path)})
    assert not list(tmp_path.iterdir())
