"""What a session's folder holds: its grasps, sorted into phases, and its versions. Needs no ROS.

The phases follow from the episodes alone: `before` are the evaluating grasps of the first version ahead of any
exploring one, `after` those behind the last exploring one with the version that acted at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from robot_finetune.data.episode_log import CorruptEpisode
from robot_finetune.data.episode_store import EpisodeStore
from robot_finetune.data.label_log import DISCARD, LABEL
from robot_finetune.data.label_log import JUDGED as WAS_JUDGED
from robot_finetune.data.layout import EPISODES
from robot_finetune.data.promotion_log import JUDGED, STARTED, Decision, Fact, read_promotion
from robot_finetune.data.version_card import VersionCard
from robot_finetune.session.metrics import SessionMetrics, read_metrics
from robot_finetune.session.options import SessionHead, read_head
from robot_finetune.session.versions import session_versions
from robot_finetune.stats import Proportion
from robot_finetune.types import AUTO, EVALUATE, LEARNING, Episode

RECENT = 40
"""Grasps that rolling success is taken over: while a session runs, in its report and on its page."""


@dataclass(frozen=True)
class Grasp:
    """One grasp. number: in the order in which they were made; 0 in old logs, whose ids sort by time.

    decision_ms: wall time of each decision. path: the episode's file. label: what a person has said of it since, ""
    if nothing; corrected: whether the judgement was another one. interventions: steps in which a person acted.
    """

    episode_id: str
    mode: str
    version: int
    success: bool
    confidence: float = 1.0
    contradiction: bool = False
    end_reason: str = ""
    decision_ms: tuple[float, ...] = ()
    path: Path = Path()
    number: int = 0
    label: str = ""
    corrected: bool = False
    interventions: int = 0

    @property
    def order(self) -> tuple[int, str]:
        """What grasps are sorted by."""
        return self.number, self.episode_id

    @staticmethod
    def of(episode: Episode, path: Path) -> Grasp:
        """The grasp in a logged episode."""
        times = tuple(time for time in episode.meta.get("decision_ms", ()) if time is not None)
        outcome = episode.outcome
        judged = (outcome.success, outcome.confidence, outcome.contradiction, episode.end_reason)
        return Grasp(
            episode.episode_id,
            episode.mode,
            episode.policy_version,
            *judged,
            times,
            path,
            int(episode.meta.get("number", 0)),
            label := episode.meta.get(LABEL, ""),
            label not in ("", DISCARD) and episode.meta[WAS_JUDGED] != outcome.success,
            episode.interventions,
        )


@dataclass(frozen=True)
class Phases:
    """The grasps of a session in the order in which they were made; other: those of no phase."""

    before: tuple[Grasp, ...] = ()
    learning: tuple[Grasp, ...] = ()
    after: tuple[Grasp, ...] = ()
    other: tuple[Grasp, ...] = ()

    def towards(self, mode: str) -> tuple[Grasp, ...]:
        """Those that count as the grasps of a session whose policy is asked for `mode`."""
        return self.all if mode == AUTO else self.learning

    @property
    def all(self) -> tuple[Grasp, ...]:
        """All grasps, in the order in which they were made."""
        grasps = (*self.before, *self.learning, *self.after, *self.other)
        return tuple(sorted(grasps, key=lambda grasp: grasp.order))


def success(grasps: Sequence[Grasp]) -> Proportion:
    """Successes among grasps."""
    return Proportion.of(grasp.success for grasp in grasps)


def sort_into_phases(grasps: Sequence[Grasp], base_version: int) -> Phases:
    """Which grasp belongs to which phase of a session that began with `base_version`."""
    ordered = sorted(grasps, key=lambda grasp: grasp.order)
    counted = [grasp for grasp in ordered if grasp.label != DISCARD]
    learning = [grasp for grasp in counted if grasp.mode in LEARNING]
    measured = [grasp for grasp in counted if grasp.mode == EVALUATE and not grasp.interventions]
    early = [grasp for grasp in measured if not learning or grasp.order < learning[0].order]
    before = [grasp for grasp in early if grasp.version == base_version]
    late = [grasp for grasp in measured if learning and grasp.order > learning[-1].order]
    after = [grasp for grasp in late if grasp.version == late[-1].version]
    known = {grasp.episode_id for grasp in (*before, *learning, *after)}
    other = [grasp for grasp in ordered if grasp.episode_id not in known]
    return Phases(tuple(before), tuple(learning), tuple(after), tuple(other))


@dataclass(frozen=True)
class SessionRecord:
    """All that a session left. promotion: what its gate was told and decided, in order. corrupt: one line for each
    file or line that cannot be read."""

    folder: Path
    head: SessionHead
    metrics: SessionMetrics
    phases: Phases
    versions: tuple[VersionCard, ...]
    promotion: tuple[Fact | Decision, ...] = ()
    corrupt: tuple[str, ...] = ()

    @property
    def promoted(self) -> dict[str, int]:
        """The version that was promoted when a grasp was made, by its episode id: in a trial another one may act."""
        found, incumbent = {}, None
        for entry in self.promotion:
            if isinstance(entry, Decision):
                incumbent = entry.incumbent
            elif entry.fact == STARTED:
                incumbent = entry.version
            elif entry.fact == JUDGED:
                found[entry.episode_id] = entry.version if incumbent is None else incumbent
        return found

    @property
    def incumbents(self) -> list[int]:
        """The version that was promoted at each grasp that was learned from."""
        promoted = self.promoted
        return [promoted.get(grasp.episode_id, grasp.version) for grasp in self.phases.learning]


def swaps(versions: Sequence[int]) -> list[tuple[int, int]]:
    """Where the version changes from one grasp to the next: number of grasps before it, and the version."""
    return [(i, versions[i]) for i in range(1, len(versions)) if versions[i] != versions[i - 1]]


class SessionReader:
    """Reads a session's folder, again and again while it grows: an episode's file only once, and when it is labelled
    anew."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._store = EpisodeStore(folder / EPISODES)
        self._grasps: dict[str, Grasp] = {}
        self._corrupt: dict[str, str] = {}

    def grasps(self) -> tuple[list[Grasp], list[str]]:
        """The grasps in DIR/episodes, and one line for each file that cannot be read."""
        labelled = {label.episode_id for label in self._store.relabelled()}
        for path in self._store.paths():
            name = path.stem
            if name in labelled or name not in self._grasps.keys() | self._corrupt.keys():
                try:
                    self._grasps[name] = Grasp.of(self._store.read(path), path)
                    self._corrupt.pop(name, None)
                except CorruptEpisode as error:
                    self._corrupt[name] = str(error)
        return list(self._grasps.values()), list(self._corrupt.values())

    def record(self) -> SessionRecord:
        """All that is there. Raises ConfigError where there is no session."""
        folder, head = self._folder, read_head(self._folder)
        grasps, corrupt = self.grasps()
        phases = sort_into_phases(grasps, head.base_version)
        promotion, damaged = read_promotion(folder)
        versions, metrics = tuple(session_versions(folder)), read_metrics(folder)
        return SessionRecord(folder, head, metrics, phases, versions, tuple(promotion), (*corrupt, *damaged))


def read_record(folder: Path) -> SessionRecord:
    """Read a session's folder. Raises ConfigError where there is no session."""
    return SessionReader(folder).record()
