"""Speed beside what people would use instead, in one run: torchrl's and LeRobot's replays, episode files and weights.

Needs the peers (requirements-peers.txt, in an environment of its own); one that is not installed is left out. Made-up
grasps of five steps, the same for all. Times are medians of turns; memory is what a process gained.

* `insert`: a grasp into the replay. `sample`: a batch of 64 transitions from it.
* `episode`: a grasp to the disk; ours is then forced to the disk and read back whole, LeRobotDataset is neither.
* `weights`: from the network that learns into the one that acts; ours by a file that is checked, LeRobot's as the bytes
  that its learner sends.
"""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from robot_finetune.experiments.benchmarks._peers import (
    BATCH,
    REPLAYS,
    episode_writers,
    installed,
    weight_carriers,
)
from robot_finetune.experiments.benchmarks._synthetic import STEPS
from robot_finetune.experiments.benchmarks._timing import (
    CONFIGS,
    Timing,
    interleave,
    medians_ms,
    resident_mb,
    timing_command,
)
from robot_finetune.learning.networks.build import build_network

SIZES = (64, 128, 472)
GRASPS = {64: 4000, 128: 1000, 472: 100}
"""That a replay is filled with, by the size of the images [px]."""
QUICK = 10
"""By which the quick form has fewer."""
HUNDRED_THOUSAND = 100_000


def run(timing: Timing, sizes: str) -> dict[str, Any]:
    """Print a table a kind of work."""
    versions = installed()
    print(", ".join(f"{name} {version}" for name, version in versions.items()) or "no peer is installed")
    names = ("robot_finetune", *versions)
    result: dict[str, Any] = {"versions": versions, "replay": {}}
    for size in map(int, sizes.split(",")):
        fill = GRASPS.get(size, 100) // (QUICK if timing.quick else 1)
        result["replay"][str(size)] = rows = {name: _apart(name, size, fill) for name in names}
        for name, times in _replay_times(timing, names, size, fill).items():
            rows[name] |= times
        print(f"\nreplay, images of {size} px: {fill * STEPS:,} transitions")
        print(f"{'':>16}{'insert':>12}{'sample ' + str(BATCH):>12}{'memory':>10}{'disk':>10}   (a 100,000 steps)")
        for name, row in rows.items():
            print(
                f"{name:>16}{row['insert_ms']:>9.2f} ms{row['sample_ms']:>9.2f} ms"
                f"{row['memory_gb']:>7.2f} GB{row['disk_gb']:>7.2f} GB"
            )
    with TemporaryDirectory(prefix="benchmark-") as folder:
        network, acting = (build_network(CONFIGS["compact"], seed) for seed in range(2))
        work = {
            "episode": episode_writers(Path(folder), 64),
            "weights": weight_carriers(Path(folder), network, acting),
        }
        for kind, variants in work.items():
            result[kind] = times = medians_ms(interleave(variants, 20 if timing.quick else 200, timing.clock))
            print(f"\n{kind}: " + ", ".join(f"{name} {time:.2f} ms" for name, time in times.items()))
    return result


def _replay_times(timing: Timing, names: tuple[str, ...], size: int, fill: int) -> dict[str, dict[str, float]]:
    """{library: insert_ms, sample_ms}, of replays that are half full, in turns."""
    with TemporaryDirectory(prefix="benchmark-") as folder:
        replays = {name: REPLAYS[name](Path(folder), 2 * fill * STEPS, size) for name in names}
        for replay in replays.values():
            for _ in range(fill):
                replay.insert()
        rounds = max(10, fill // 4)
        inserts = medians_ms(interleave({name: one.insert for name, one in replays.items()}, rounds, timing.clock))
        samples = medians_ms(interleave({name: one.sample for name, one in replays.items()}, rounds, timing.clock))
        return {name: {"insert_ms": inserts[name], "sample_ms": samples[name]} for name in names}


def _apart(name: str, size: int, fill: int) -> dict[str, float]:
    """What a replay takes: memory that the kernel cannot drop, and disk [GB for 100,000 steps], in a process of its
    own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_taken, (name, size, fill))


def _taken(name: str, size: int, fill: int) -> dict[str, float]:
    with TemporaryDirectory(prefix="benchmark-") as folder:
        replay = REPLAYS[name](Path(folder), fill * STEPS, size)
        memory = []
        for _ in range(2):  # what is allocated once, whatever the size, is in the first half
            for _ in range(fill // 2):
                replay.insert()
            memory.append(resident_mb()["anonymous"] / 1e3)
        scale = HUNDRED_THOUSAND / (fill // 2 * STEPS)
        disk = sum(file.stat().st_blocks * 512 for file in Path(folder).rglob("*") if file.is_file()) / 1e9
        return {"memory_gb": max(0.0, memory[1] - memory[0]) * scale, "disk_gb": disk * scale / 2}


command = timing_command(
    run,
    __doc__,
    click.option("--sizes", default=",".join(map(str, SIZES)), help="Edges of the images [px], with commas."),
)
