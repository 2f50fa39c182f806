"""`robot-finetune pretrain`"""

from __future__ import annotations

from pathlib import Path

import click

from robot_finetune.commands import options


@click.command(
    epilog="""\b
Examples:
  robot-finetune pretrain --config config/pretrain.yaml --out runs/base
  robot-finetune evaluate --policy runs/base/best"""
)
@click.option("--out", type=options.FOLDER, required=True, help="Folder of the run; one that was stopped goes on.")
@click.option("--config", type=options.FILE, help="YAML of PretrainConfig; see config/pretrain.yaml.")
@options.robot
@options.seed
@options.processes
@click.option("--threads", type=click.IntRange(1, 256), default=1, help="Threads of the learner.")
def command(out: Path, config: Path | None, robot: str, seed: int, processes: int, threads: int) -> None:
    """A base policy from nothing: scripted episodes first, then rounds of collecting and learning."""
    from dataclasses import replace

    import torch

    from robot_finetune.config import from_yaml
    from robot_finetune.experiments.pretrain import PretrainConfig, Pretraining

    torch.set_num_threads(threads)
    settings = from_yaml(PretrainConfig, config) if config else PretrainConfig()
    Pretraining(replace(settings, seed=seed), out, robot, processes).run()
