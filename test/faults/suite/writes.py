"""Processes that are killed while they write: what they said was written is there, and whole."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from tally import Tally

from robot_finetune.data.episode_log import CorruptEpisode, read_episode
from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.data.replay_storage import ReplayError
from robot_finetune.learning.checkpoint import CheckpointError, load_checkpoint

WRITER = """
import dataclasses, sys
from pathlib import Path
from fuzz.readers import SIZE, SMALL, episode
from robot_finetune.data.episode_log import write_episode
from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.learning.checkpoint import save_checkpoint
from robot_finetune.learning.networks.build import build_network

folder, first = Path(sys.argv[1]), int(sys.argv[2])
network, replay = build_network(SMALL, 0), ReplayBuffer(folder / "replay", 20_000, SIZE)
print("ready", flush=True)
for number in range(first, first + 1_000_000):
    one = dataclasses.replace(episode(), episode_id=f"e{number:07d}")
    write_episode(folder / "episodes", one)
    print("episode", number, flush=True)
    replay.add(one)
    replay.flush()
    print("replay", number, flush=True)
    if number % 20 == 0:
        save_checkpoint(folder / "versions" / f"v{number:07d}", network, number, 0, {})
        print("version", number, flush=True)
"""


def killed_writers(count: int, seed: int, folder: Path) -> Tally:
    """Kill a writer of episodes, replay and versions `count` times; all go on in one folder."""
    tally, rng, number = Tally("kills in the middle of a write"), np.random.default_rng(seed), 0
    said: dict[str, set[int]] = {"episode": set(), "replay": set(), "version": set()}
    for _ in range(count):
        tally.tried += 1
        lines = _write_and_kill(folder, number, float(rng.uniform(0.0, 0.15)))
        for kind, value in lines:
            said[kind].add(value)
        number = max([number, *(value + 1 for _, value in lines)])
        tally.survived += 1
    _check(folder, said, tally)
    return tally


def _write_and_kill(folder: Path, first: int, after: float) -> list[tuple[str, int]]:
    """What a writer said before it was killed, `after` seconds from when it began."""
    command = [sys.executable, "-c", WRITER, str(folder), str(first)]
    path = Path(__file__).parents[2]  # of the module fuzz
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(path), os.environ.get("PYTHONPATH", "")])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n", "the writer does not start"
        time.sleep(after)
        writer.kill()
        words = [line.split() for line in writer.stdout.read().splitlines(keepends=False)]
    return [(kind, int(value)) for kind, value in (pair for pair in words if len(pair) == 2)]


def _check(folder: Path, said: dict[str, set[int]], tally: Tally) -> None:
    for number in said["episode"]:
        try:
            read_episode(folder / "episodes" / f"e{number:07d}.mcap")
        except CorruptEpisode as error:
            tally.lost += 1
            tally.note(str(error))
    for path in (folder / "episodes").glob("[!.]*.mcap"):  # whole or not there, also what was not acknowledged
        try:
            read_episode(path)
        except CorruptEpisode as error:
            tally.wrong += 1
            tally.note(str(error))
    for number in said["version"]:
        try:
            load_checkpoint(folder / "versions" / f"v{number:07d}")
        except CheckpointError as error:
            tally.lost += 1
            tally.note(str(error))
    try:
        replay = ReplayBuffer.open(folder / "replay")
        missing = len(said["replay"]) - replay.episodes
        if missing > 0:
            tally.lost += missing
            tally.note(f"{missing} of {len(said['replay'])} flushed episodes are not in the replay")
    except ReplayError as error:
        tally.lost += len(said["replay"])
        tally.note(str(error))
