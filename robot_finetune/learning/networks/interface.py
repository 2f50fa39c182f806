"""What every Q-function offers: `encode(state)` once an image, then `q(features, actions)` for as many candidate
actions as CEM asks for. compact.py and grasping44.py are architectures; build.py makes the one that is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robot_finetune.config import ConfigError, setting
from robot_finetune.perception.cell_numbers import cell_numbers
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.types import CELL_SIZE

ARCHITECTURES: dict[str, int | None] = {"compact": None, "grasping44": 472}
"""The networks, and the one image size [px] that each takes; None: any. build.py has their classes."""
CPU = torch.device("cpu")
AT_ONCE = 64
"""States that go through a network together where there are many: large images take much memory."""
AUTOCAST = ("cpu", "cuda")
"""Kinds of device on which an update may compute in mixed precision."""


@dataclass(frozen=True)
class NetworkConfig:
    """Shape of the Q-network; kept in every checkpoint."""

    name: str = setting("compact", "architecture", choices=tuple(ARCHITECTURES))
    image_size: int = setting(64, "edge of the input image", unit="px", low=16, high=512)
    stem: str = setting("own", "first layers: own, or imagenet, trained there", choices=("own", "imagenet"))
    encoding: str = setting(
        "linear", "brightness as the stem sees it: as it is, or its logarithm", choices=("linear", "log")
    )
    channels: int = setting(24, "channels of the feature map", low=4, high=256)
    patch: int = setting(8, "grid points along an edge of the action patches", low=4, high=16)
    fine_pitch: float = setting(0.014, "grid spacing of the fine action patch", unit="m", low=0.004, high=0.1)
    coarse_pitch: float = setting(0.035, "grid spacing of the coarse action patch", unit="m", low=0.004, high=0.1)
    search: int = setting(
        12, "grid points along an edge of the view in which the gripper is looked for", low=4, high=32
    )
    search_pitch: float = setting(0.026, "grid spacing of that view", unit="m", low=0.004, high=0.1)
    looks: int = setting(2, "times the gripper is looked for, from where it was seen before", low=1, high=4)
    gripper_patch: int = setting(8, "grid points along an edge of the view of the gripper", low=4, high=32)
    gripper_pitch: float = setting(0.022, "grid spacing of that view", unit="m", low=0.004, high=0.1)
    hidden: int = setting(64, "units of the last hidden layers", low=8, high=512)
    max_steps: int = setting(10, "step limit of an episode; scales the time input", low=1, high=50)

    def __post_init__(self) -> None:
        size = ARCHITECTURES.get(self.name)
        if size and self.image_size != size:
            raise ConfigError(
                f"image_size = {self.image_size}: network {self.name} takes {size} px; set image_size: {size}"
            )
        if self.encoding == "log" and self.name != "compact":
            raise ConfigError(f"encoding = 'log': network {self.name} sees brightness as it is; leave encoding out")


class State(NamedTuple):
    """A batch of observations. image: uint8 (B, S, S, 3). pose: (B, 4) [m, rad]. opening, step: (B,). cell: (B, 19),
    of the cell in which each was made; NaN stands for the numbers of the network's own robot."""

    image: Tensor
    pose: Tensor
    opening: Tensor
    step: Tensor
    cell: Tensor

    def __getitem__(self, index: slice) -> State:  # type: ignore[override]
        return State(*(tensor[index] for tensor in self))

    def to(self, device: torch.device) -> State:
        """The same observations there."""
        return State(*(to_device(tensor, device) for tensor in self))


class Cells(NamedTuple):
    """How the cells of a batch are built. projection: (B, 3, 4), of the calibrated camera. scale: (B, 4) [m, rad], of a
    normalised action. center: (B, 3) [m], of the bin's floor."""

    projection: Tensor
    scale: Tensor
    center: Tensor

    def target(self, pose: Tensor, action: Tensor) -> Tensor:
        """Poses (B, N, 4) that actions (B, N, 8) lead to from `pose` (B, 1 or N, 4)."""
        xyz = pose[..., :3] + action[..., :3] * self.scale[:, None, :3]
        yaw = pose[..., 3] + torch.atan2(action[..., 3], action[..., 4])
        return torch.cat([xyz, yaw[..., None]], -1)

    def sample(self, features: Tensor, pose: Tensor, z: Tensor, offsets: Tensor) -> Tensor:
        """Sample maps (B, C, H, W) at tool-frame `offsets` (B, 1 or N, P, 2) around poses (B, N, 4), at heights z (B,
        N).

        Returns (B, C, N, P)."""
        cos, sin = torch.cos(pose[..., 3:4]), torch.sin(pose[..., 3:4])
        x = pose[..., 0:1] + cos * offsets[..., 0] - sin * offsets[..., 1]
        y = pose[..., 1:2] + sin * offsets[..., 0] + cos * offsets[..., 1]
        points = torch.stack([x, y, z[..., None].expand_as(x), torch.ones_like(x)], -1)
        with full_precision(features.device):  # half a millimetre counts
            image = (points.flatten(1, 2) @ self.projection.mT).unflatten(1, x.shape[1:])
            grid = image[..., :2] / image[..., 2:].clamp(min=1e-3)
            return F.grid_sample(features.float(), grid, padding_mode="border", align_corners=False)


class Features(NamedTuple):
    """What `q` needs of a state. map: (B, C, H, W). context: (B, K). shift, seen: (B, 2) [m, tool frame], where the
    gripper is believed to be and where it is seen, beside where the calibration says. spread: (B,) [m], of where it
    may be. pose: (B, 4)."""

    map: Tensor
    context: Tensor
    shift: Tensor
    seen: Tensor
    spread: Tensor
    pose: Tensor
    cells: Cells

    @classmethod
    def at_calibration(cls, map: Tensor, context: Tensor, pose: Tensor, cells: Cells) -> Features:
        """Of a network that does not look for the gripper: it is where the calibration says."""
        nowhere = torch.zeros_like(pose[:, :2])
        return cls(map, context, nowhere, nowhere, nowhere[:, 0], pose, cells)


class Geometry(nn.Module):
    """How the cell of the network's own robot is built: buffers, so that they follow the network's device."""

    projection: Tensor
    scale: Tensor
    center: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("projection", torch.zeros(3, 4), persistent=False)
        self.register_buffer("scale", torch.ones(4), persistent=False)
        self.register_buffer("center", torch.zeros(3), persistent=False)

    def set_profile(self, profile: RobotProfile) -> None:
        projection, scale, center = torch.from_numpy(cell_numbers(profile)).split([12, 4, 3])
        self.projection.copy_(projection.reshape(3, 4))
        self.scale.copy_(scale)
        self.center.copy_(center)

    def cells(self, numbers: Tensor) -> Cells:
        """Those of a batch (B, 19), the own one's where they are NaN."""
        own = torch.cat([self.projection.flatten(), self.scale, self.center])
        projection, scale, center = numbers.where(~torch.isnan(numbers), own).split([12, 4, 3], -1)
        return Cells(projection.unflatten(-1, (3, 4)), scale, center)


class QNetwork(nn.Module):
    """A Q-function: `encode` once a state, then `q` for any number of actions."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.geometry = Geometry()

    @property
    def device(self) -> torch.device:
        """Where its weights are, and where what it is given has to be."""
        return self.geometry.scale.device

    def encode(self, state: State) -> Features:
        """The part that does not depend on the action, for a batch of states."""
        raise NotImplementedError

    def q(self, features: Features, action: Tensor) -> Tensor:
        """Logits (B, N) of actions (B, N, 8) in the states of `features`."""
        raise NotImplementedError

    def seeing_parameters(self) -> Iterator[nn.Parameter]:
        """Those that serve nothing but to see where the gripper is. Here none."""
        return iter(())

    def unseen(self, features: Features, place: Tensor, generator: torch.Generator) -> Tensor:
        """A loss: how wrong `features` are about where the gripper is. Here 0: it is not looked for.

        place: (B, 2) [m, tool frame], where it is beside where the calibration says, NaN where nobody knows. generator:
        of the CPU."""
        return place.new_zeros(())


def state_tensors(
    image: np.ndarray, pose: np.ndarray, opening: np.ndarray, step: np.ndarray, cell: np.ndarray | None = None
) -> State:
    """Arrays of a batch as a State, on the CPU. cell: None for the network's own robot."""
    if cell is None:
        cell = np.full((len(pose), CELL_SIZE), np.nan)
    floats = (torch.as_tensor(np.asarray(value, np.float32)) for value in (pose, opening, step, cell))
    return State(torch.as_tensor(np.ascontiguousarray(image)), *floats)


def in_parts(count: int) -> list[slice]:
    """So many states in parts of AT_ONCE."""
    return [slice(first, first + AT_ONCE) for first in range(0, count, AT_ONCE)]


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the CPU on `device`. A CUDA device is not waited for."""
    return tensor.to(device, non_blocking=device.type == "cuda")


def full_precision(device: torch.device) -> AbstractContextManager:
    """In which nothing is computed in less than float32."""
    return torch.autocast(device.type, enabled=False) if device.type in AUTOCAST else nullcontext()
