"""The versions of the Q-network in a session's folder."""

from __future__ import annotations

from pathlib import Path

from robot_finetune.config import ConfigError
from robot_finetune.data.layout import CHECKPOINTS
from robot_finetune.data.version_card import VersionCard, read_card


def session_versions(folder: Path) -> list[VersionCard]:
    """The versions that the trainer wrote to DIR/checkpoints, oldest first; unreadable ones are left out."""
    cards = []
    for path in (folder / CHECKPOINTS).glob("v[0-9]*"):
        try:
            cards.append(read_card(path))
        except ConfigError:
            continue
    return sorted(cards, key=lambda card: card.version)


def newest_sound(folder: Path) -> VersionCard | None:
    """The newest version in DIR/checkpoints whose weights are undamaged."""
    return next((card for card in reversed(session_versions(folder)) if card.sound), None)
