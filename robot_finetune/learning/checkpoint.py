"""Versioned checkpoints of a Q-network: a folder with model.safetensors and model.yaml, written atomically, verified
when read."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from robot_finetune.config import ConfigError, from_mapping, to_mapping
from robot_finetune.data.atomic_file import atomic_file
from robot_finetune.data.version_card import CARD, WEIGHTS, read_card_file
from robot_finetune.files import read_file
from robot_finetune.learning.networks.build import build_network
from robot_finetune.learning.networks.interface import CPU, NetworkConfig, QNetwork

FORMAT = 1
WEIGHTS_LIMIT = 1 << 31
"""Largest file of weights [bytes]."""


class CheckpointError(RuntimeError):
    """A checkpoint that must not be used; the message says which file, why, and what to do."""


@dataclass(frozen=True)
class Checkpoint:
    """One version of the Q-network. parent: the version it was fine-tuned from. meta: model card."""

    network: QNetwork
    version: int = 0
    parent: int = 0
    sha256: str = ""
    meta: dict[str, Any] = field(default_factory=dict)


def save_checkpoint(folder: str | Path, network: QNetwork, version: int, parent: int, meta: dict[str, Any]) -> str:
    """Write a checkpoint and return the SHA-256 of its weights. The card is written last: without it there is no
    checkpoint."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    weights = save_tensors({name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()})
    sha256 = hashlib.sha256(weights).hexdigest()
    card = {
        "format": FORMAT,
        "version": version,
        "parent": parent,
        "sha256": sha256,
        "network": to_mapping(network.config),
        "meta": meta,
    }
    (folder / CARD).unlink(missing_ok=True)
    for name, data in ((WEIGHTS, weights), (CARD, yaml.safe_dump(card, sort_keys=False).encode())):
        with atomic_file(folder / name) as stream:
            stream.write(data)
    return sha256


def load_checkpoint(folder: str | Path, expect_sha256: str = "", device: torch.device = CPU) -> Checkpoint:
    """Read and verify a checkpoint: card, hash (also against `expect_sha256`), shapes. Raises CheckpointError.

    device: where its network shall be; it does not matter where it was when it was written."""
    folder = Path(folder)
    if not (folder / CARD).is_file():
        raise CheckpointError(
            f"{folder}: no checkpoint there ({CARD} is missing); give the folder that holds {CARD} and {WEIGHTS}"
        )
    try:
        card = read_card_file(folder)
        config = from_mapping(NetworkConfig, card.network, f"{folder / CARD}: network")
        weights = read_file(folder / WEIGHTS, WEIGHTS_LIMIT)
    except (ConfigError, OSError) as error:
        raise CheckpointError(
            f"{folder}: unreadable checkpoint ({error}); restore it or use another version"
        ) from error
    if card.format != FORMAT:
        raise CheckpointError(f"{folder}: format {card.format}, this release reads {FORMAT}; update robot_finetune")
    digest = hashlib.sha256(weights).hexdigest()
    for expected, source in ((card.sha256, CARD), (expect_sha256, "the announcement")):
        if expected and digest != expected:
            raise CheckpointError(
                f"{folder / WEIGHTS}: sha256 {digest[:12]} is not {expected[:12]} of {source};"
                " the file is damaged, use another version"
            )
    try:
        network = build_network(config)
        network.load_state_dict(load_tensors(weights))
    except Exception as error:  # safetensors and torch raise many kinds
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{folder / WEIGHTS}: does not fit the network in {CARD} ({reason}); use another version"
        ) from error
    if not all(bool(torch.isfinite(tensor).all()) for tensor in network.state_dict().values()):
        raise CheckpointError(f"{folder / WEIGHTS}: holds weights that are not finite; use another version")
    return Checkpoint(network.eval().to(device), card.version, card.parent, digest, card.meta)
