"""Episodes as rows of a replay buffer, and its rows as transitions with n-step returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_finetune.data.replay_storage import ROW, ReplayError, episode_key
from robot_finetune.types import Episode


@dataclass(frozen=True)
class Batch:
    """n transitions with n-step returns. Frames and units are those of `types.Observation`.

    image, next_image: uint8 (n, size, size, 3). pose, next_pose: float32 (n, 4). action: float32 (n, 8), as commanded.
    opening, step, next_opening, next_step: float32 (n,).
    reward: float32 (n,), discounted sum over the steps up to next_*: success at the episode's last step, else 0.
    done: float32 (n,), 1 where the episode ended within those steps; next_* is then its last observation.
    discount: float32 (n,), factor of the value at next_*; 0 where done.
    success: float32 (n,), outcome of the whole episode.
    mount: float32 (n, 2), x and y of the gripper in the frame of the pose [m], where the episode's meta has "mount"
    (a simulation that varies it knows it); else NaN.
    cell: float32 (n, 19), of the cell the episode was made in, where the episode's meta has "cell"; else NaN, the
    robot's own (see learning/networks/interface.py).
    error: float32 (n, 2), error of the poses in x and y of their frame [m]: zero, unless augmentation adds one.
    """

    image: np.ndarray
    pose: np.ndarray
    opening: np.ndarray
    step: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    done: np.ndarray
    discount: np.ndarray
    success: np.ndarray
    mount: np.ndarray
    cell: np.ndarray
    error: np.ndarray
    next_image: np.ndarray
    next_pose: np.ndarray
    next_opening: np.ndarray
    next_step: np.ndarray


def rows_of(episode: Episode, image_size: int) -> tuple[np.ndarray, np.ndarray]:
    """An episode's steps, as commanded: rows of dtype ROW, without checksums, and uint8 images (n, size, size, 3).

    Raises ReplayError if an image is not of that size and type, or a value is not finite."""
    shape = (image_size, image_size, 3)
    rows = np.zeros(len(episode.steps), ROW)
    images = np.empty((len(episode.steps), *shape), np.uint8)
    for index, step in enumerate(episode.steps):
        seen = step.observation
        if seen.image.shape != shape or seen.image.dtype != np.uint8:
            found = f"{seen.image.dtype} {seen.image.shape}"
            raise ReplayError(
                f"episode {episode.episode_id}: image is {found}, not uint8 {shape}; use the replay's image size"
            )
        images[index] = seen.image
        values = (seen.pose, seen.opening, seen.step, step.commanded.vector)
        if not all(np.isfinite(value).all() for value in values):
            raise ReplayError(
                f"episode {episode.episode_id}: step {index} has a value that is not finite; leave this episode out"
            )
        rows[index]["pose"], rows[index]["opening"], rows[index]["step"], rows[index]["action"] = values
        rows[index]["intervention"] = step.intervention
    rows["success"] = episode.reward
    rows["mount"] = episode.meta.get("mount", np.nan)
    rows["cell"] = episode.meta.get("cell", np.nan)
    rows["remaining"] = np.arange(len(rows))[::-1]
    rows["key"] = np.frombuffer(episode_key(episode.episode_id), np.uint8)
    return rows, images


def batch_of(
    rows: np.ndarray, images: np.ndarray, next_rows: np.ndarray, next_images: np.ndarray, n_step: int, discount: float
) -> Batch:
    """The transitions from rows to those `n_step` steps later, or to their episode's last; with their images."""
    done = rows["remaining"] < n_step
    gain = rows["success"] * np.power(discount, rows["remaining"], dtype=np.float32)
    return Batch(
        image=images,
        pose=np.ascontiguousarray(rows["pose"]),
        opening=np.ascontiguousarray(rows["opening"]),
        step=np.ascontiguousarray(rows["step"]),
        action=np.ascontiguousarray(rows["action"]),
        reward=np.where(done, gain, 0).astype(np.float32),
        done=done.astype(np.float32),
        discount=np.where(done, 0, discount**n_step).astype(np.float32),
        success=np.ascontiguousarray(rows["success"]),
        mount=np.ascontiguousarray(rows["mount"]),
        cell=np.ascontiguousarray(rows["cell"]),
        error=np.zeros((len(rows), 2), np.float32),
        next_image=next_images,
        next_pose=np.ascontiguousarray(next_rows["pose"]),
        next_opening=np.ascontiguousarray(next_rows["opening"]),
        next_step=np.ascontiguousarray(next_rows["step"]),
    )
