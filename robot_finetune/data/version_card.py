"""What a checkpoint folder says of itself, read from its card alone (no torch)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robot_finetune.config import ConfigError, from_mapping, load_yaml, setting
from robot_finetune.files import sha256_of

WEIGHTS, CARD = "model.safetensors", "model.yaml"
VERSION_LIMIT = 2**31 - 1
"""Largest number of a version, as in the messages."""


@dataclass(frozen=True)
class CardFile:
    """model.yaml. network: of NetworkConfig. meta: how the weights were made."""

    version: int = setting(description="number of the version", low=0, high=VERSION_LIMIT)
    parent: int = setting(description="version it was fine-tuned from", low=0, high=VERSION_LIMIT)
    sha256: str = setting(description="hash of the weights")
    network: dict[str, Any] = setting(description="architecture and sizes")
    meta: dict[str, Any] = setting(dict, "model card")
    format: int = setting(0, "of the checkpoint")


@dataclass(frozen=True)
class FineTuned:
    """What `meta` holds of a version that a trainer made."""

    variation: str = setting(description="what it was fine-tuned on")
    grasps: int = setting(description="grasps it was fine-tuned with", low=0, high=VERSION_LIMIT)
    updates: int = setting(description="gradient steps", low=0, high=VERSION_LIMIT)


@dataclass(frozen=True)
class _Counts:
    grasps: int = setting(0, low=0, high=VERSION_LIMIT)
    updates: int = setting(0, low=0, high=VERSION_LIMIT)


@dataclass(frozen=True)
class _Images:
    image_size: int = setting(description="edge of the images", unit="px", low=1, high=4096)


@dataclass(frozen=True)
class VersionCard:
    """What model.yaml says of a checkpoint. image_size: edge of the images that its network takes [px]. grasps,
    updates: that it was fine-tuned with (0 if unknown)."""

    folder: Path
    version: int
    parent: int
    sha256: str
    image_size: int
    grasps: int = 0
    updates: int = 0

    @property
    def sound(self) -> bool:
        """Whether the weights are those that the card was written for."""
        try:
            return sha256_of(self.folder / WEIGHTS) == self.sha256
        except OSError:
            return False


def read_card_file(folder: Path) -> CardFile:
    """model.yaml of a checkpoint folder. Raises ConfigError."""
    path = folder / CARD
    if not path.is_file():
        raise ConfigError(
            f"{folder}: no checkpoint there ({CARD} is missing); give the folder that holds {CARD} and {WEIGHTS}"
        )
    return from_mapping(CardFile, load_yaml(path), str(path), others=True)


def read_card(folder: Path) -> VersionCard:
    """The card of a checkpoint folder. Raises ConfigError."""
    card, path = read_card_file(folder), folder / CARD
    counts = from_mapping(_Counts, card.meta, f"{path}: meta", others=True)
    size = from_mapping(_Images, card.network, f"{path}: network", others=True).image_size
    return VersionCard(folder, card.version, card.parent, card.sha256, size, counts.grasps, counts.updates)
