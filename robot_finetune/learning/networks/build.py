"""The network of a NetworkConfig."""

from __future__ import annotations

import torch

from robot_finetune.learning.networks.compact import CompactQNetwork
from robot_finetune.learning.networks.grasping44 import Grasping44
from robot_finetune.learning.networks.interface import NetworkConfig, QNetwork

NETWORKS: dict[str, type[QNetwork]] = {"compact": CompactQNetwork, "grasping44": Grasping44}
"""The class of each of `interface.ARCHITECTURES`."""


def build_network(config: NetworkConfig, seed: int = 0) -> QNetwork:
    """A network with fresh weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return NETWORKS[config.name](config)
