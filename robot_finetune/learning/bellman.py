"""Q-learning as QT-Opt does it: sigmoid Q, cross-entropy to a clipped double-Q Bellman target, actions by CEM."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from robot_finetune.config import setting
from robot_finetune.data.transitions import Batch
from robot_finetune.learning.augmentation import AugmentationConfig, augment, miscalibrate
from robot_finetune.learning.batches import TensorBatch
from robot_finetune.learning.cem import CEMConfig, maximise
from robot_finetune.learning.device import memory_checked, mixed_precision
from robot_finetune.learning.networks.interface import Features, QNetwork, State
from robot_finetune.learning.team import ALONE, Team

TARGET_CEM = CEMConfig(samples=16, elites=4, iterations=2)
_PARTS = ("network", "target", "lagged", "optimiser")


@dataclass(frozen=True)
class BellmanConfig:
    """Constants of the update. Sources: QT-Opt (arXiv 1806.10293) unless said otherwise."""

    learning_rate: float = setting(1e-3, "of Adam, before it falls (ours; QT-Opt: 4e-4)", low=1e-7, high=1.0)
    discount: float = setting(0.9, "of the next step's value (QT-Opt's)", low=0.0, high=1.0)
    step_cost: float = setting(0.01, "taken from the target of a step that does not end the episode", low=0.0, high=0.5)
    terminal_fraction: float = setting(
        0.5, "part of a batch that is the last step of an episode, where the reward is (ours)", low=0.0, high=1.0
    )
    n_step: int = setting(1, "steps before the bootstrap", low=1, high=10)
    polyak: float = setting(
        0.995, "weight of the past in the averaged target network (QT-Opt: 0.9999, 15M updates)", low=0.0, high=1.0
    )
    lag: int = setting(
        100, "updates after which the second target network copies the first (QT-Opt: 6000)", low=1, high=100_000
    )
    weight_decay: float = setting(1e-4, "decoupled weight decay (QT-Opt: L2 7e-5)", low=0.0, high=1.0)
    gradient_clip: float = setting(10.0, "largest gradient norm", low=0.01, high=1e6)
    see_gripper: float = setting(
        0.2, "weight of the error, in cm, of where the gripper is seen and how surely (ours)", low=0.0, high=10.0
    )
    target_cem: CEMConfig = setting(TARGET_CEM, "CEM of the Bellman target")
    compile: bool = setting(False, "torch.compile of the networks: faster steps, after minutes of compiling")
    augmentation: AugmentationConfig = setting(AugmentationConfig, "of the images that the gradient sees")


class Sampled(Protocol):
    """What batches are drawn from: a ReplayBuffer, or a view of one."""

    def sample(
        self, rng: np.random.Generator, n: int, n_step: int, discount: float, terminal_fraction: float
    ) -> Batch: ...


class Metrics(NamedTuple):
    """loss: mean cross-entropy to the Bellman target. mean_q: mean predicted Q. td_error: mean |Q - target|."""

    loss: float
    mean_q: float
    td_error: float


def bellman_target(reward: Tensor, bootstrap: Tensor, discount: Tensor, step_cost: float) -> Tensor:
    """Targets (B,) in [0, 1]: reward + discount * bootstrap, less the step cost where the episode goes on (discount >
    0)."""
    return (reward + discount * bootstrap - step_cost * (discount > 0)).clamp(0, 1)


def mixed_batch(counts: Sequence[tuple[Sampled, int]], config: BellmanConfig, rng: np.random.Generator) -> Batch:
    """One batch of so many transitions from each buffer, with errors of calibration."""
    settings = config.n_step, config.discount, config.terminal_fraction
    parts = [buffer.sample(rng, count, *settings) for buffer, count in counts if count]
    batch = Batch(
        **{field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Batch)}
    )
    return miscalibrate(batch, config.augmentation, rng)


def linear_decay(progress: float, decay_from: float, final: float = 0.0) -> float:
    """Factor of the learning rate: 1 until `decay_from` of a run, then falling linearly to `final` at its end.

    progress: part of the gradient steps that are done, 0 to 1."""
    falling = max(0.0, progress - decay_from) / max(1e-9, 1 - decay_from)
    return 1 - (1 - final) * falling


class _Functions(NamedTuple):
    """What is asked of a network; see QNetwork."""

    encode: Callable[[State], Features]
    q: Callable[[Features, Tensor], Tensor]

    @staticmethod
    def of(network: QNetwork, compiled: bool) -> _Functions:
        functions = network.encode, network.q
        return _Functions(*(torch.compile(one, dynamic=True) for one in functions) if compiled else functions)


class QLearner:
    """A Q-network, its two target networks and its optimiser, on the device of the network that it begins with."""

    def __init__(
        self, network: QNetwork, config: BellmanConfig, max_yaw: float, seed: int = 0, team: Team = ALONE
    ) -> None:
        """network is copied. max_yaw: yaw change [rad] of a normalised 1, for CEM. team: that learns the same."""
        self.config, self.max_yaw, self.updates, self.team = config, max_yaw, 0, team
        self.network = copy.deepcopy(network).train()
        self.target = copy.deepcopy(network).eval().requires_grad_(False)
        self.lagged = copy.deepcopy(self.target)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), config.learning_rate, weight_decay=config.weight_decay
        )
        self.generator = torch.Generator().manual_seed(team.seed(seed))
        self.device = network.device
        self._precision = mixed_precision(self.device)
        networks = self.network, self.target, self.lagged
        self._online, self._averaged, self._old = (_Functions.of(one, config.compile) for one in networks)

    def set_learning_rate(self, rate: float) -> None:
        """Of the next updates."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate

    @property
    def learning_rate(self) -> float:
        """Of the next update."""
        return float(self.optimiser.param_groups[0]["lr"])

    def targets(self, batch: Batch | TensorBatch) -> Tensor:
        """Bellman targets (B,): V(s') = min over both target networks of Q(s', argmax of the averaged one)."""
        return self._targets(self._here(batch))

    def update(self, batch: Batch | TensorBatch) -> Metrics:
        """One gradient step on a replay batch. Raises DeviceError where the memory of the device is full."""
        with memory_checked(self.device):
            return self._update(self._here(batch))

    def _here(self, batch: Batch | TensorBatch) -> TensorBatch:
        return (TensorBatch.of(batch) if isinstance(batch, Batch) else batch).to(self.device)

    @torch.no_grad()
    def _targets(self, batch: TensorBatch) -> Tensor:
        value = torch.zeros_like(batch.reward)
        if len(batch.going):
            with self._precision:
                features = self._averaged.encode(batch.following)
                action, logit = maximise(
                    lambda a: self._averaged.q(features, a).float(),
                    len(batch.going),
                    self.config.target_cem,
                    self.max_yaw,
                    self.generator,
                    self.device,
                )
                other = self._old.q(self._old.encode(batch.following), action[:, None])[:, 0]
            value[batch.going] = torch.sigmoid(torch.minimum(logit, other.float()))
        return bellman_target(batch.reward, value, batch.discount, self.config.step_cost)

    def _update(self, batch: TensorBatch) -> Metrics:
        target = self._targets(batch)
        state = batch.state._replace(image=augment(batch.state.image, self.config.augmentation, self.generator))
        with self._precision:
            features = self._online.encode(state)
            logit = self._online.q(features, batch.action)[:, 0].float()
        loss = F.binary_cross_entropy_with_logits(logit, target)
        unseen = self.network.unseen(features, batch.mount - batch.error, self.generator)
        loss = loss + self.config.see_gripper * unseen
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.team.average(self.network)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.gradient_clip)
        self.optimiser.step()
        self.updates += 1
        self._follow()
        with torch.no_grad():
            q = torch.sigmoid(logit)
            metrics = torch.stack([loss, q.mean(), (q - target).abs().mean()])
            return Metrics(*metrics.cpu().tolist())  # the only wait for the device

    def _follow(self) -> None:
        with torch.no_grad():
            for average, new in zip(self.target.parameters(), self.network.parameters(), strict=True):
                average.lerp_(new, 1 - self.config.polyak)
            for old, buffer in zip(self.target.buffers(), self.network.buffers(), strict=True):
                old.copy_(buffer)  # statistics of batch normalisation, where there are any
        if self.updates % self.config.lag == 0:
            self.lagged.load_state_dict(self.target.state_dict())

    def state_dict(self) -> dict[str, object]:
        """All that `load_state_dict` needs to go on with identical results; its tensors are on the CPU."""
        parts = {name: getattr(self, name).state_dict() for name in _PARTS}
        return {"updates": self.updates, **on_cpu(parts), "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict) -> None:
        """Go on from a `state_dict`, of whatever device."""
        self.updates = state["updates"]
        for name in _PARTS:
            getattr(self, name).load_state_dict(state[name])
        self.generator.set_state(state["generator"])


def on_cpu(state: Any) -> Any:
    """Nested dictionaries and lists with their tensors on the CPU."""
    if isinstance(state, dict):
        return {key: on_cpu(value) for key, value in state.items()}
    if isinstance(state, list):
        return [on_cpu(value) for value in state]
    return state.cpu() if isinstance(state, Tensor) else state
