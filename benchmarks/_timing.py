"""What the timing benchmarks share: command line, interleaved measurements, medians and memory."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from robot_finetune.config import ConfigError
from robot_finetune.learning.checkpoint import CheckpointError


def main(
    run: Callable[[argparse.Namespace], dict[str, Any]],
    document: str | None,
    options: Mapping[str, dict[str, Any]],
    argv: Sequence[str] | None = None,
) -> int:
    """Parse the options that all have and `options` (flag: keywords of add_argument), run, print the result as JSON if
    asked to. args.clock gives seconds, see `interleave`."""
    parser = argparse.ArgumentParser(description=(document or "").split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer repetitions: shows that it runs, rough figures")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")
    parser.add_argument(
        "--cpu-time", action="store_true", help="processor time instead of wall time, for a busy computer"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    for flag, keywords in options.items():
        parser.add_argument(flag, **keywords)
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    before = os.getloadavg()[0]
    args.clock = time.process_time if args.cpu_time else time.perf_counter
    clock = "processor" if args.cpu_time else "wall"
    cores = os.cpu_count()
    print(f"{cores} cores, load before {before:.1f}; {args.threads} thread(s) of torch; {clock} time", flush=True)
    try:
        result = run(args)
    except (ConfigError, CheckpointError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if args.json:
        machine = {"cores": cores, "load_before": before, "threads": args.threads, "clock": clock, "quick": args.quick}
        print(json.dumps({**machine, **result}))
    return 0


def interleave(
    variants: Mapping[str, Callable[[], Any]], rounds: int, clock: Callable[[], float], warm_up: int = 2
) -> dict[str, np.ndarray]:
    """Seconds (rounds,) of each variant; every round runs each of them once, so that noise hits all alike.

    clock: as `args.clock`. warm_up: rounds before those that count.
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
