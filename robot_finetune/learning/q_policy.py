"""The policy that acts by a Q-network: encode the image once, maximise Q over actions by CEM, explore if asked to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from robot_finetune.config import setting
from robot_finetune.learning.cem import CEMConfig, maximise, move_actions
from robot_finetune.learning.checkpoint import Checkpoint, CheckpointError
from robot_finetune.learning.device import memory_checked
from robot_finetune.learning.mirror import Mirror, q_function
from robot_finetune.learning.networks.interface import State, state_tensors, to_device
from robot_finetune.robot.interfaces import Decision
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.types import Action, Observation, Samples

DEFAULT_CEM = CEMConfig()


@dataclass(frozen=True)
class PolicyConfig:
    """How actions are chosen."""

    cem: CEMConfig = setting(DEFAULT_CEM, "the search for the best action")
    explore_probability: float = setting(0.25, "chance that an exploring step is perturbed", low=0.0, high=1.0)
    explore_std: float = setting(0.25, "standard deviation of that perturbation, normalised", low=0.0, high=2.0)
    mirror: bool = setting(
        True, "average Q over the image and its mirror image, where arm, bin and camera are symmetric"
    )


class QPolicy:
    """Implements `Policy`. A new version is handed over by `swap` at any time and used from the next episode on."""

    def __init__(
        self, checkpoint: Checkpoint, profile: RobotProfile, config: PolicyConfig = PolicyConfig(), seed: int = 0
    ) -> None:
        self.config = config
        self._generator = torch.Generator().manual_seed(seed)
        self._lock = threading.Lock()
        self._pending: Checkpoint | None = None
        self._exploring = False
        self.swap_ms = 0.0
        self.watched: Callable[[], bool] = lambda: False
        """Whether somebody wants to see the samples of the next decision."""
        self.samples: Samples | None = None
        """The last ones of the last decision, if somebody wanted them."""
        self.checkpoint = checkpoint
        self.move_to(profile)

    def move_to(self, profile: RobotProfile) -> None:
        """Decide for the cell of `profile` from now on: for a camera that stands elsewhere now, and was calibrated."""
        self.profile, self._max_yaw = profile, profile.workspace.max_step_yaw
        self._mirror = Mirror.of(profile) if self.config.mirror else None
        self.checkpoint.network.geometry.set_profile(profile)

    @property
    def version(self) -> int:
        """Version of the Q-network that acts."""
        return self.checkpoint.version

    @property
    def device(self) -> torch.device:
        """Where it decides."""
        return self.checkpoint.network.device

    @property
    def views(self) -> str:
        """What decisions are made by."""
        return "the image and its mirror image" if self._mirror else "the image alone"

    def reseed(self, seed: int) -> None:
        """Make the next decisions depend on `seed` alone."""
        self._generator.manual_seed(seed)

    def swap(self, checkpoint: Checkpoint) -> None:
        """Use `checkpoint` from the next episode on; the newest call wins. Thread-safe."""
        checkpoint.network.geometry.set_profile(self.profile)
        with self._lock:
            self._pending = checkpoint

    def begin_episode(self, mode: str) -> None:
        """Take over a pending version; explore only in mode "explore". swap_ms: time that the last swap took."""
        self._exploring = mode == "explore"
        with self._lock:
            pending, self._pending = self._pending, None
        if pending is not None:
            start = time.perf_counter()
            self.checkpoint = pending
            self.swap_ms = (time.perf_counter() - start) * 1e3

    def q(self, observation: Observation) -> Callable[[Tensor], Tensor]:
        """Q of actions (1, N, 8) where the network is: values (1, N)."""
        return q_function(self.checkpoint.network, _state(observation).to(self.device), self._mirror)

    @torch.inference_mode()
    def act(self, observation: Observation) -> Decision:
        """The action to take, decided where the network is. Raises DeviceError where the memory there is full."""
        self.samples = None
        watch = self._keep if self.watched() else None
        with memory_checked(self.device):
            q = self.q(observation)
            action, value = maximise(q, 1, self.config.cem, self._max_yaw, self._generator, self.device, watch)
            chosen = Action(action[0].cpu().numpy())
            if self._exploring and not chosen.closes and self._uniform() < self.config.explore_probability:
                chosen = self._perturb(chosen)
                value = q(to_device(torch.from_numpy(chosen.vector)[None, None], self.device))[0]
            return Decision(chosen, float(value[0]), self.checkpoint.version)

    def _keep(self, actions: Tensor, values: Tensor) -> None:
        self.samples = Samples(actions[0].cpu().numpy(), values[0].cpu().numpy())

    def _uniform(self) -> float:
        return float(torch.rand((), generator=self._generator))

    def _perturb(self, action: Action) -> Action:
        params = torch.tensor([*action.translation, action.yaw_change / self._max_yaw])
        noise = self.config.explore_std * torch.randn(4, generator=self._generator)
        return Action(move_actions(params + noise, self._max_yaw).numpy())


def _state(observation: Observation) -> State:
    return state_tensors(
        observation.image[None], observation.pose[None], np.array([observation.opening]), np.array([observation.step])
    )


@torch.inference_mode()
def probe(checkpoint: Checkpoint, profile: RobotProfile) -> None:
    """Run the network on a fixed batch of images as a robot would. Raises CheckpointError if an output is not a
    finite number."""
    network, rng = checkpoint.network, np.random.default_rng(0)
    network.geometry.set_profile(profile)
    size = network.config.image_size
    images = rng.integers(0, 256, (4, size, size, 3), dtype=np.uint8)
    poses = np.tile(np.asarray(profile.start_pose, np.float32), (4, 1))
    features = network.encode(state_tensors(images, poses, np.ones(4), np.arange(4)).to(network.device))
    candidates = move_actions(torch.from_numpy(rng.uniform(-1, 1, (4, 16, 4)).astype(np.float32)), 1.0)
    logits = network.q(features, to_device(candidates, network.device))
    if not bool(torch.isfinite(logits).all()):
        raise CheckpointError(
            f"version {checkpoint.version}: its Q-values are not finite on the probe images; use another version"
        )
