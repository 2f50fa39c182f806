"""Time to sample a batch, and resident memory, with 1,000, 100,000 and 1,000,000 transitions of 64 px: both stay flat.

Every row and image is really written, through `add_rows`, to files of the full size; a size that does not fit on the
disk is left out with a line that says so. Sampling is timed in turns over all sizes, with the pages that it touches in
the page cache as far as the memory goes: it is the cost of a training run that goes on, not of the first touch after a
restart. Memory is what this process gained by making, filling and sampling each replay: `own` cannot be dropped
(RssAnon), `mapped` are pages of the files that the kernel drops when it needs the room (RssFile).
"""

from __future__ import annotations

import shutil
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np

from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.data.replay_storage import ROW
from robot_finetune.experiments.benchmarks._synthetic import fill
from robot_finetune.experiments.benchmarks._timing import Timing, interleave, medians_ms, resident_mb, timing_command
from robot_finetune.learning.finetuner import FINE_TUNE_BELLMAN

SIZES = (1_000, 100_000, 1_000_000)
QUICK_SIZES = (1_000, 10_000)
BATCH = 64
SPARE = 2e9
"""Bytes that stay free on the disk."""


def needed(transitions: int, image_size: int = 64) -> int:
    """Bytes on disk of a replay."""
    return transitions * (image_size**2 * 3 + ROW.itemsize)


def sample(buffer: ReplayBuffer, rng: np.random.Generator) -> None:
    """One batch, as in fine-tuning."""
    buffer.sample(rng, BATCH, FINE_TUNE_BELLMAN.n_step, FINE_TUNE_BELLMAN.discount, FINE_TUNE_BELLMAN.terminal_fraction)


def build(folder: Path, transitions: int, rng: np.random.Generator) -> tuple[ReplayBuffer, dict[str, float]]:
    """A full replay, and what it took: seconds to fill, own and mapped resident memory gained [MB]."""
    before, start = resident_mb(), time.perf_counter()
    buffer = ReplayBuffer(folder, transitions)
    fill(buffer, transitions)
    seconds = time.perf_counter() - start
    for _ in range(100):
        sample(buffer, rng)
    after = resident_mb()
    return buffer, {
        "disk_mb": needed(transitions) / 1e6,
        "fill_s": seconds,
        "own_mb": after["anonymous"] - before["anonymous"],
        "mapped_mb": after["file"] - before["file"],
    }


def run(timing: Timing, folder: Path | None) -> dict[str, Any]:
    """Print a row a size and the ratio of the largest to the smallest."""
    rng = np.random.default_rng(0)
    rows: dict[int, dict[str, float]] = {}
    buffers: dict[int, ReplayBuffer] = {}
    with TemporaryDirectory(prefix="benchmark-", dir=folder) as work:
        build(Path(work) / "warm-up", 1_000, rng)  # what is allocated once, whatever the size
        for size in QUICK_SIZES if timing.quick else SIZES:
            free, need = shutil.disk_usage(work).free, needed(size) + SPARE
            if free < need:
                print(f"{size:,} transitions: left out, {need / 1e9:.1f} GB needed, {free / 1e9:.1f} GB free there")
                continue
            buffers[size], rows[size] = build(Path(work) / str(size), size, rng)
        if not rows:
            return {"batch_size": BATCH, "sizes": {}}
        variants = {str(size): partial(sample, buffer, rng) for size, buffer in buffers.items()}
        times = medians_ms(interleave(variants, 50 if timing.quick else 500, timing.clock, warm_up=20))
    print(f"{'transitions':>12}{'sample':>10}{'own':>9}{'mapped':>11}{'disk':>11}{'fill':>9}")
    for size, row in rows.items():
        row["sample_ms"] = times[str(size)]
        print(
            f"{size:>12,}{row['sample_ms']:>7.3f} ms{row['own_mb']:>6.1f} MB{row['mapped_mb']:>8.0f} MB"
            f"{row['disk_mb']:>8.0f} MB{row['fill_s']:>7.1f} s"
        )
    smallest, largest = min(rows), max(rows)
    ratio = rows[largest]["sample_ms"] / rows[smallest]["sample_ms"]
    print(f"sampling with {largest:,} takes {ratio:.2f} x the time with {smallest:,} (batches of {BATCH})")
    return {"batch_size": BATCH, "largest_over_smallest": ratio, "sizes": rows}


command = timing_command(
    run,
    __doc__,
    click.option(
        "--folder",
        type=click.Path(path_type=Path, file_okay=False, exists=True),
        help="On the disk to use (default: that of temporary files).",
    ),
)
