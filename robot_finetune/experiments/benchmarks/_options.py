"""Options that several benchmarks have."""

from __future__ import annotations

import click

POLICY = click.option(
    "--policy", default="", show_default=False, help="Checkpoint folder; empty: the shipped base policy."
)
POLICY_WITH_REPLAY = click.option(
    "--policy",
    default="",
    show_default=False,
    help="Checkpoint folder with replay.bin; empty: the shipped base policy.",
)
VARIATION = click.option("--variation", default="base", help="Name in config/variations or a YAML file.")
REPETITIONS = "Repetitions, with other explorations and batches."
VARIATIONS = "Names or YAML files, with commas."
