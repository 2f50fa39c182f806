"""Image augmentation for training batches; targets are computed on the images as they are (SVEA's advice)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from robot_finetune.config import setting


@dataclass(frozen=True)
class AugmentationConfig:
    brightness: float = setting(0.08, "largest change of brightness, of full scale", low=0.0, high=0.5)
    contrast: float = setting(0.2, "largest relative change of contrast", low=0.0, high=0.9)
    color: float = setting(0.1, "largest relative change of one colour channel", low=0.0, high=0.9)
    shift: int = setting(1, "largest shift in either direction (DrQ)", unit="px", low=0, high=8)


def augment(image: Tensor, config: AugmentationConfig, generator: torch.Generator) -> Tensor:
    """Randomly lit and shifted copies of uint8 images (B, S, S, 3), again uint8."""

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator) * 2 - 1

    batch = len(image)
    gain = (1 + config.contrast * uniform(batch, 1, 1, 1)) * (1 + config.color * uniform(batch, 1, 1, 3))
    lit = (image.float() - 128) * gain + 128 + 255 * config.brightness * uniform(batch, 1, 1, 1)
    lit = lit.clamp(0, 255)
    if config.shift:
        pad, size = config.shift, image.shape[1]
        padded = F.pad(lit.permute(0, 3, 1, 2), (pad,) * 4, mode="replicate").permute(0, 2, 3, 1)
        corner = torch.randint(0, 2 * pad + 1, (batch, 2), generator=generator)
        span = torch.arange(size)
        rows, columns = corner[:, :1] + span, corner[:, 1:] + span
        lit = padded[torch.arange(batch)[:, None, None], rows[:, :, None], columns[:, None, :]]
    return lit.to(torch.uint8)
