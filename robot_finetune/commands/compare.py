"""`robot-finetune compare`"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from robot_finetune.commands import options
from robot_finetune.files import to_json


@click.command(
    epilog="""\b
Examples:
  robot-finetune compare sessions/light sessions/bottles
  robot-finetune compare sessions/* --out figures     # LaTeX table, plot as PDF, SVG and PNG, figures as JSON"""
)
@click.argument("folders", metavar="DIR...", nargs=-1, required=True, type=options.FOLDER)
@click.option("--out", type=options.FOLDER, help="Folder for compare.tex, .pdf, .svg, .png and .json.")
@options.json_line
def command(folders: tuple[Path, ...], out: Path | None, as_json: bool) -> None:
    """The figures of several sessions beside each other."""
    from robot_finetune.data.atomic_file import atomic_file
    from robot_finetune.report import comparison

    sessions, left_out = comparison.read_sessions(folders)
    for line in left_out:
        print(line, file=sys.stderr)
    print("\n".join(comparison.text_table(sessions)))
    data = to_json({"sessions": [session.figures() for session in sessions], "left_out": left_out})
    if out:
        out.mkdir(parents=True, exist_ok=True)
        files = {kind: comparison.plot(sessions, kind) for kind in comparison.PLOTS}
        files |= {"tex": comparison.latex_table(sessions).encode(), "json": data.encode()}
        for suffix, content in files.items():
            with atomic_file(out / f"compare.{suffix}") as stream:
                stream.write(content)
        print(f"written: {', '.join(str(out / f'compare.{suffix}') for suffix in files)}")
    if as_json:
        print(data)
