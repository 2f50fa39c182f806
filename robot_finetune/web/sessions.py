"""The sessions below a folder, and a line of figures about each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robot_finetune.config import ConfigError, from_mapping, load_json, setting
from robot_finetune.data.episode_store import EpisodeStore
from robot_finetune.data.folder_lock import owner_of
from robot_finetune.data.layout import EPISODES, SESSION_FILE
from robot_finetune.session.metrics import read_metrics
from robot_finetune.session.options import read_head
from robot_finetune.session.summary import SUMMARY_FILE
from robot_finetune.stats import Proportion


@dataclass(frozen=True)
class Measured:
    """Successes in summary.json."""

    episodes: int = setting(0, low=0, high=10**6)
    successes: int = setting(0, low=0, high=10**6)
    ci95: tuple[float, float] = setting((0.0, 1.0), low=0.0, high=1.0)

    def __str__(self) -> str:
        return str(Proportion(min(self.successes, self.episodes), self.episodes)) if self.episodes else ""


@dataclass(frozen=True)
class Figures:
    """What the list shows of summary.json."""

    before: Measured = setting(Measured)
    after: Measured = setting(Measured)
    versions: list[dict[str, Any]] = setting(list)


@dataclass(frozen=True)
class SessionLine:
    """A session in the list. grasps: of all phases. state: running, complete, or why it ended. problem: why its folder
    cannot be read."""

    name: str
    started: str = ""
    variation: str = ""
    robot: str = ""
    grasps: int = 0
    before: str = ""
    after: str = ""
    versions: int = 0
    state: str = ""
    problem: str = ""


def find_sessions(folder: Path) -> dict[str, Path]:
    """Sessions by name: that of `folder`, or those in it, the newest first. Raises ConfigError if there is none."""
    folder = folder.expanduser().absolute()
    if is_session(folder):
        return {folder.name: folder}
    inside = sorted((path for path in folder.glob("*") if is_session(path)), key=lambda path: path.name, reverse=True)
    if not inside:
        raise ConfigError(f"{folder}: no session there; give the --out folder of a session, or a folder of sessions")
    return {path.name: path for path in inside}


def is_session(folder: Path) -> bool:
    """Whether a folder holds a session."""
    return (folder / SESSION_FILE).is_file()


def line_of(folder: Path) -> SessionLine:
    """The figures of a session, from its small files alone."""
    try:
        head, figures = read_head(folder), read_figures(folder)
        owner = owner_of(folder, "session")
        return SessionLine(
            folder.name,
            head.started,
            head.variation,
            head.options.robot,
            len(EpisodeStore(folder / EPISODES).paths()),
            str(figures.before),
            str(figures.after),
            len(figures.versions),
            "running" if owner else read_metrics(folder).ended,
        )
    except (ConfigError, OSError) as error:
        return SessionLine(folder.name, problem=str(error))


def read_figures(folder: Path) -> Figures:
    """DIR/summary.json as far as the list shows it; empty without one. Raises ConfigError."""
    path = folder / SUMMARY_FILE
    return from_mapping(Figures, load_json(path), str(path), others=True) if path.is_file() else Figures()
