"""`robot-finetune episodes list|verify|export DIR`: what the episode log holds, for people and for other tools."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from robot_finetune.data.export import TABLE, export, list_rows, verify


def add_arguments(parser: argparse.ArgumentParser) -> None:
    jobs = parser.add_subparsers(dest="job", required=True, metavar="list|verify|export")
    for name, text in (
        ("list", "one line an episode"),
        ("verify", "read every file; exit code 1 if one is damaged"),
        ("export", f"one npz file an episode and {TABLE}"),
    ):
        job = jobs.add_parser(name, help=text, description=text)
        job.add_argument("folder", type=Path, metavar="DIR", help="folder of a session, or of its episodes")
        if name == "export":
            job.add_argument("--out", type=Path, required=True, help="folder to write to")


def run(args: argparse.Namespace) -> int:
    return {"list": _list, "verify": _verify, "export": _export}[args.job](args)


def _list(args: argparse.Namespace) -> int:
    print(f"{'episode':34} {'variation':22} {'mode':9} {'version':>7} {'steps':>5}  {'end':12} outcome")
    for row in list_rows(args.folder):
        if row.problem:
            print(f"{row.file:34} cannot be read: {row.problem}")
            continue
        outcome = f"{'success' if row.success else 'failure'} {row.confidence:.2f}"
        doubt = " contradiction" if row.contradiction else ""
        place = f"{row.episode_id:34} {row.variation:22} {row.mode:9} {row.policy_version:7} {row.steps:5}"
        print(f"{place}  {row.end_reason:12} {outcome}{doubt}")
    return 0


def _verify(args: argparse.Namespace) -> int:
    found = verify(args.folder)
    for path, why in found.corrupt:
        print(f"{path}: {why}", file=sys.stderr)
    counts = f"{found.episodes} episodes, {found.successes} successes, {found.steps} steps"
    print(f"{counts}, {found.bytes / 1e6:.1f} MB, {len(found.corrupt)} damaged")
    return 1 if found.corrupt else 0


def _export(args: argparse.Namespace) -> int:
    rows = export(args.folder, args.out)
    damaged = sum(bool(row.problem) for row in rows)
    print(f"{len(rows) - damaged} episodes exported to {args.out}, {damaged} damaged ones left out")
    return 0
