"""Where a training run that was stopped goes on: its state, beside the settings that it was made with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from robot_finetune.data.atomic_file import atomic_file
from robot_finetune.learning.checkpoint import CheckpointError

STATE = "state.pt"


def save_state(out: Path, made_with: str, state: dict[str, Any]) -> None:
    """Write the state of the run in `out`; atomic."""
    with atomic_file(out / STATE) as stream:
        torch.save({"config": made_with, **state}, stream)


def saved_state(out: Path, made_with: str) -> dict[str, Any]:
    """Of the run that is in `out`; empty if there is none. Raises CheckpointError if it is another run."""
    path = out / STATE
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True) if path.is_file() else {}
    if state and state["config"] != made_with:
        raise CheckpointError(f"{path}: is of a run with other settings; give another folder or the same settings")
    return state
