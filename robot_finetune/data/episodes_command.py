"""`robot-finetune episodes list|verify|export DIR`: look after the episodes of a session."""

from __future__ import annotations

import argparse
from pathlib import Path

from robot_finetune.data.export import export, list_rows, verify


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("list", "verify", "export"))
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of a session, or of episodes")
    parser.add_argument("--out", type=Path, help="export: folder for one npz an episode and a table (default: DIR/export)")


def run(args: argparse.Namespace) -> int:
    """verify returns 1 if a file is damaged."""
    if args.action == "verify":
        result = verify(args.folder)
        for path, why in result.corrupt:
            print(f"{path}: damaged ({why}); restore it from a copy, or move it away")
        print(f"{result.episodes} episodes are sound, {result.successes} of them successful; {len(result.corrupt)} files are damaged")
        return 1 if result.corrupt else 0
    rows = list_rows(args.folder) if args.action == "list" else export(args.folder, args.out or args.folder / "export")
    for row in rows:
        outcome = row.problem or ("success" if row.success else f"failure, {row.end_reason}")
        print(f"{row.file}  {row.variation:<24} {row.mode:<9} v{row.policy_version:<4} {row.steps:>2} steps  {outcome}")
    print(f"{len(rows)} episodes, {sum(row.success for row in rows)} successful, {sum(bool(row.problem) for row in rows)} damaged")
    return 0
