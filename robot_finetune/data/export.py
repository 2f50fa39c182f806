"""Episodes for other tools: a table of outcomes, and arrays that need nothing but numpy to read."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from robot_finetune.data.atomic_file import atomic_file
from robot_finetune.data.episode_log import CorruptEpisode, EpisodeLogError
from robot_finetune.data.episode_store import EpisodeStore, Verification
from robot_finetune.data.label_log import LABEL, Label, add_label
from robot_finetune.data.layout import EPISODES
from robot_finetune.types import Episode

TABLE = "outcomes.csv"


@dataclass(frozen=True)
class EpisodeRow:
    """One line of the table of episodes. stamp: [s, robot's clock]. label: what a person said of it since. problem: why
    the file cannot be read, or empty."""

    file: str
    episode_id: str = ""
    stamp: float = float("nan")
    variation: str = ""
    mode: str = ""
    policy_version: int = 0
    steps: int = 0
    end_reason: str = ""
    success: bool = False
    confidence: float = float("nan")
    contradiction: bool = False
    label: str = ""
    problem: str = ""


def list_rows(folder: Path) -> list[EpisodeRow]:
    """One row for each episode file in a directory of episodes or in a session's folder. Raises EpisodeLogError."""
    store = _store(folder)
    return [_read(store, path)[0] for path in store.paths()]


def verify(folder: Path) -> Verification:
    """Read every episode in a directory of episodes or in a session's folder. Raises EpisodeLogError."""
    return _store(folder).verify()


def relabel(folder: Path, episode_id: str, verdict: str, who: str, why: str = "") -> None:
    """Say what a grasp of a session really was, one of VERDICTS. Raises EpisodeLogError if there is no such grasp or
    the label cannot be written."""
    store = _store(folder)
    if episode_id not in [path.stem for path in store.paths()]:
        raise EpisodeLogError(f"{store.folder}: no episode {episode_id}; `robot-finetune episodes list` has their ids")
    try:
        add_label(store.folder, Label(episode_id, verdict, who, why=why))
    except OSError as error:
        raise EpisodeLogError(
            f"{store.folder}: cannot be written ({error.strerror}); make room, or own the folder"
        ) from error


def export(folder: Path, out: Path) -> list[EpisodeRow]:
    """Write `<episode_id>.npz` for each episode and `outcomes.csv` to `out`; returns the rows.

    An npz has images uint8 (n, size, size, 3), poses (n, 4), openings, steps, stamps, q, policy_versions (n,), asked,
    commanded (n, 8), joint_positions (n, joints; nan where not measured), success (bool) and confidence.
    Files that cannot be read have a row with their problem and no npz. Raises EpisodeLogError.
    """
    store, out = _store(folder), Path(out)
    rows = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        for path in store.paths():
            row, episode = _read(store, path)
            rows.append(row)
            if episode is not None:
                with atomic_file(out / f"{path.stem}.npz") as stream:
                    np.savez_compressed(stream, allow_pickle=False, **_arrays(episode))
        with atomic_file(out / TABLE) as stream:
            stream.write(_table(rows).encode())
    except OSError as error:
        raise EpisodeLogError(
            f"{out}: cannot export ({error.strerror}); free disk space or choose another folder"
        ) from error
    return rows


def _store(folder: Path) -> EpisodeStore:
    folder = Path(folder)
    if (folder / EPISODES).is_dir():
        folder = folder / EPISODES
    if not folder.is_dir():
        raise EpisodeLogError(f"{folder}: no such folder; give a session's folder or its {EPISODES} folder")
    return EpisodeStore(folder)


def _read(store: EpisodeStore, path: Path) -> tuple[EpisodeRow, Episode | None]:
    try:
        episode = store.read(path)
    except CorruptEpisode as error:
        return EpisodeRow(path.name, problem=error.why), None
    row = EpisodeRow(
        file=path.name,
        episode_id=episode.episode_id,
        stamp=episode.stamp,
        variation=episode.variation,
        mode=episode.mode,
        policy_version=episode.policy_version,
        steps=len(episode.steps),
        end_reason=episode.end_reason,
        success=episode.outcome.success,
        confidence=episode.outcome.confidence,
        contradiction=episode.outcome.contradiction,
        label=episode.meta.get(LABEL, ""),
    )
    return row, episode


def _arrays(episode: Episode) -> dict[str, np.ndarray]:
    steps = episode.steps
    seen = [step.observation for step in steps]
    joints = np.full((len(steps), max((len(step.joint_positions) for step in steps), default=0)), np.nan)
    for line, step in zip(joints, steps, strict=True):
        line[: len(step.joint_positions)] = step.joint_positions
    return {
        "images": np.array([item.image for item in seen], np.uint8),
        "poses": np.array([item.pose for item in seen], np.float64),
        "openings": np.array([item.opening for item in seen], np.float32),
        "steps": np.array([item.step for item in seen], np.int64),
        "stamps": np.array([item.stamp for item in seen], np.float64),
        "asked": np.array([step.asked.vector for step in steps], np.float32),
        "commanded": np.array([step.commanded.vector for step in steps], np.float32),
        "q": np.array([step.q for step in steps], np.float32),
        "policy_versions": np.array([step.policy_version for step in steps], np.int64),
        "joint_positions": joints,
        "success": np.array(episode.outcome.success),
        "confidence": np.array(episode.outcome.confidence),
    }


def _table(rows: list[EpisodeRow]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(EpisodeRow)])
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue()
