"""QT-Opt's own Q-function, "Grasping44": 472 x 472 px, 1,242,817 trainable parameters; for a GPU, or much patience.

Layers as in tensor2robot's Grasping44E2EOpenCloseTerminateGripperStatusHeightToBottom: 6 x 6 convolution and max-pool;
six 5 x 5 convolutions and max-pool; the action is added; six 3 x 3 convolutions and max-pool; three 3 x 3 convolutions
without padding; three fully connected layers. Batch normalisation and ReLU follow every layer but the last. As there,
the first convolution has a bias, and the normalisations after it and after the sum of the blocks only shift: with these
two details, the seven blocks below and no other input, the parameters are as many as theirs.

Seven blocks of numbers, each with a fully connected layer of its own, are summed to what is added to the map:

| block of tensor2robot | numbers | ours |
|---|---|---|
| world_vector | 3 | displacement of `types.Action`, normalised, base frame |
| vertical_rotation | 2 | sine and cosine of its yaw change |
| close_gripper, open_gripper, terminate_episode | 1 each | its switches (-1 or 1; theirs are 0 or 1) |
| gripper_closed | 1 | 1 - opening, between 0 and 1 (theirs is 0 or 1) |
| height_to_bottom | 1 | height of the tip above the floor, in quarters of a metre (theirs is not published) |

It gets neither the step of the episode nor the calibration of the camera, and does not say where it sees the gripper.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from robot_finetune.learning.networks.interface import Features, NetworkConfig, QNetwork, State
from robot_finetune.types import CLOSE, OPEN, ROTATION, TERMINATE, TRANSLATION

CHANNELS = 64
NORM_EPSILON = 1e-3
NORM_MOMENTUM = 0.01  # tensor2robot's decay is 0.9997, for millions of gradient steps
ROWS_AT_ONCE = 64  # candidates whose maps are in memory together: 12 MB for each layer's output

ACTION_BLOCKS = {
    "world_vector": TRANSLATION,
    "vertical_rotation": ROTATION,
    "close_gripper": slice(CLOSE, CLOSE + 1),
    "open_gripper": slice(OPEN, OPEN + 1),
    "terminate_episode": slice(TERMINATE, TERMINATE + 1),
}


class Grasping44(QNetwork):
    """See the module's text. The image is encoded once; candidate actions share all of it up to where they are added.

    Outputs are logits of the success probability."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        self.stem = nn.Sequential(
            nn.Conv2d(3, CHANNELS, 6, stride=2, padding=2), _shift_only(nn.BatchNorm2d, CHANNELS), nn.ReLU(True),
            nn.MaxPool2d(3, 3, ceil_mode=True),
            *_convolutions(6, 5, padding=2),
            nn.MaxPool2d(3, 3, padding=1),
        )  # fmt: skip
        sizes = {name: part.stop - part.start for name, part in ACTION_BLOCKS.items()}
        self.blocks = nn.ModuleDict({name: nn.Linear(size, 256) for name, size in sizes.items()})
        self.gripper_closed, self.height_to_bottom = nn.Linear(1, 256), nn.Linear(1, 256)
        self.vector = nn.Sequential(_shift_only(nn.BatchNorm1d, 256), nn.ReLU(True), *_connected(256))
        self.head = nn.Sequential(
            *_convolutions(6, 3, padding=1),
            nn.MaxPool2d(2, 2, ceil_mode=True),
            *_convolutions(3, 3, padding=0),
            nn.Flatten(), *_connected(8 * 8 * CHANNELS), *_connected(CHANNELS), nn.Linear(CHANNELS, 1),
        )  # fmt: skip
        for layer in self.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.trunc_normal_(layer.weight, std=0.01, a=-0.02, b=0.02)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def encode(self, state: State) -> Features:
        """The part of the Q-function that does not depend on the action, for a batch of states.

        map: (B, 64, 27, 27). context: (B, 256), the two blocks of the state. shift: zeros.
        """
        image = state.image.permute(0, 3, 1, 2).float().div(255)
        cells = self.geometry.cells(state.cell)
        height = 4 * (state.pose[:, 2:3] - cells.center[:, 2:])
        context = self.gripper_closed(1 - state.opening[:, None]) + self.height_to_bottom(height)
        features = self.stem(image.contiguous(memory_format=torch.channels_last))
        return Features.at_calibration(features, context, state.pose, cells)

    def q(self, features: Features, action: Tensor) -> Tensor:
        """Logits (B, N) of actions (B, N, 8) in the states of `features`."""
        batch, candidates, _ = action.shape
        blocks = sum(self.blocks[name](action[..., part]) for name, part in ACTION_BLOCKS.items())
        vector = self.vector((features.context[:, None] + blocks).flatten(0, 1)).reshape(batch, candidates, -1)
        at_once = candidates if self.training else max(1, ROWS_AT_ONCE // batch)
        return torch.cat([self._judge(features.map, part) for part in vector.split(at_once, 1)], 1)

    def _judge(self, image_map: Tensor, vector: Tensor) -> Tensor:
        """Logits (B, n) of maps (B, 64, 27, 27) with action vectors (B, n, 64) added to them."""
        merged = (image_map[:, None] + vector[..., None, None]).flatten(0, 1)
        return self.head(merged.contiguous(memory_format=torch.channels_last)).reshape(vector.shape[:2])


def _convolutions(count: int, kernel: int, padding: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for _ in range(count):
        convolution = nn.Conv2d(CHANNELS, CHANNELS, kernel, padding=padding, bias=False)
        layers += [convolution, nn.BatchNorm2d(CHANNELS, NORM_EPSILON, NORM_MOMENTUM), nn.ReLU(True)]
    return layers


def _connected(inputs: int) -> list[nn.Module]:
    norm = nn.BatchNorm1d(CHANNELS, NORM_EPSILON, NORM_MOMENTUM)
    return [nn.Linear(inputs, CHANNELS, bias=False), norm, nn.ReLU(True)]


def _shift_only(kind: type[nn.BatchNorm1d] | type[nn.BatchNorm2d], channels: int) -> nn.Module:
    """A batch normalisation with a learned shift but no learned scale: ones, for CUDA has no gradient without any."""
    norm = kind(channels, NORM_EPSILON, NORM_MOMENTUM)
    del norm.weight
    norm.register_buffer("weight", torch.ones(channels), persistent=False)
    return norm
