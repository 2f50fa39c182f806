"""`robot-finetune adapt`"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from robot_finetune.commands import options
from robot_finetune.files import to_json

if TYPE_CHECKING:
    from robot_finetune.experiments.adaptation import AdaptConfig

SHOWN = {
    "before": "before",
    "after": "after",
    "base task before": "base_before",
    "base task after": "base_after",
    "from scratch": "scratch",
}


def fine_tuning(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of `adapt` and `lineage`."""
    for option in reversed(
        (
            options.policy(" of the base policy, with its replay.bin"),
            options.robot,
            click.option(
                "--grasps", type=click.IntRange(1, 100_000), default=400, help="Exploring grasps to learn from."
            ),
            click.option("--config", type=options.FILE, help="YAML of AdaptConfig: how long to fine-tune, and how."),
            options.episodes,
            options.seed,
            options.processes,
            options.ray,
            options.device,
            options.quiet,
            click.option("--out", type=options.FOLDER, required=True, help="Folder for checkpoints and result."),
            options.json_line,
        )
    ):
        function = option(function)
    return function


def recipe(file: Path | None) -> AdaptConfig:
    """The fine-tuning settings in a YAML file, or the default ones. Raises ConfigError."""
    from robot_finetune.config import from_yaml
    from robot_finetune.experiments.adaptation import AdaptConfig

    return from_yaml(AdaptConfig, file) if file else AdaptConfig()


@click.command(
    epilog="""\b
Examples:
  robot-finetune adapt --variation checkerboard_backing --grasps 200 --out out
  robot-finetune adapt --variation my_cell.yaml --grasps 50 --episodes 100 --scratch --out out --json"""
)
@click.option("--variation", type=options.VARIATION, required=True, help=options.VARIATION_HELP)
@click.option("--scratch", is_flag=True, help="Also train a fresh network on the same new data.")
@fine_tuning
def command(
    policy: str, robot: str, grasps: int, config: Path | None, episodes: int, seed: int, processes: int, ray: str,
    device: str, out: Path, as_json: bool, variation: str, scratch: bool,
) -> None:  # fmt: skip
    """The paper's experiment on one variation: explore, fine-tune, evaluate."""
    from robot_finetune.config import policy_folder
    from robot_finetune.experiments.adapt import adapt
    from robot_finetune.experiments.evaluate import percent
    from robot_finetune.experiments.pool import open_workers

    folder = str(policy_folder(policy))
    with open_workers(processes, ray) as workers:
        result = adapt(folder, variation, grasps, out, seed, recipe(config), episodes, robot, workers, scratch, device)
    for name, key in SHOWN.items():
        if key in result:
            print(f"{name:>16}: {percent(result[key])}")
    (out / "result.json").write_text(to_json(result, indent=1))
    if as_json:
        print(to_json(result))
