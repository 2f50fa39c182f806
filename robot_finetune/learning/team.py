"""Several processes that learn as one, as torchrun starts them: data parallelism.

All hold the same replay and draw the same batches from it; each computes with its own rows of a batch, and the mean of
their gradients is the step of all. So their networks are the same, bit for bit, and the same as that of one process
but for rounding and for random numbers that are drawn row by row (candidate actions, augmentation). Each batch
normalisation takes the statistics of its own rows.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import distributed, nn

from robot_finetune.config import ConfigError
from robot_finetune.data.transitions import Batch


@dataclass(frozen=True)
class Team:
    """A process's place among those that learn as one. The first writes what is kept."""

    rank: int = 0
    size: int = 1

    def part(self, batch: Batch) -> Batch:
        """The rows of a batch that this process computes with."""
        if self.size == 1:
            return batch
        return Batch(**{field.name: getattr(batch, field.name)[self.rank :: self.size] for field in fields(Batch)})

    def average(self, network: nn.Module) -> None:
        """Put the mean of everybody's gradients in the place of one's own."""
        if self.size == 1:
            return
        gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
        mean = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(mean)
        parts = (mean / self.size).split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def same(self, value: float) -> float:
        """The first one's value, for decisions that all have to take alike."""
        if self.size == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values)
        return values[0]

    def seed(self, seed: int) -> int:
        """Of what is drawn row by row."""
        return seed + 1_000_003 * self.rank

    @contextmanager
    def folder(self, out: Path) -> Iterator[Path]:
        """`out` for the first; for each other a copy of it that is thrown away, and what it prints with it."""
        if self.size == 1:
            yield out
            return
        with TemporaryDirectory(prefix="team-") as scratch, open(os.devnull, "w") as nowhere:
            mine = out
            if self.rank:
                mine = Path(scratch) / "out"
                if out.is_dir():
                    shutil.copytree(out, mine)
            distributed.barrier()  # nobody writes before all have copied
            with redirect_stdout(nowhere if self.rank else sys.stdout):
                yield mine


ALONE = Team()


def started_together() -> int:
    """How many processes torchrun has started with this one."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextmanager
def join(device: torch.device) -> Iterator[Team]:
    """The team of this process: those that torchrun has started with it, or itself alone. Raises ConfigError for a
    device on which that does not work."""
    if started_together() == 1:
        yield ALONE
        return
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"torchrun: several processes cannot learn as one on {device}; set device: cpu or cuda")
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Team(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()
