"""What the timing benchmarks share: command line, interleaved measurements, medians and memory."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from robot_finetune.files import to_json
from robot_finetune.learning.device import synchronise
from robot_finetune.learning.networks.interface import NetworkConfig


@dataclass(frozen=True)
class Timing:
    """How a benchmark measures. clock: gives seconds, see `interleave`. quick: with few repetitions."""

    quick: bool
    clock: Callable[[], float]

    def on(self, device: torch.device) -> Callable[[], float]:
        """The clock, read when the device has done all that it was given."""

        def read() -> float:
            synchronise(device)
            return self.clock()

        return read


DEVICE = click.option("--device", default="cpu", help="Where networks compute: auto, cpu, cuda, cuda:1 or mps.")
CONFIGS = {"compact": NetworkConfig(), "grasping44": NetworkConfig("grasping44", image_size=472)}
"""The networks that are timed."""


def timing_command(
    run: Callable[..., dict[str, Any]], document: str | None, *own: Callable[[Any], Any]
) -> click.Command:
    """The command of a benchmark: the options that all have and its `own`, then `run(timing, **own)`, whose result is
    printed as JSON if asked for."""

    @click.command(help=(document or "").split("\n\n")[0])
    @click.option("--quick", is_flag=True, help="Fewer repetitions: shows that it runs, rough figures.")
    @click.option("--threads", type=click.IntRange(1, 256), default=1, help="Threads of torch.")
    @click.option("--cpu-time", is_flag=True, help="Processor time instead of wall time, for a busy computer.")
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line.")
    def command(quick: bool, threads: int, cpu_time: bool, as_json: bool, **chosen: Any) -> None:
        torch.set_num_threads(threads)
        before, cores, clock = os.getloadavg()[0], os.cpu_count(), "processor" if cpu_time else "wall"
        print(f"{cores} cores, load before {before:.1f}; {threads} thread(s) of torch; {clock} time", flush=True)
        result = run(Timing(quick, time.process_time if cpu_time else time.perf_counter), **chosen)
        if as_json:
            machine = {"cores": cores, "load_before": before, "threads": threads, "clock": clock, "quick": quick}
            print(to_json({**machine, **result}))

    for option in reversed(own):
        command = option(command)
    return command


def interleave(
    variants: Mapping[str, Callable[[], Any]], rounds: int, clock: Callable[[], float], warm_up: int = 2
) -> dict[str, np.ndarray]:
    """Seconds (rounds,) of each variant; every round runs each of them once, so that noise hits all alike.

    clock: as in `Timing`. warm_up: rounds before those that count.
    """
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    order = list(variants)
    for index in range(warm_up + rounds):
        for name in order if index % 2 else reversed(order):
            start = clock()
            variants[name]()
            seconds[name].append(clock() - start)
    return {name: np.array(values[warm_up:]) for name, values in seconds.items()}


def medians_ms(seconds: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Median of each variant [ms]."""
    return {name: float(np.median(values)) * 1e3 for name, values in seconds.items()}


def resident_mb() -> dict[str, float]:
    """Resident memory of this process [MB]: `anonymous`, its own, and `file`, mapped files that the kernel can drop."""
    lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    kilobytes = {words[0]: int(words[1]) for words in lines if words[0] in ("RssAnon:", "RssFile:")}
    return {"anonymous": kilobytes["RssAnon:"] / 1024, "file": kilobytes["RssFile:"] / 1024}
