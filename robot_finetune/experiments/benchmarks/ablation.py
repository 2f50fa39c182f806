"""Which parts of the fine-tuning recipe count: the recipe, the paper's, and the recipe less one part at a time.

All learn from the same explorations, in scenes that `adaptation` does not use. Resumable, like `adaptation`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from robot_finetune.config import policy_folder
from robot_finetune.experiments.adaptation import AdaptConfig
from robot_finetune.experiments.benchmarks import _options
from robot_finetune.experiments.benchmarks._adaptation_report import origin, pooled, select, table
from robot_finetune.experiments.benchmarks._jobs import resumable
from robot_finetune.experiments.benchmarks.adaptation import Plan, run
from robot_finetune.experiments.pool import open_workers
from robot_finetune.files import to_json
from robot_finetune.learning.augmentation import AugmentationConfig
from robot_finetune.learning.finetuner import FINE_TUNE_BELLMAN, FineTuneConfig

VARIATIONS = "checkerboard_backing,harsh_lighting,extend_gripper_1cm,transparent_bottles,offset_gripper_10cm"
GRASPS = 200
SEED, EVALUATION_SEED = 9000, 70
OURS = AdaptConfig()
PLAIN = AugmentationConfig(0.0, 0.0, 0.0, 0.0, 0.0, 0, 0.0, 0.0)


def recipe(fine_tune: FineTuneConfig = OURS.fine_tune, **bellman: Any) -> AdaptConfig:
    """The recipe with other settings of fine-tuning, or other constants of the update."""
    return replace(OURS, fine_tune=replace(fine_tune, bellman=replace(FINE_TUNE_BELLMAN, **bellman)))


QUARTER = FINE_TUNE_BELLMAN.learning_rate / 4
AS_PUBLISHED = FineTuneConfig(transfer=0.0, base_weight=0.0)
PAPER = recipe(AS_PUBLISHED, learning_rate=QUARTER, n_step=1, augmentation=PLAIN, see_gripper=0.0)
RECIPES = {
    "ours": OURS,
    "paper": replace(PAPER, decay_from=1.0),
    "fine-tuned weights alone": recipe(FineTuneConfig(base_weight=0.0)),
    "weights half way back": recipe(FineTuneConfig(base_weight=0.5)),
    "base data as it is": recipe(FineTuneConfig(transfer=0.0)),
    "1-step targets": recipe(n_step=1),
    "no augmentation": recipe(augmentation=PLAIN),
    "no seeing of the gripper": recipe(see_gripper=0.0),
    "a quarter of the learning rate": recipe(learning_rate=QUARTER),
    "a rate that does not fall": replace(OURS, decay_from=1.0),
    "half the updates": replace(OURS, updates_per_grasp=OURS.updates_per_grasp / 2, min_updates=1),
    "twice the updates": replace(OURS, updates_per_grasp=OURS.updates_per_grasp * 2, max_updates=10_000),
    "a quarter new data": recipe(FineTuneConfig(new_fraction=0.25)),
    "three quarters new data": recipe(FineTuneConfig(new_fraction=0.75)),
    "new data only": recipe(FineTuneConfig(new_fraction=1.0)),
}


def write_report(found: dict[str, dict[str, str]], made_by: dict[str, str], out: Path, episodes: int) -> None:
    """As JSON and as a Markdown table. found: {recipe: {variation: success}}."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".json").write_text(to_json({"made_by": made_by, "recipes": found}, indent=1))
    head = ["recipe", *next(iter(found.values()))]
    title = f"Success after fine-tuning on {GRASPS} grasps ({episodes} grasps an evaluation)"
    text = table(title, head, [[name, *row.values()] for name, row in found.items()])
    out.with_suffix(".md").write_text("# Ablation\n\n" + text + origin(made_by))


@click.command(help=(__doc__ or "").split("\n\n")[0])
@_options.POLICY_WITH_REPLAY
@click.option("--variations", default=VARIATIONS, help=_options.VARIATIONS)
@click.option("--recipes", default=",".join(RECIPES), help="Names, with commas.")
@click.option("--seeds", type=click.IntRange(1), default=1, help=_options.REPETITIONS)
@click.option("--episodes", type=click.IntRange(1), default=150, help="Grasps of each evaluation.")
@resumable("ablation")
def command(
    policy: str, variations: str, recipes: str, seeds: int, episodes: int, processes: int, ray: str, work: Path,
    out: Path, as_json: bool,
) -> None:  # fmt: skip
    if unknown := set(recipes.split(",")) - set(RECIPES):
        raise click.BadParameter(f"unknown: {', '.join(sorted(unknown))}.", param_hint="--recipes")
    names, found = tuple(variations.split(",")), {}
    with open_workers(processes, ray, apart=True) as workers:
        for name in recipes.split(","):
            plan = Plan(
                str(policy_folder(policy)), work / name.replace(" ", "-"), (GRASPS,), seeds, episodes, names, 0,
                RECIPES[name], SEED, EVALUATION_SEED, work / "explored", False,
            )  # fmt: skip
            result = run(plan, workers)
            adapted = [cell for cell in result["cells"] if cell["kind"] == "adapt"]
            found[name] = {variation: str(pooled(select(adapted, "adapt", variation))) for variation in names}
            found[name] |= {"all": str(pooled(adapted)), "base afterwards": str(pooled(adapted, "base_after"))}
            write_report(found, result["made_by"], out, episodes)
            print(name, found[name], flush=True)
    if as_json:
        print(to_json(found))
