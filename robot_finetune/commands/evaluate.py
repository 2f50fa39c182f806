"""`robot-finetune evaluate`"""

from __future__ import annotations

import click

from robot_finetune.commands import options
from robot_finetune.files import to_json


@click.command(
    epilog="""\b
Examples:
  robot-finetune evaluate --variation harsh_lighting
  robot-finetune evaluate --policy out/checkpoint --episodes 100 --seed 3 --json
  robot-finetune evaluate --policy teacher --variation my_cell.yaml"""
)
@options.policy(", scripted, or teacher (knows the objects)")
@options.variation
@options.robot
@options.episodes
@options.seed
@options.processes
@options.ray
@options.device
@options.quiet
@options.json_line
def command(
    policy: str,
    variation: str,
    robot: str,
    episodes: int,
    seed: int,
    processes: int,
    ray: str,
    device: str,
    as_json: bool,
) -> None:
    """Success of a policy in the simulated cell."""
    from robot_finetune.config import policy_folder
    from robot_finetune.experiments.evaluate import WITHOUT_CHECKPOINT, evaluate, percent
    from robot_finetune.experiments.pool import open_workers

    chosen = policy if policy in WITHOUT_CHECKPOINT else str(policy_folder(policy))
    with open_workers(processes, ray) as workers:
        result = evaluate(chosen, variation, episodes, seed, robot, workers, device)
    print(f"{result['variation']}: {result['successes']} of {result['episodes']} grasps succeeded, {percent(result)}")
    if as_json:
        print(to_json(result))
