"""Image augmentation for training batches; targets are computed on the images as they are (SVEA's advice)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from robot_finetune.config import setting
from robot_finetune.data.transitions import Batch
from robot_finetune.learning.networks.interface import to_device


@dataclass(frozen=True)
class AugmentationConfig:
    brightness: float = setting(0.08, "largest change of brightness, of full scale", low=0.0, high=0.5)
    contrast: float = setting(0.2, "largest relative change of contrast", low=0.0, high=0.9)
    color: float = setting(0.1, "largest relative change of one colour channel", low=0.0, high=0.9)
    hue: float = setting(0.15, "largest change of all hues, of the colour circle (T2R: 0.2)", low=0.0, high=0.5)
    saturation: float = setting(0.5, "largest relative change of saturation (T2R: 0.5)", low=0.0, high=1.0)
    shift: int = setting(1, "largest shift in either direction (DrQ)", unit="px", low=0, high=8)
    calibration: float = setting(
        0.02, "standard deviation of the error of the pose, in x and y of the tool frame (ours)", unit="m", low=0.0
    )
    exposure: float = setting(0.0, "largest change of the logarithm of all brightness (ours)", low=0.0, high=2.0)


def augment(image: Tensor, config: AugmentationConfig, generator: torch.Generator) -> Tensor:
    """Randomly lit and shifted copies of uint8 images (B, S, S, 3), again uint8, where the images are. generator: of
    the CPU."""

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator) * 2 - 1

    batch, size, device = *image.shape[:2], image.device
    if config.shift:
        corner = torch.randint(-config.shift, config.shift + 1, (batch, 2), generator=generator)
        place = (to_device(corner, device)[..., None] + torch.arange(size, device=device)).clamp(0, size - 1)
        first = torch.arange(batch, device=device)[:, None, None] * size
        pixel = (first + place[:, 0, :, None]) * size + place[:, 1, None, :]
        image = image.reshape(-1, 3).index_select(0, pixel.flatten()).reshape(image.shape)
    gain = (1 + config.contrast * uniform(batch, 1, 1)) * (1 + config.color * uniform(batch, 1, 3))
    lift = 128 * (1 - gain) + 255 * config.brightness * uniform(batch, 1, 1)
    if config.exposure:
        factor = torch.exp(config.exposure * uniform(batch, 1, 1))
        gain, lift = gain * factor, lift * factor
    turn = _color_turn(2 * math.pi * config.hue * uniform(batch), 1 + config.saturation * uniform(batch))
    lift, turn = to_device(lift, device), to_device(turn * gain, device)
    lit = torch.baddbmm(lift, image.reshape(batch, size * size, 3).float(), turn)
    return lit.clamp_(0, 255).to(torch.uint8).reshape(image.shape)


def _color_turn(hue: Tensor, saturation: Tensor) -> Tensor:
    """Matrices (B, 3, 3), for row vectors in RGB, that turn colours about the grey axis by `hue` (B,) [rad] and scale
    their distance from it by `saturation` (B,)."""
    grey = torch.full((3, 3), 1 / 3)
    across = torch.tensor([[0.0, 1.0, -1.0], [-1.0, 0.0, 1.0], [1.0, -1.0, 0.0]]) / math.sqrt(3)
    cos, sin = ((saturation * part)[:, None, None] for part in (torch.cos(hue), torch.sin(hue)))
    return grey + cos * (torch.eye(3) - grey) + sin * across


def miscalibrate(batch: Batch, config: AugmentationConfig, rng: np.random.Generator) -> Batch:
    """The same transitions of a robot whose pose is wrong: each of `batch` gets a constant error in the tool frame.

    To act well, the network must then see in the image where the gripper is."""
    error = errors_of_pose(len(batch.reward), config, rng)
    moved = {name: in_tool_frame(getattr(batch, name), error) for name in ("pose", "next_pose")}
    return replace(batch, error=error.astype(np.float32), **moved)


def errors_of_pose(count: int, config: AugmentationConfig, rng: np.random.Generator) -> np.ndarray:
    """(count, 2) [m, tool frame]."""
    largest = 3 * config.calibration
    return rng.normal(0.0, config.calibration, (count, 2)).clip(-largest, largest)


def in_tool_frame(pose: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Poses (B, 4) moved by `place` (B, 2) [m] along the tool's own x and y."""
    moved, cos, sin = pose.copy(), np.cos(pose[:, 3]), np.sin(pose[:, 3])
    moved[:, 0] += cos * place[:, 0] - sin * place[:, 1]
    moved[:, 1] += sin * place[:, 0] + cos * place[:, 1]
    return moved
