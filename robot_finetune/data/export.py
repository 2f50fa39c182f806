"""Episodes for other tools, as people have labelled them: a table of outcomes, and the steps in a format of choice."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np

from robot_finetune.data.atomic_file import atomic_file
from robot_finetune.data.episode_log import EpisodeLogError
from robot_finetune.data.episode_table import ALL, EpisodeRow, Selection, read_rows
from robot_finetune.data.lerobot_export import UnlikeOthers, lerobot_writer
from robot_finetune.data.parquet_export import parquet_writer
from robot_finetune.data.step_arrays import step_arrays
from robot_finetune.types import Episode

TABLE = "outcomes.csv"


Add = Callable[[EpisodeRow, Episode], None]


@contextmanager
def npz_writer(folder: Path) -> Iterator[Add]:
    """Writes `<episode_id>.npz` of each grasp it is given: `step_arrays`, success (bool) and confidence. Raises
    OSError."""

    def add(row: EpisodeRow, episode: Episode) -> None:
        judged = {"success": np.array(row.success), "confidence": np.array(row.confidence)}
        with atomic_file(folder / f"{row.episode_id}.npz") as stream:
            np.savez_compressed(stream, allow_pickle=False, **step_arrays(episode), **judged)

    yield add


FORMATS: dict[str, Callable[[Path], AbstractContextManager[Add]]] = {
    "npz": npz_writer,
    "parquet": parquet_writer,
    "lerobot": lerobot_writer,
}


def export(folder: Path, out: Path, form: str = "npz", selection: Selection = ALL) -> list[EpisodeRow]:
    """Write the wanted episodes in one of FORMATS to `out`, and `outcomes.csv`, a table of them; returns its lines.

    Files that cannot be read, grasps without a step and those that people have discarded have a line, and nothing else.
    Raises EpisodeLogError, ConfigError for a folder that cannot be written to.
    """
    found, out, rows = read_rows(folder, selection), Path(out), []
    try:
        out.mkdir(parents=True, exist_ok=True)
        with FORMATS[form](out) as add:
            for row, episode in found:
                try:
                    if episode is not None and is_exported(row):
                        add(row, episode)
                except UnlikeOthers as error:
                    row = replace(row, problem=str(error))
                rows.append(row)
        with atomic_file(out / TABLE) as stream:
            stream.write(_table(rows).encode())
    except OSError as error:
        raise EpisodeLogError(
            f"{out}: cannot export ({error.strerror or error}); free disk space or choose another folder"
        ) from error
    return rows


def is_exported(row: EpisodeRow) -> bool:
    """Whether the steps of an episode are exported."""
    return bool(row.steps) and not row.problem and not row.discarded


def _table(rows: list[EpisodeRow]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(EpisodeRow)])
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue()
