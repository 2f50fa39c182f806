"""What a checkpoint folder says of itself, read from its card alone (no torch)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robot_finetune.config import ConfigError, load_yaml

WEIGHTS, CARD = "model.safetensors", "model.yaml"


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
            return hashlib.sha256((self.folder / WEIGHTS).read_bytes()).hexdigest() == self.sha256
        except OSError:
            return False


def read_card(folder: Path) -> VersionCard:
    """The card of a checkpoint folder. Raises ConfigError."""
    path = folder / CARD
    if not path.is_file():
        raise ConfigError(
            f"{folder}: no checkpoint there ({CARD} is missing); give the folder that holds {CARD} and {WEIGHTS}"
        )
    card = load_yaml(path)
    meta: Mapping[str, Any] = card.get("meta") or {}
    try:
        made = (int(card["version"]), int(card["parent"]), str(card["sha256"]), int(card["network"]["image_size"]))
        return VersionCard(folder, *made, int(meta.get("grasps", 0)), int(meta.get("updates", 0)))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"{path}: not the card of a checkpoint ({error!r}); restore it or use another one") from error
