"""`robot-finetune completion`"""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


@click.command(
    epilog="""\b
Examples:
  eval "$(robot-finetune completion bash)"                                     # in ~/.bashrc
  eval "$(robot-finetune completion zsh)"                                      # in ~/.zshrc
  robot-finetune completion fish > ~/.config/fish/completions/robot-finetune.fish"""
)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print a script with which a shell completes commands, options, robots and variations."""
    root, kind = ctx.find_root(), get_completion_class(shell)
    assert kind is not None, "click has all of SHELLS"
    name = root.info_name or "robot-finetune"
    print(kind(root.command, {}, name, f"_{name.replace('-', '_').upper()}_COMPLETE").source())
