"""`robot-finetune pretrain`"""

from __future__ import annotations

from pathlib import Path

import click

from robot_finetune.commands import options


@click.command(
    epilog="""\b
Examples:
  robot-finetune pretrain --config config/pretrain.yaml --out runs/base
  robot-finetune pretrain --config config/pretrain_on.yaml --policy models/base --robot my_arm.yaml --out runs/mine
  robot-finetune pretrain --episodes sessions/a --episodes sessions/b --robot my_arm.yaml --out runs/mine
  robot-finetune pretrain --online --robot my_arm.yaml --out runs/mine
  robot-finetune evaluate --policy runs/base/best"""
)
@click.option("--out", type=options.FOLDER, required=True, help="Folder of the run; one that was stopped goes on.")
@click.option(
    "--config", type=options.FILE, help="YAML of PretrainConfig (--episodes: OfflineConfig, --online: OnlineConfig)."
)
@click.option(
    "--episodes", type=options.FOLDER, multiple=True, help="Learn from the episodes of this session; may be repeated."
)
@click.option(
    "--policy", type=options.FOLDER, help="Checkpoint folder to start from, not from nothing; needs its replay.bin."
)
@click.option(
    "--online", is_flag=True, help="Let the robot itself collect, by sessions: without a network first, then by rounds."
)
@options.robot
@options.variation
@options.seed
@options.processes
@options.ray
@options.quiet
@options.threads
@options.device
def command(
    out: Path, config: Path | None, episodes: tuple[Path, ...], policy: Path | None, online: bool, robot: str,
    variation: str, seed: int, processes: int, ray: str, threads: int, device: str,
) -> None:  # fmt: skip
    """A base policy: from nothing in the simulated cell, where a teacher's episodes are followed by rounds of
    collecting and learning, or by such rounds alone from a policy that is there; from episodes that robots have logged;
    or from nothing by a robot's own grasps."""
    from dataclasses import replace

    from robot_finetune.config import from_yaml
    from robot_finetune.experiments.offline import OfflineConfig, OfflineTraining
    from robot_finetune.experiments.online import OnlineConfig, OnlineTraining
    from robot_finetune.experiments.pool import open_workers
    from robot_finetune.experiments.pretrain import PretrainConfig, Pretraining
    from robot_finetune.learning.device import own_card, prepare_device
    from robot_finetune.learning.team import join, started_together
    from robot_finetune.progress import be_quiet
    from robot_finetune.robot.profile import load_robot

    if policy and online:
        raise click.UsageError("--online begins without a network: leave --policy out, or record `session --policy`.")
    if online and episodes:
        raise click.UsageError("--online collects its own episodes: leave --episodes out.")
    if started_together() > 1 and not episodes:
        raise click.UsageError("torchrun: several processes learn as one from recorded episodes only: give --episodes.")
    learns_on = prepare_device(device, threads)
    if online:
        plan = from_yaml(OnlineConfig, config) if config else OnlineConfig()
        OnlineTraining(plan, out.absolute(), robot, variation, seed, learns_on).run()
        return
    if episodes:
        recipe = from_yaml(OfflineConfig, config) if config else OfflineConfig()
        learns_on = own_card(learns_on)
        with join(learns_on) as team, team.folder(out) as mine:
            be_quiet(team.rank > 0)
            OfflineTraining(episodes, mine, load_robot(robot), recipe, policy, seed, learns_on, team).run()
        return
    settings = from_yaml(PretrainConfig, config) if config else PretrainConfig()
    with open_workers(processes, ray, apart=True) as workers:
        Pretraining(replace(settings, seed=seed), out, robot, workers, learns_on, policy).run()
