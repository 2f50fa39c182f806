"""What earlier sessions of a robot recorded, rehearsed beside the base replay, so that a lineage of sessions forgets
less ("Never Stop Learning", section 5: each step starts from the policy that the one before ended with)."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from robot_finetune.data.episode_log import CorruptEpisode
from robot_finetune.data.episode_store import EpisodeStore, episodes_in
from robot_finetune.data.label_log import may_be_learned_from
from robot_finetune.data.layout import CHECKPOINTS, EARLIER, EPISODES, TRAINER_STATE
from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.data.replay_file import copy_newest
from robot_finetune.data.replay_storage import ReplayError
from robot_finetune.learning.mounting import Mounting
from robot_finetune.learning.networks.interface import QNetwork

SOURCES = "sources.txt"
"""Which sessions a folder was filled from."""
MOST = 400
"""Grasps of each session that are rehearsed, the newest ones: no variation outweighs the others."""


def earlier_sessions(policy: Path, given: Sequence[Path], out: Path) -> list[Path]:
    """The folders of sessions to rehearse in that of `out`: the one that a checkpoint is from, and those given."""
    place = policy.absolute().parent
    its_own = [place.parent] if place.name == CHECKPOINTS and (place.parent / EPISODES).is_dir() else []
    found = dict.fromkeys([*its_own, *(path.expanduser().absolute() for path in given)])
    return [folder for folder in found if folder != out.absolute()]


def earlier_replay(
    sessions: Sequence[Path], out: Path, network: QNetwork, complain: Callable[[str], object]
) -> ReplayBuffer:
    """The newest grasps of earlier sessions, and what those sessions rehearsed themselves; kept in the folder `out`
    and made anew only for other sessions.

    network: says how the gripper was mounted then. complain: takes one line for each file that is passed over. Raises
    ConfigError for a folder without episodes.
    """
    shape, told = network.config, "\n".join(map(str, sessions))
    marker = out / SOURCES
    if marker.is_file() and marker.read_text() == told:
        try:
            return ReplayBuffer.open(out)
        except ReplayError as error:
            complain(f"{error} (done)")
    shutil.rmtree(out, ignore_errors=True)
    parts = [part for folder in sessions for part in _replays(folder, network, complain)]
    replay = ReplayBuffer(out, max(1, sum(map(len, parts))), shape.image_size)
    for part in parts:
        copy_newest(part, replay, part.episodes)
    replay.flush()
    marker.write_text(told)
    return replay


def _replays(folder: Path, network: QNetwork, complain: Callable[[str], object]) -> list[ReplayBuffer]:
    """What a session rehearsed, and its own newest grasps with the place of the gripper that the images show."""
    shape, found = network.config, []
    before = folder / TRAINER_STATE / EARLIER
    if (before / SOURCES).is_file():
        try:
            found.append(ReplayBuffer.open(before))
        except ReplayError as error:
            complain(f"{error}; it is not rehearsed")
    made = ReplayBuffer(None, MOST * shape.max_steps, shape.image_size)
    _read(episodes_in(folder), made, complain)
    placed = ReplayBuffer(None, max(1, len(made)), shape.image_size)
    copy_newest(made, placed, MOST, Mounting(made, network).place())
    return [*found, placed]


def _read(store: EpisodeStore, replay: ReplayBuffer, complain: Callable[[str], object]) -> None:
    for path in store.paths():
        try:
            episode = store.read(path)
            if may_be_learned_from(episode):
                replay.add(episode)
        except (CorruptEpisode, ReplayError) as error:
            complain(f"not rehearsed: {error}")
