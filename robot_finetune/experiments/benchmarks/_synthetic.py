"""A replay full of made-up episodes, quickly."""

from __future__ import annotations

import numpy as np

from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.data.replay_storage import ROW, episode_key

STEPS = 5
"""Of each episode; about as many as the policies take."""


def episode_rows(name: str, pose: np.ndarray, opening: np.ndarray, action: np.ndarray, success: bool) -> np.ndarray:
    """The rows of one episode: pose (n, 4), opening (n,) and action (n, 8) of each step."""
    rows = np.zeros(len(pose), ROW)
    rows["pose"], rows["opening"], rows["action"] = pose, opening, action
    rows["step"] = np.arange(len(rows))
    rows["remaining"] = rows["step"][::-1]
    rows["success"], rows["mount"], rows["cell"] = success, np.nan, np.nan
    rows["key"] = np.frombuffer(episode_key(name), np.uint8)
    return rows


def fill(buffer: ReplayBuffer, transitions: int, seed: int = 0) -> None:
    """Add episodes until `buffer` has `transitions` more: images of a noisy plain floor, all on the disk."""
    rng = np.random.default_rng(seed)
    size = buffer.image_size
    pictures = rng.integers(100, 140, (STEPS + 64, size, size, 3), dtype=np.uint8)
    for index in range(transitions // STEPS):
        pose = rng.uniform((0.45, -0.2, 0.01, -1.5), (0.75, 0.2, 0.25, 1.5), (STEPS, 4))
        action = rng.uniform(-1, 1, (STEPS, 8))
        rows = episode_rows(f"{seed}-{index}", pose, np.ones(STEPS), action, bool(index % 2))
        first = index % 64
        buffer.add_rows(rows, pictures[first : first + STEPS])
