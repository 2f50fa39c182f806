"""The steps of an episode as arrays, one row a step, and as transitions."""

from __future__ import annotations

import cv2
import numpy as np

from robot_finetune.types import Episode


def step_arrays(episode: Episode) -> dict[str, np.ndarray]:
    """images uint8 (n, size, size, 3), poses (n, 4) [m, rad, base frame], openings, steps, stamps [s], q,
    policy_versions (n,), asked, commanded (n, 8), joint_positions (n, joints) [rad; nan where not measured], sides
    (n,) text, interventions (n,) bool: whether a person acted."""
    steps = episode.steps
    seen = [step.observation for step in steps]
    joints = np.full((len(steps), max((len(step.joint_positions) for step in steps), default=0)), np.nan)
    for line, step in zip(joints, steps, strict=True):
        line[: len(step.joint_positions)] = step.joint_positions
    return {
        "images": np.array([item.image for item in seen], np.uint8),
        "poses": np.array([item.pose for item in seen], np.float64),
        "openings": np.array([item.opening for item in seen], np.float32),
        "steps": np.array([item.step for item in seen], np.int64),
        "stamps": np.array([item.stamp for item in seen], np.float64),
        "asked": np.array([step.asked.vector for step in steps], np.float32),
        "commanded": np.array([step.commanded.vector for step in steps], np.float32),
        "q": np.array([step.q for step in steps], np.float32),
        "policy_versions": np.array([step.policy_version for step in steps], np.int64),
        "joint_positions": joints,
        "sides": np.array([step.side for step in steps], np.str_),
        "interventions": np.array([step.intervention for step in steps], bool),
    }


def rewards(episode: Episode) -> np.ndarray:
    """float32 (n,): 0, and the outcome of the grasp at its last step."""
    reward = np.zeros(len(episode.steps), np.float32)
    reward[-1:] = episode.reward
    return reward


def last(episode: Episode) -> np.ndarray:
    """bool (n,): whether a step is the last one."""
    return np.arange(len(episode.steps)) == len(episode.steps) - 1


def to_png(rgb: np.ndarray) -> bytes:
    """An image, uint8 RGB (height, width, 3), as a PNG file: nothing is lost."""
    return bytes(cv2.imencode(".png", np.ascontiguousarray(rgb[..., ::-1]))[1])
