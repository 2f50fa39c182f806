"""`robot-finetune benchmark NAME`: run one of the scripts in benchmarks/ of the source tree."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from robot_finetune.config import SHARE, ConfigError

FOLDER = SHARE / "benchmarks"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="all, or one of: " + ", ".join(path.stem for path in _scripts()))
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="passed on, such as --json")


def run(args: argparse.Namespace) -> int:
    """The largest exit code of the benchmarks that were run. Raises ConfigError for an unknown one."""
    chosen = [path for path in _scripts() if args.name in ("all", path.stem)]
    if not chosen:
        known = ", ".join(path.stem for path in _scripts()) or "none (they are in the source tree only)"
        raise ConfigError(f"unknown benchmark {args.name!r}: there are {known}")
    return max(subprocess.run([sys.executable, str(path), *args.arguments], check=False).returncode for path in chosen)


def _scripts() -> list[Path]:
    return sorted(FOLDER.glob("[!_]*.py"))
