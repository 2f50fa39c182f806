"""The fault suite: `make faults` (long form). Prints a table of what was tried, survived and lost; exit code 1 if
anything was lost, wrong or ended.

`python test/faults/suite/run.py --short [KIND ...]` is the form inside `make test`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))  # modules that all tests share

import clocks
import exits
import hostile
import kills
import motions
import readers
import relays
import writes
from tally import Tally, table

from robot_finetune.data.replay_cache import CACHE_FOLDER
from robot_finetune.ros.environment import node_environment, unused_domain


def emergency_stops(count: int, seed: int, folder: Path) -> Tally:
    """As `exits.emergency_stops`; prints its times."""
    tally, *times = exits.emergency_stops(count, seed, folder)
    for what, seconds in zip(("the first hold", "the last motion command"), times, strict=True):
        ms = np.percentile(seconds or [np.nan], [50, 99, 100]) * 1e3
        print(f"from the call of a stop to {what}: p50 {ms[0]:.1f}, p99 {ms[1]:.1f}, p100 {ms[2]:.1f} ms", flush=True)
    return tally


KINDS: dict[str, tuple[Callable[[int, int, Path], Tally], int, int]] = {
    "actions": (motions.random_actions, 20_000, 1_000_000),
    "joint_states": (motions.random_joint_states, 5_000, 100_000),
    "files": (readers.damaged_files, 1_600, 200_000),
    "writes": (writes.killed_writers, 6, 300),
    "kills": (kills.killed_sessions, 20, 300),
    "signals": (exits.signals, 3, 60),
    "stops": (emergency_stops, 5, 200),
    "clocks": (clocks.clock_jumps, 5, 60),
    "messages": (hostile.hostile_messages, 2_000, 50_000),
    "sensors": (relays.joint_state_faults, 10, 100),
}
"""What is tried, and how often in the short and in the long form."""


def run(kind: str, long: bool, seed: int = 0) -> Tally:
    """One kind of fault, in a folder of its own that is removed."""
    function, few, many = KINDS[kind]
    with tempfile.TemporaryDirectory(prefix=f"faults-{kind}-") as folder:
        return function(many if long else few, seed, Path(folder))


def prepare() -> None:
    """A ROS domain and a cache of our own."""
    os.environ.update(node_environment(unused_domain()))
    os.environ.setdefault(CACHE_FOLDER, tempfile.mkdtemp(prefix="faults-cache-"))
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)}; all if none is given")
    parser.add_argument("--short", action="store_true", help="a few of each instead of many")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if unknown := set(args.kinds) - set(KINDS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    prepare()
    tallies = []
    for kind in args.kinds or KINDS:
        begun = time.monotonic()
        tallies.append(run(kind, not args.short, args.seed))
        print(f"{table(tallies[-1:])}\n{kind}: {time.monotonic() - begun:.0f} s\n", flush=True)
    print(table(tallies))
    print(json.dumps([dataclasses.asdict(tally) for tally in tallies]))
    return 0 if all(tally.good for tally in tallies) else 1


if __name__ == "__main__":
    sys.exit(main())
