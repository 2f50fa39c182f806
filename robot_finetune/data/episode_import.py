"""Episodes from other tools: what `export` writes, or anybody in the same shape, becomes an episode log.

Of each grasp what its arrays say; mode, variation, number and end come from the `outcomes.csv` beside them, if there is
one. What no format holds (evidence, joint names) is lost: to move episodes between computers, copy their files.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from robot_finetune.config import ConfigError
from robot_finetune.data.episode_log import write_episode
from robot_finetune.data.episode_table import EpisodeRow
from robot_finetune.data.export import TABLE
from robot_finetune.data.lerobot_import import INFO, read_lerobot
from robot_finetune.data.parquet_export import STEPS
from robot_finetune.data.parquet_import import read_parquet
from robot_finetune.data.step_arrays import Found, steps_of
from robot_finetune.files import one_line, read_file
from robot_finetune.progress import with_progress
from robot_finetune.types import MODES, Episode, GraspOutcome

_FILE_LIMIT = 1 << 28  # bytes of one file, packed and unpacked


@dataclass(frozen=True)
class Imported:
    """What came of it. problems: (grasp or file, why) of each that was left out."""

    episodes: int
    successes: int
    problems: tuple[tuple[str, str], ...]


def import_episodes(source: Path, out: Path) -> Imported:
    """Write the grasps of a folder of npz files, of steps.parquet or of a LeRobotDataset as episodes to `out`.

    Those that cannot be are left out by name; those that are there already are left as they are. Raises ConfigError
    for a folder that holds none of these, EpisodeLogError where `out` cannot be written to.
    """
    table, problems, outcomes = _outcomes(source / TABLE), [], []
    for name, load in _grasps(source):
        try:
            found = load()
            episode = episode_of({"episode_id": name, **table.get(name, {}), **found.said}, found.arrays)
        except (ValueError, TypeError, LookupError, OverflowError) as error:
            problems.append((name, one_line(error)))
            continue
        write_episode(out, replace(episode, meta={**episode.meta, "imported_from": source.absolute().name}))
        outcomes.append(episode.outcome.success)
    return Imported(len(outcomes), sum(outcomes), tuple(problems))


def episode_of(said: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Episode:
    """An episode of arrays as `steps_of` wants them. said: any of EpisodeRow's columns, as values or as text.

    Raises ValueError for what is none, in one line that says what is wrong.
    """
    row = _row(said)
    if row.mode not in MODES:
        raise ValueError(f"mode {row.mode!r}: allowed are {', '.join(MODES)}")
    steps = steps_of(arrays, row.policy_version)
    outcome = GraspOutcome(row.success, row.confidence, row.contradiction)
    stamp = row.stamp if np.isfinite(row.stamp) else steps[-1].observation.stamp
    meta = {"number": row.number} if row.number > 0 else {}
    return Episode(row.episode_id, steps, outcome, row.variation, row.mode, row.end_reason, stamp, meta)


_UNSAID = EpisodeRow("", variation="base", mode="explore", end_reason="closed", confidence=1.0)
"""Of a grasp of which nothing more is said."""
_TRUTH = {"True": True, "1": True, "1.0": True, "False": False, "0": False, "0.0": False}


def _row(said: Mapping[str, Any]) -> EpisodeRow:
    values: dict[str, Any] = {}
    for field in fields(EpisodeRow):
        given, kind = said.get(field.name), type(getattr(_UNSAID, field.name))
        if given is None or given == "":
            continue
        try:
            values[field.name] = _TRUTH[str(given)] if kind is bool else kind(given)
        except (KeyError, ValueError) as error:
            raise ValueError(f"{field.name} {given!r}: not a {kind.__name__}") from error
    if "success" not in values:
        raise ValueError("nothing says whether it succeeded; add `success`")
    return replace(_UNSAID, **values)


def _grasps(source: Path) -> Iterator[tuple[str, Callable[[], Found]]]:
    """Id of each grasp of a folder, and what reads it or raises ValueError. Raises ConfigError."""
    if (source / INFO).is_file():
        return read_lerobot(source)
    if (source / STEPS).is_file():
        return read_parquet(source / STEPS)
    files = sorted(source.glob("*.npz"))
    if not files:
        raise ConfigError(f"{source}: no *.npz, {STEPS} or {INFO} there; docs/data.md describes these formats")
    paths = with_progress(files, len(files), "importing", "episodes")
    return ((path.stem, lambda path=path: _from_npz(path)) for path in paths)  # type: ignore[misc]


def _from_npz(path: Path) -> Found:
    try:
        data = io.BytesIO(read_file(path, _FILE_LIMIT))
        unpacked = sum(item.file_size for item in zipfile.ZipFile(data).infolist())
        if unpacked > _FILE_LIMIT:
            raise ValueError(f"{unpacked:,} bytes when unpacked, allowed are {_FILE_LIMIT:,}")
        with np.load(data, allow_pickle=False) as arrays:
            loaded = {name: arrays[name] for name in arrays.files}
    except Exception as error:  # damaged bytes make the parsers raise nearly anything
        raise ValueError(f"cannot be read ({one_line(error)})") from error
    said = {name: loaded.pop(name) for name in ("success", "confidence") if name in loaded}
    if any(value.size != 1 for value in said.values()):
        raise ValueError("success and confidence: one value of each grasp, not an array")
    return Found({name: value.item() for name, value in said.items()}, loaded)


def _outcomes(path: Path) -> dict[str, dict[str, str]]:
    """The lines of outcomes.csv, by episode; none where there is no such file. Raises ConfigError."""
    if not path.is_file():
        return {}
    try:
        lines = csv.DictReader(io.StringIO(read_file(path, _FILE_LIMIT).decode()))
        return {line["episode_id"]: line for line in lines if line.get("episode_id")}
    except (OSError, ValueError, csv.Error) as error:
        raise ConfigError(f"{path}: cannot be read ({one_line(error)}); correct it, or take it away") from error
