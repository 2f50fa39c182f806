"""Time of a version from a trainer to the policy over DDS, of the swap, and how late images are meanwhile.

Versions of 0.5 and 5 MB come in pieces, one after the other, to the policy of a simulated cell in real time; images
are timed before and meanwhile, as a session does.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from robot_finetune.config import ConfigError
from robot_finetune.experiments.benchmarks._timing import Timing, timing_command
from robot_finetune.files import parse_json
from robot_finetune.learning.checkpoint import save_checkpoint
from robot_finetune.learning.networks.build import build_network
from robot_finetune.learning.networks.interface import NetworkConfig

SIZES = {"0.5 MB": NetworkConfig(), "5 MB": NetworkConfig(channels=138)}
COUNTS, QUIET = {False: 21, True: 4}, {False: 20.0, True: 3.0}
"""Versions of each size, and seconds for which images are timed before; in the short form."""


def run(timing: Timing) -> dict[str, Any]:
    """Print the table and return it."""
    with tempfile.TemporaryDirectory(prefix="transfer-") as temporary:
        folder, number = Path(temporary), 0
        save_checkpoint(folder / "base", build_network(NetworkConfig(), 0), 0, 0, {})
        for name, config in SIZES.items():
            for _ in range(COUNTS[timing.quick]):
                number += 1
                made = folder / name / f"v{number:04d}"
                save_checkpoint(made, build_network(config, number), number, number - 1, {})
        words = [sys.executable, "-m", "robot_finetune.session.transfer", temporary, str(QUIET[timing.quick])]
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise ConfigError("the simulated cell has failed; what it said above tells why")
    found: dict[str, Any] = parse_json(done.stdout.splitlines()[-1])
    for each in found.values():
        took, before, meanwhile = each["arrival_ms"], each["images"], each["images_meanwhile"]
        print(f"{each['bytes'] / 1e6:.2f} MB: there after {took['p50']:.0f} ms, {took['max']:.0f} at most")
        told = f"{_told(before)} before, {_told(meanwhile)} meanwhile"
        print(f"  swap {each['swap_ms']:.4f} ms; images (p50, p95) {told}")
    return {"sizes": found}


def _told(images: dict[str, float]) -> str:
    return f"{images['p50_ms']:.1f}, {images['p95_ms']:.1f} ms and {images['lost']} lost"


command = timing_command(run, __doc__)
