"""Policy distillation (Rusu et al., ICLR 2016) of a Q-function: a student learns a teacher's values from images that
the teacher has not seen, of the same moments. There is no bootstrapping: a target is what the teacher says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from robot_finetune.config import setting
from robot_finetune.learning.augmentation import AugmentationConfig, augment
from robot_finetune.learning.bellman import on_cpu
from robot_finetune.learning.device import memory_checked, mixed_precision
from robot_finetune.learning.mirror import Mirror
from robot_finetune.learning.networks.interface import QNetwork, State, to_device

_PARTS = ("network", "optimiser")


@dataclass(frozen=True)
class DistillationConfig:
    """Constants of the update."""

    learning_rate: float = setting(1e-3, "of Adam, before it falls", low=1e-7, high=1.0)
    weight_decay: float = setting(1e-4, "decoupled weight decay", low=0.0, high=1.0)
    gradient_clip: float = setting(10.0, "largest gradient norm", low=0.01, high=1e6)
    actions: int = setting(16, "actions of a moment that a gradient step asks about", low=1, high=64)
    see_gripper: float = setting(
        0.2, "weight of the error, in cm, of where the gripper is seen and how surely", low=0.0, high=10.0
    )
    augmentation: AugmentationConfig = setting(AugmentationConfig, "of images and poses")


class Lesson(NamedTuple):
    """B moments, on the CPU. mount: (B, 2) [m, tool frame]. action: (B, N, 8). value: (B, N), the teacher's Q."""

    state: State
    mount: Tensor
    action: Tensor
    value: Tensor


class Told(NamedTuple):
    """divergence: mean Kullback-Leibler divergence of the outcomes that the student expects from those that the teacher
    does [nat]. unseen: how wrong the student is about where the gripper is, see `QNetwork.unseen`."""

    divergence: float
    unseen: float


class Distiller:
    """The student and its optimiser, on the device of the network that it begins with."""

    def __init__(self, network: QNetwork, config: DistillationConfig, mirror: Mirror | None, seed: int = 0) -> None:
        """mirror: of the cell; half of the moments are learned from as it shows them."""
        self.network, self.config, self.updates = network.train(), config, 0
        self._mirror, self._precision = mirror, mixed_precision(network.device)
        self.optimiser = torch.optim.AdamW(network.parameters(), weight_decay=config.weight_decay)
        self.generator = torch.Generator().manual_seed(seed)

    def update(self, lesson: Lesson, rate: float) -> Told:
        """One gradient step at this learning rate, on a lesson of the CPU. Raises DeviceError where the memory of the
        device is full."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        with memory_checked(self.network.device):
            divergence, unseen = self._losses(self._changed(lesson))
            self.optimiser.zero_grad(set_to_none=True)
            (divergence + self.config.see_gripper * unseen).backward()
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.gradient_clip)
            self.optimiser.step()
            self.updates += 1
            return Told(*torch.stack([divergence.detach(), unseen.detach()]).cpu().tolist())

    def _changed(self, lesson: Lesson) -> Lesson:
        """On the student's device: some of the actions, half of the moments mirrored, images lit and shifted."""
        device, augmentation = self.network.device, self.config.augmentation
        order = torch.rand(lesson.value.shape, generator=self.generator)
        order[:, 0] = -1.0  # closing is always asked about
        some = order.argsort(1)[:, : self.config.actions]
        turned = torch.rand(len(order), generator=self.generator) < 0.5
        action = lesson.action.gather(1, some[..., None].expand(-1, -1, lesson.action.shape[-1]))
        state, value = lesson.state.to(device), to_device(lesson.value.gather(1, some), device)
        mount, action = to_device(lesson.mount, device), to_device(action, device)
        if self._mirror is not None:
            rows = to_device(turned, device)
            state, mount, action = _mirrored(self._mirror, rows, state, mount, action)
        return Lesson(state._replace(image=augment(state.image, augmentation, self.generator)), mount, action, value)

    def _losses(self, lesson: Lesson) -> tuple[Tensor, Tensor]:
        with self._precision:
            features = self.network.encode(lesson.state)
            logit = self.network.q(features, lesson.action).float()
        value = lesson.value
        least = F.binary_cross_entropy(value, value)
        divergence = F.binary_cross_entropy_with_logits(logit, value) - least
        return divergence, self.network.unseen(features, lesson.mount, self.generator)

    def state_dict(self) -> dict[str, Any]:
        """All that `load_state_dict` needs to go on with identical results; its tensors are on the CPU."""
        parts = {name: getattr(self, name).state_dict() for name in _PARTS}
        return {"updates": self.updates, **on_cpu(parts), "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict`, of whatever device."""
        self.updates = state["updates"]
        for name in _PARTS:
            getattr(self, name).load_state_dict(state[name])
        self.generator.set_state(state["generator"])


def _mirrored(
    mirror: Mirror, rows: Tensor, state: State, mount: Tensor, action: Tensor
) -> tuple[State, Tensor, Tensor]:
    """Those `rows` (B,) of moments as the mirror shows them, the others as they are."""

    def choose(turned: Tensor, plain: Tensor) -> Tensor:
        return torch.where(rows.reshape(-1, *(1 for _ in plain.shape[1:])), turned, plain)

    across = mount.new_ones(2)
    across[mirror.axis] = -1
    both = zip(mirror.state(state), state, strict=True)
    turned = State(*(choose(*pair) for pair in both))
    return turned, choose(mount * across, mount), choose(mirror.action(action), action)
