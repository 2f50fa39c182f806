"""Episodes as lines of a table: what each file holds, which of them are wanted, and what people say of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from robot_finetune.data.episode_log import CorruptEpisode, EpisodeLogError, episode_path
from robot_finetune.data.episode_store import EpisodeStore, Verification
from robot_finetune.data.label_log import DISCARD, LABEL, Label, add_label, read_labels
from robot_finetune.data.layout import EPISODES
from robot_finetune.progress import with_progress
from robot_finetune.types import NO_TRIAL, Episode


@dataclass(frozen=True)
class EpisodeRow:
    """One line of the table of episodes. stamp: [s, robot's clock]. number: in the order in which they were made.
    side: of the trial of a version. interventions: steps in which a person acted. label: what a person said of it
    since. problem: why the file cannot be read, or empty."""

    file: str
    episode_id: str = ""
    number: int = 0
    stamp: float = float("nan")
    variation: str = ""
    mode: str = ""
    policy_version: int = 0
    side: str = NO_TRIAL
    steps: int = 0
    end_reason: str = ""
    success: bool = False
    confidence: float = float("nan")
    contradiction: bool = False
    interventions: int = 0
    label: str = ""
    problem: str = ""

    @staticmethod
    def of(episode: Episode, file: str) -> EpisodeRow:
        """The line of an episode that was read from `file`."""
        outcome = episode.outcome
        return EpisodeRow(
            file=file,
            episode_id=episode.episode_id,
            number=episode.meta.get("number", 0),
            stamp=episode.stamp,
            variation=episode.variation,
            mode=episode.mode,
            policy_version=episode.policy_version,
            side=episode.steps[-1].side if episode.steps else NO_TRIAL,
            steps=len(episode.steps),
            end_reason=episode.end_reason,
            success=outcome.success,
            confidence=outcome.confidence,
            contradiction=outcome.contradiction,
            interventions=episode.interventions,
            label=episode.meta.get(LABEL, ""),
        )

    @property
    def discarded(self) -> bool:
        """Whether a person has said that the grasp counts for nothing."""
        return self.label == DISCARD


@dataclass(frozen=True)
class Selection:
    """Which episodes are wanted; what is None or "" leaves the choice open.

    success: as judged, or as people have said since; a discarded grasp is neither. since: the lowest number.
    """

    success: bool | None = None
    version: int | None = None
    variation: str = ""
    end_reason: str = ""
    contradiction: bool | None = None
    since: int = 0

    def wants(self, row: EpisodeRow) -> bool:
        """Whether the episode of a line is wanted. One that cannot be read always is: it has to be named."""
        if row.problem:
            return True
        asked = {
            "policy_version": self.version,
            "variation": self.variation or None,
            "end_reason": self.end_reason or None,
            "contradiction": self.contradiction,
            "success": self.success,
        }
        if self.success is not None and row.discarded:
            return False
        return row.number >= self.since and all(value in (None, getattr(row, name)) for name, value in asked.items())


ALL = Selection()


def read_rows(folder: Path, selection: Selection = ALL) -> Iterator[tuple[EpisodeRow, Episode | None]]:
    """The wanted episodes of a directory of episodes or a session's folder, one by one, with their lines; no episode
    where its file cannot be read. Raises EpisodeLogError."""
    store = _store(folder)

    def rows() -> Iterator[tuple[EpisodeRow, Episode | None]]:
        paths = store.paths()
        for path in with_progress(paths, len(paths), "reading", "episodes"):
            row, episode = _read(store, path)
            if selection.wants(row):
                yield row, episode

    return rows()


def list_rows(folder: Path, selection: Selection = ALL) -> list[EpisodeRow]:
    """The lines of the wanted episodes. Raises EpisodeLogError."""
    return [row for row, _ in read_rows(folder, selection)]


def find_episode(folder: Path, episode_id: str) -> tuple[EpisodeRow, Episode]:
    """One episode, as people have labelled it. Raises EpisodeLogError if there is none of this id, or it is damaged."""
    store = _store(folder)
    path = _existing(store, episode_id)
    try:
        episode = store.read(path)
    except CorruptEpisode as error:
        raise EpisodeLogError(str(error)) from error
    return EpisodeRow.of(episode, path.name), episode


def labels_of(folder: Path, episode_id: str) -> list[Label]:
    """What people have said of an episode, the newest last. Raises EpisodeLogError."""
    return [label for label in read_labels(_store(folder).folder)[0] if label.episode_id == episode_id]


def verify(folder: Path) -> Verification:
    """Read every episode in a directory of episodes or in a session's folder. Raises EpisodeLogError."""
    return _store(folder).verify()


def relabel(folder: Path, episode_id: str, verdict: str, who: str, why: str = "") -> None:
    """Say what a grasp of a session really was, one of VERDICTS. Raises EpisodeLogError if there is no such grasp or
    the label cannot be written."""
    store = _store(folder)
    _existing(store, episode_id)
    try:
        add_label(store.folder, Label(episode_id, verdict, who, why=why))
    except OSError as error:
        raise EpisodeLogError(
            f"{store.folder}: cannot be written ({error.strerror}); make room, or own the folder"
        ) from error


def _store(folder: Path) -> EpisodeStore:
    folder = Path(folder)
    if (folder / EPISODES).is_dir():
        folder = folder / EPISODES
    if not folder.is_dir():
        raise EpisodeLogError(f"{folder}: no such folder; give a session's folder or its {EPISODES} folder")
    return EpisodeStore(folder)


def _existing(store: EpisodeStore, episode_id: str) -> Path:
    path = episode_path(store.folder, episode_id)
    if not path.is_file():
        raise EpisodeLogError(f"{store.folder}: no episode {episode_id}; `robot-finetune episodes list` has their ids")
    return path


def _read(store: EpisodeStore, path: Path) -> tuple[EpisodeRow, Episode | None]:
    try:
        episode = store.read(path)
    except CorruptEpisode as error:
        return EpisodeRow(path.name, problem=error.why), None
    return EpisodeRow.of(episode, path.name), episode
