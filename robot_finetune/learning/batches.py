"""Batches as the learner takes them: tensors on its device, the next one drawn while it works on this one."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from robot_finetune.data.transitions import Batch
from robot_finetune.learning.networks.interface import State, state_tensors, to_device

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Of glibc's malloc.h."""
KEPT = 1 << 30
"""Bytes."""


class TensorBatch(NamedTuple):
    """B transitions. action: (B, 1, 8). mount, error: (B, 2) [m]. reward, discount: (B,). going: (n,), the rows whose
    targets bootstrap, from the observations `following` (n)."""

    state: State
    action: Tensor
    reward: Tensor
    discount: Tensor
    mount: Tensor
    error: Tensor
    going: Tensor
    following: State

    @staticmethod
    def of(batch: Batch) -> TensorBatch:
        """On the CPU; most of it shares the memory of `batch`."""
        going = torch.from_numpy(np.flatnonzero(batch.discount > 0))
        following = State(*(tensor[going] for tensor in select(batch, "next_")))
        return TensorBatch(
            select(batch),
            torch.from_numpy(batch.action)[:, None],
            torch.from_numpy(batch.reward),
            torch.from_numpy(batch.discount),
            torch.from_numpy(batch.mount),
            torch.from_numpy(batch.error),
            going,
            following,
        )

    def to(self, device: torch.device) -> TensorBatch:
        """The same batch there."""
        return self._each(lambda tensor: to_device(tensor, device))

    def pinned(self) -> TensorBatch:
        """The same batch in memory that a CUDA device reads by itself."""
        return self._each(Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> TensorBatch:
        return TensorBatch._make(
            State(*map(change, part)) if isinstance(part, State) else change(part) for part in self
        )


def select(batch: Batch, prefix: str = "") -> State:
    """The observations of a replay batch, or (prefix "next_") those they led to."""
    image, pose, opening, step = (getattr(batch, prefix + name) for name in ("image", "pose", "opening", "step"))
    return state_tensors(image, pose, opening, step, batch.cell)


def _keep_memory() -> None:
    """Have this process keep the memory that a batch is freed from. Otherwise each one of more than a few MB is taken
    from the kernel anew, page by page, which takes several times as long as to draw it."""
    with suppress(OSError, AttributeError):  # a C library without it
        libc = ctypes.CDLL(None)
        libc.mallopt(M_TRIM_THRESHOLD, KEPT)
        libc.mallopt(M_MMAP_THRESHOLD, KEPT)


class _Drawn(NamedTuple):
    """A batch that waits, the random state before it was drawn, and what it was drawn from."""

    before: Mapping[str, Any]
    revision: object
    batch: TensorBatch


class Batches:
    """Batches on the CPU, in an order that depends on nothing but the seed and what there is to draw from.

    Beside an accelerator a thread draws the next batch while the accelerator works. If there is other data by the time
    it is wanted, it is drawn anew, so that the batches are those that the CPU would have got.
    """

    def __init__(
        self,
        draw: Callable[[np.random.Generator], Batch],
        revision: Callable[[], object],
        device: torch.device,
        seed: int = 0,
    ) -> None:
        """draw: makes a batch. revision: differs when what it draws from has changed."""
        self._draw, self._revision, self._device = draw, revision, device
        self._rng = np.random.default_rng(seed)
        self._thread = ThreadPoolExecutor(1, "batches", _keep_memory) if device.type != "cpu" else None
        self._waiting: _Drawn | None = None

    @contextmanager
    def next(self) -> Iterator[TensorBatch]:
        """The next batch. The one after it is drawn within the block, and by its end, so that what is
        drawn from may change outside."""
        batch = self._take()
        drawing = self._thread.submit(self._drawn) if self._thread else None
        try:
            yield batch
        finally:
            self._waiting = drawing.result() if drawing else None

    @property
    def random_state(self) -> Mapping[str, Any]:
        """From which the next batch is drawn."""
        return self._waiting.before if self._waiting else self._rng.bit_generator.state

    @random_state.setter
    def random_state(self, state: Mapping[str, Any]) -> None:
        self._waiting = None
        self._rng.bit_generator.state = state

    def _take(self) -> TensorBatch:
        waiting, self._waiting = self._waiting, None
        if waiting and waiting.revision == self._revision():
            return waiting.batch
        if waiting:
            self._rng.bit_generator.state = waiting.before
        return self._drawn().batch

    def _drawn(self) -> _Drawn:
        before, revision = self._rng.bit_generator.state, self._revision()
        batch = TensorBatch.of(self._draw(self._rng))
        return _Drawn(before, revision, batch.pinned() if self._device.type == "cuda" else batch)
