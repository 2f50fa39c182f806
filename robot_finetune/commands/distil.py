"""`robot-finetune distil`"""

from __future__ import annotations

from pathlib import Path

import click

from robot_finetune.commands import options


@click.command(
    epilog="""\b
Examples:
  robot-finetune distil --config config/distil.yaml --policy models/base --out runs/looks
  robot-finetune evaluate --policy runs/looks/best --variation harsh_lighting"""
)
@click.option("--out", type=options.FOLDER, required=True, help="Folder of the run; one that was stopped goes on.")
@click.option("--config", type=options.FILE, help="YAML of DistilConfig.")
@options.policy(" of the teacher, with its replay.bin")
@options.robot
@options.seed
@options.processes
@options.ray
@options.quiet
@options.threads
@options.device
def command(
    out: Path, config: Path | None, policy: str, robot: str, seed: int, processes: int, ray: str, threads: int,
    device: str,
) -> None:  # fmt: skip
    """A policy that sees in scenes of any look what its teacher sees in the cell as it is."""
    from dataclasses import replace

    from robot_finetune.config import from_yaml, policy_folder
    from robot_finetune.experiments.distil import DistilConfig, Distillation
    from robot_finetune.experiments.pool import open_workers
    from robot_finetune.learning.device import prepare_device

    learns_on = prepare_device(device, threads)
    settings = from_yaml(DistilConfig, config) if config else DistilConfig()
    with open_workers(processes, ray, apart=True) as workers:
        teacher = policy_folder(policy)
        Distillation(replace(settings, seed=seed), out, teacher, robot, workers, learns_on).run()
