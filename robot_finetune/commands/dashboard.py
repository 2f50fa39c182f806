"""`robot-finetune dashboard DIR`: sessions in a browser."""

from __future__ import annotations

from pathlib import Path

import click

from robot_finetune.commands import options


@click.command(
    epilog="""\b
Examples:
  robot-finetune dashboard sessions/20260101-120000
  robot-finetune dashboard sessions --port 8080
  robot-finetune dashboard sessions --host 0.0.0.0"""
)
@click.argument("folder", metavar="DIR", type=options.FOLDER)
@options.server()
@click.option("--of-session", is_flag=True, hidden=True, help="End with the process that started this one.")
def command(folder: Path, host: str, port: int, of_session: bool) -> None:
    """Serve the live page of a session, running or finished, or of a folder of sessions. Ctrl-C ends the page alone."""
    from robot_finetune.web.serve import serve

    serve(folder, host, port, lambda address: print(f"live page: {address}", flush=True), of_session)
