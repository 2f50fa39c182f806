"""The compact Q-function, for a CPU: it looks at the image where an action would put the gripper.

Its features are sampled through the calibrated camera on two grids: around the place on the floor that an action leads
to (a fine and a coarse patch, turned with the gripper), and around the gripper itself, as it is now. The second view
tells the network where the fingers really are; from it a displacement of the first is predicted, so that a gripper that
is mounted elsewhere is a few numbers to learn. Where the network is not sure, as with a gripper that it has never seen,
the calibration is believed instead.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robot_finetune.learning.networks import seeing
from robot_finetune.learning.networks.interface import (
    Cells,
    Features,
    NetworkConfig,
    QNetwork,
    State,
    full_precision,
)


class CompactQNetwork(QNetwork):
    """The CPU-sized Q-function (see the text of this module). Outputs are logits of the success probability."""

    object_height = 0.02  # [m] above the floor: where an action patch looks
    fine: Tensor
    coarse: Tensor
    search_grid: Tensor
    gripper_grid: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        c, hidden = config.channels, config.hidden
        self.stem = _stem(config)
        self.find = nn.Sequential(
            nn.Conv2d(c, c, 3, padding=1), nn.ReLU(),
            nn.Conv2d(c, c, 3, padding=1), nn.ReLU(),
            nn.Conv2d(c, 1, 1), nn.Flatten(), nn.Softmax(-1),
        )  # fmt: skip
        self.gripper_vector = nn.Sequential(
            nn.Conv2d(c, c, 3, padding=1), nn.ReLU(),
            nn.Conv2d(c, c, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(),
        )  # fmt: skip
        self.context = nn.Linear(c * (-(-config.gripper_patch // 2)) ** 2 + c, 32)
        self.embed = nn.Sequential(nn.Linear(32 + 14, hidden), nn.ReLU(), nn.Linear(hidden, hidden))
        self.patch_in = nn.Conv2d(2 * c, hidden // 2, 3, padding=1)
        self.embed_in = nn.Linear(hidden, hidden // 2)
        self.patch_conv = nn.Sequential(
            nn.Conv2d(hidden // 2, hidden // 2, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten()
        )
        flat = hidden // 2 * (-(-config.patch // 2)) ** 2
        self.head = nn.Sequential(
            nn.Linear(flat + hidden, hidden), nn.LayerNorm(hidden), nn.ReLU(),
            nn.Linear(hidden, hidden), nn.LayerNorm(hidden), nn.ReLU(), nn.Linear(hidden, 1),
        )  # fmt: skip
        self.register_buffer("fine", square_grid(config.patch, config.fine_pitch), persistent=False)
        self.register_buffer("coarse", square_grid(config.patch, config.coarse_pitch), persistent=False)
        self.register_buffer("search_grid", square_grid(config.search, config.search_pitch), persistent=False)
        self.register_buffer("gripper_grid", square_grid(config.gripper_patch, config.gripper_pitch), persistent=False)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                layer.weight.data = layer.weight.data.contiguous(memory_format=torch.channels_last)

    def encode(self, state: State) -> Features:
        """The part of the Q-function that does not depend on the action, for a batch of states."""
        image = _brightness(state.image.permute(0, 3, 1, 2), self.config.encoding)
        features = self.stem(image.contiguous(memory_format=torch.channels_last))
        cells = self.geometry.cells(state.cell)
        seen, spread = self._find_gripper(features, state.pose, cells)
        shift = seeing.believed(seen, spread)
        view = self._view(
            features, state.pose, cells, self.gripper_grid + shift[:, None, None], self.config.gripper_patch
        )
        context = torch.cat([self.gripper_vector(view), features.mean((2, 3))], -1)
        situation = torch.stack(
            [
                (state.pose[:, 2] - cells.center[:, 2]) * 4,
                state.opening,
                state.step / self.config.max_steps,
                torch.sin(2 * state.pose[:, 3]),
                torch.cos(2 * state.pose[:, 3]),
            ],
            -1,
        )
        return Features(
            features, torch.cat([F.relu(self.context(context)), situation], -1), shift, seen, spread, state.pose, cells
        )

    def _view(self, features: Tensor, pose: Tensor, cells: Cells, offsets: Tensor, edge: int) -> Tensor:
        """Features (B, C, edge, edge) at the height of the tip, at tool-frame `offsets` (B or 1, 1, P, 2) around it."""
        here = pose[:, None]
        return cells.sample(features, here, here[..., 2], offsets).reshape(len(pose), -1, edge, edge)

    def _find_gripper(self, features: Tensor, pose: Tensor, cells: Cells) -> tuple[Tensor, Tensor]:
        """Where the gripper is seen (B, 2) [m], in the tool frame: zero where the calibration says; and how far the
        places spread where it may be (B,) [m].

        It is looked for around where the calibration says, and then around where it was seen: far off, the first look
        falls short."""
        shift = torch.zeros_like(pose[:, :2])
        for _ in range(self.config.looks):
            aside, spread = self._look(features, pose, cells, shift)
            shift = shift + aside
        return shift, spread

    def _look(self, features: Tensor, pose: Tensor, cells: Cells, around: Tensor) -> tuple[Tensor, Tensor]:
        """As `_find_gripper`, once and from `around` (B, 2) [m]."""
        heat = self.find(
            self._view(features, pose, cells, self.search_grid + around[:, None, None], self.config.search)
        )
        with full_precision(features.device):
            aside = heat.float() @ self.search_grid
            variance = (heat.float() @ self.search_grid.square() - aside.square()).sum(-1)
            return aside, variance.clamp(min=1e-8).sqrt()

    def seeing_parameters(self) -> Iterator[nn.Parameter]:
        """As of QNetwork."""
        return self.find.parameters()

    def unseen(self, features: Features, place: Tensor, generator: torch.Generator) -> Tensor:
        """As of QNetwork. In every other image it is also looked for where there is no gripper."""
        away = seeing.places_away(place, generator)[::2]
        cells = Cells(*(part[::2] for part in features.cells))
        _, spread = self._look(features.map[::2], features.pose[::2], cells, away)
        return seeing.misplaced(features.seen, features.spread, place) + seeing.imagined(spread)

    def q(self, features: Features, action: Tensor) -> Tensor:
        """Logits (B, N) of actions (B, N, 8) in the states of `features`."""
        batch, candidates, _ = action.shape
        cells = features.cells
        target = cells.target(features.pose[:, None], action)
        floor = (cells.center[:, 2:] + self.object_height).expand(batch, candidates)
        shift = features.shift[:, None, None]
        edge = self.config.patch
        patches = [cells.sample(features.map, target, floor, grid + shift) for grid in (self.fine, self.coarse)]
        patch = torch.cat(patches, 1).permute(0, 2, 1, 3).reshape(batch * candidates, -1, edge, edge)
        cos, sin = torch.cos(target[..., 3:]), torch.sin(target[..., 3:])
        dx, dy = features.shift[:, None, :1], features.shift[:, None, 1:]
        turned = torch.cat([cos * dx - sin * dy, sin * dx + cos * dy, torch.zeros_like(cos)], -1)
        place = (target[..., :3] + turned - cells.center[:, None]) * 4
        turn = torch.stack([torch.sin(2 * target[..., 3]), torch.cos(2 * target[..., 3])], -1)
        context = features.context[:, None].expand(-1, candidates, -1)
        distance = action[..., :3].norm(dim=-1, keepdim=True)
        inputs = torch.cat([context, place, turn, action[..., 2:4], action[..., 6:7], distance], -1)
        embedding = self.embed(inputs.reshape(batch * candidates, -1))
        mixed = F.relu(self.patch_in(patch) + self.embed_in(embedding)[..., None, None])
        flat = torch.cat([self.patch_conv(mixed), F.relu(embedding)], -1)
        return self.head(flat).reshape(batch, candidates)


def _brightness(image: Tensor, encoding: str) -> Tensor:
    """uint8 images as the stem sees them. A shadow takes as much away everywhere from the logarithm, which is scaled so
    that an image of usual brightness looks about as it does as it is."""
    part = image.float().div(255)
    return part.add(0.03).log().mul(0.3).add(0.2) if encoding == "log" else part.sub(0.5)


def _stem(config: NetworkConfig) -> nn.Module:
    """From images (B, 3, S, S) to the feature map (B, C, S/2, S/2)."""
    if config.stem == "imagenet":
        from robot_finetune.learning.networks.imagenet_stem import ImageNetStem

        return ImageNetStem()
    c = config.channels
    return nn.Sequential(
        nn.Conv2d(3, c, 3, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(c, c, 3, padding=1), nn.ReLU(),
        nn.Conv2d(c, c, 3, padding=1), nn.ReLU(),
    )  # fmt: skip


def square_grid(points: int, pitch: float) -> Tensor:
    """A square grid of offsets [m] around zero, (points * points, 2), x varying fastest."""
    axis = (torch.arange(points) - (points - 1) / 2) * pitch
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return torch.stack([x, y], -1).reshape(-1, 2)
