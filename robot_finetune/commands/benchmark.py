"""`robot-finetune benchmark NAME`: each is a module in experiments/benchmarks with a `command` of its own."""

from __future__ import annotations

import importlib
import subprocess
import sys

import click

BENCHMARKS = {
    "adaptation": "Success after 25 to 800 grasps, variation by variation, beside the paper's figures; resumable.",
    "ablation": "Which parts of the fine-tuning recipe count; resumable.",
    "retention": "What a lineage keeps of every variation, by how it rehearses them; resumable.",
    "long_run": "Whether, and when, success falls if one fine-tunes on and on; resumable.",
    "trust": "Whether the promotion gate keeps bad versions from the robot, and what it costs; resumable.",
    "offline_score": "Which offline score foretells what a version grasps; resumable.",
    "drift": "Whether mode auto notices a changed cell and recovers; resumable.",
    "interventions": "What a person who takes over now and then is worth; resumable.",
    "foreign": "Before and after fine-tuning in another simulator, through the ROS graph (examples/pybullet_panda).",
    "grasp_detection": "How often the judgement of grasps agrees with the simulation's truth.",
    "decision": "Time from an image to an action, beside the bare network's.",
    "training": "Time of a gradient step, beside a bare one's.",
    "replay": "Time of a batch, and memory, with up to a million transitions.",
    "peers": "Replay, episode files and weights beside torchrl's and LeRobot's (requirements-peers.txt).",
    "transfer": "Time of a version over DDS to the policy, of the swap, and images meanwhile.",
    "sim": "Grasps a second of the simulated cell.",
    "workers": "Grasps a second by processes and by Ray, and what a grasp sends.",
}


class Benchmarks(click.Group):
    """Benchmarks are imported when they are asked for: most need torch."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*BENCHMARKS, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in BENCHMARKS:
            return super().get_command(ctx, cmd_name)
        found: click.Command = importlib.import_module(f"robot_finetune.experiments.benchmarks.{cmd_name}").command
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Benchmarks"):
            formatter.write_dl([*BENCHMARKS.items(), ("all", run_all.get_short_help_str(90))])


@click.group(
    cls=Benchmarks,
    epilog="""\b
Examples:
  robot-finetune benchmark decision --json
  robot-finetune benchmark adaptation --quick
  robot-finetune benchmark all --quick""",
)
def command() -> None:
    """Run one of the benchmarks."""


@command.command("all")
@click.option("--quick", is_flag=True, help="The short form of each that has one.")
@click.option("--json", "as_json", is_flag=True, help="Each prints one JSON object as its last line.")
@click.pass_context
def run_all(ctx: click.Context, quick: bool, as_json: bool) -> int:
    """All of them, each in a process of its own; the exit code is the largest."""
    wanted = [flag for flag, given in (("--quick", quick), ("--json", as_json)) if given]
    codes = []
    for name in BENCHMARKS:
        found = command.get_command(ctx, name)
        known = {flag for parameter in (found.params if found else ()) for flag in parameter.opts}
        words = [flag for flag in wanted if flag in known]
        words = [sys.executable, "-m", "robot_finetune.cli", "benchmark", name, *words]
        codes.append(subprocess.run(words, check=False).returncode)
    return max(codes)
