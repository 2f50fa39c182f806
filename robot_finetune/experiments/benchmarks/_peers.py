"""Replays, episode files and weights of other libraries, behind one shape each.

All are given the same grasps, images as uint8 (H, W, 3), and keep them as their documentation has it.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Mapping
from itertools import count, cycle
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from robot_finetune.data.episode_log import read_episode, write_episode
from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.experiments.benchmarks._synthetic import STEPS, episode_rows
from robot_finetune.learning.checkpoint import load_checkpoint, save_checkpoint
from robot_finetune.learning.finetuner import FINE_TUNE_BELLMAN
from robot_finetune.learning.networks.interface import QNetwork
from robot_finetune.types import Action, Episode, GraspOutcome, Observation, Step

PEERS = ("torchrl", "lerobot")
BATCH = 64
"""Transitions."""
POOL = 16
"""Grasps that are made up, and added in turn."""


def installed() -> dict[str, str]:
    """The peers that are, and their versions."""
    found = {}
    for name in PEERS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def grasps(size: int) -> list[dict[str, np.ndarray]]:
    """Made-up grasps: observations before and after each of STEPS actions."""
    rng = np.random.default_rng(0)
    pool = []
    for _ in range(POOL):
        images = rng.integers(0, 256, (STEPS + 1, size, size, 3), dtype=np.uint8)
        state = rng.uniform(0, 0.5, (STEPS + 1, 6)).astype(np.float32)
        action, last = rng.uniform(-1, 1, (STEPS, 8)).astype(np.float32), np.arange(STEPS) == STEPS - 1
        pool.append(
            {
                "image": images[:-1], "state": state[:-1], "next_image": images[1:], "next_state": state[1:],
                "action": action, "reward": last.astype(np.float32), "done": last,
            }
        )  # fmt: skip
    return pool


class Replay(Protocol):
    """A replay that grasps are added to and batches are drawn from."""

    def insert(self) -> None:
        """Add a grasp."""

    def sample(self) -> object:
        """A batch of BATCH transitions."""


class OurReplay:
    """`ReplayBuffer`: each image once, in files; a grasp is there as a whole or not at all."""

    def __init__(self, folder: Path, capacity: int, size: int) -> None:
        self._buffer, self._rng = ReplayBuffer(folder / "ours", capacity, size), np.random.default_rng(0)
        self._pool, self._number = cycle(grasps(size)), count()

    def insert(self) -> None:
        grasp = next(self._pool)
        pose, opening = grasp["state"][:, :4], grasp["state"][:, 4]
        rows = episode_rows(f"{next(self._number)}", pose, opening, grasp["action"], True)
        self._buffer.add_rows(rows, grasp["image"])

    def sample(self) -> object:
        config = FINE_TUNE_BELLMAN
        return self._buffer.sample(self._rng, BATCH, config.n_step, config.discount, config.terminal_fraction)


class TorchrlReplay:
    """torchrl's TensorDictReplayBuffer on a LazyMemmapStorage: in files, each image and the one after it."""

    def __init__(self, folder: Path, capacity: int, size: int) -> None:
        from tensordict import TensorDict
        from torchrl.data import LazyMemmapStorage, TensorDictReplayBuffer

        storage = LazyMemmapStorage(capacity, scratch_dir=folder / "torchrl")
        self._buffer = TensorDictReplayBuffer(storage=storage, batch_size=BATCH)
        self._pool = cycle(TensorDict(_tensors(grasp), batch_size=[STEPS]) for grasp in grasps(size))

    def insert(self) -> None:
        self._buffer.extend(next(self._pool).clone())

    def sample(self) -> object:
        return self._buffer.sample()


class LerobotReplay:
    """LeRobot's ReplayBuffer of its actor and learner: tensors in memory, float32 images, step by step."""

    def __init__(self, folder: Path, capacity: int, size: int) -> None:
        from lerobot.rl.buffer import ReplayBuffer as Theirs

        keys = ["observation.image", "observation.state"]
        options = {"device": "cpu", "storage_device": "cpu", "use_drq": False, "optimize_memory": True}
        self._buffer = Theirs(capacity, state_keys=keys, **options)
        self._pool = cycle(_tensors(grasp) for grasp in grasps(size))

    def insert(self) -> None:
        rows = next(self._pool)
        for step in range(STEPS):
            now, then = (_lerobot_state(rows, prefix, step) for prefix in ("", "next_"))
            done = bool(rows["done"][step])
            self._buffer.add(now, rows["action"][step : step + 1], float(rows["reward"][step]), then, done, False)

    def sample(self) -> object:
        return self._buffer.sample(BATCH)


def _tensors(grasp: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(value) for name, value in grasp.items()}


def _lerobot_state(rows: Mapping[str, torch.Tensor], prefix: str, step: int) -> dict[str, torch.Tensor]:
    """As its processors make it: images as float32 (1, C, H, W) from 0 to 1."""
    image = rows[f"{prefix}image"][step].permute(2, 0, 1)[None].float() / 255
    return {"observation.image": image, "observation.state": rows[f"{prefix}state"][step : step + 1]}


REPLAYS: dict[str, Callable[[Path, int, int], Replay]] = {
    "robot_finetune": OurReplay,
    "torchrl": TorchrlReplay,
    "lerobot": LerobotReplay,
}


def episode_writers(folder: Path, size: int) -> dict[str, Callable[[], None]]:
    """{library: writes a grasp to the disk and reads its first image back}."""
    pool, number = cycle(grasps(size)), count()

    def ours() -> None:
        path = write_episode(folder / "episodes", _episode(next(pool), f"e{next(number)}"))
        assert read_episode(path).steps

    writers: dict[str, Callable[[], None]] = {"robot_finetune": ours}
    if "lerobot" in installed():
        writers["lerobot"] = _lerobot_writer(folder / "dataset", size)
    return writers


def _episode(grasp: Mapping[str, np.ndarray], episode_id: str) -> Episode:
    seen = (
        Observation(image, state[:4], float(state[4]), index)
        for index, (image, state) in enumerate(zip(grasp["image"], grasp["state"], strict=True))
    )
    actions = map(Action, grasp["action"])
    steps = tuple(Step(one, action, action) for one, action in zip(seen, actions, strict=True))
    return Episode(episode_id, steps, GraspOutcome(True))


def _lerobot_writer(folder: Path, size: int) -> Callable[[], None]:
    import datasets
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    datasets.disable_progress_bars()
    features = {
        "observation.image": {"dtype": "image", "shape": (size, size, 3), "names": ["height", "width", "channel"]},
        "observation.state": {"dtype": "float32", "shape": (6,), "names": None},
        "action": {"dtype": "float32", "shape": (8,), "names": None},
    }
    dataset = LeRobotDataset.create("local/grasps", 10, features, root=folder, use_videos=False)
    pool = cycle(grasps(size))

    def write() -> None:
        grasp = next(pool)
        for image, state, action in zip(grasp["image"], grasp["state"], grasp["action"], strict=True):
            frame = {"observation.image": image, "observation.state": state, "action": action}
            dataset.add_frame({**frame, "task": "grasp"})
        dataset.save_episode()

    return write


def weight_carriers(folder: Path, network: QNetwork, acting: QNetwork) -> dict[str, Callable[[], None]]:
    """{library: brings the weights of one network into the one that acts, as from trainer to robot}."""
    version = count(1)

    def ours() -> None:
        number = next(version)
        sha256 = save_checkpoint(folder / "version", network, number, number - 1, {})
        acting.load_state_dict(load_checkpoint(folder / "version", sha256).network.state_dict())

    carriers: dict[str, Callable[[], None]] = {"robot_finetune": ours}
    if "lerobot" in installed():
        from lerobot.transport.utils import bytes_to_state_dict, state_to_bytes

        carriers["lerobot"] = lambda: acting.load_state_dict(bytes_to_state_dict(state_to_bytes(network.state_dict())))
    return carriers
