"""Episodes of which not everything has arrived yet, within bounds that no flood of messages breaks."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from robot_finetune.types import MOST_STEPS

STEP = TypeVar("STEP")
OUTCOME = TypeVar("OUTCOME")

EPISODES, BYTES = 32, 512_000_000
"""Open episodes, and bytes of their images, that are kept; discarded ones never get an outcome."""
ANNOUNCED = 64
"""Ids that the policy has told of and that are remembered."""


@dataclass
class OpenEpisode(Generic[STEP, OUTCOME]):
    """What has arrived of one episode. wanted: steps that it has. refused: why a step of it could not be used."""

    episode_id: str
    steps: dict[int, STEP] = field(default_factory=dict)
    outcome: OUTCOME | None = None
    wanted: int = 0
    size: int = 0
    refused: str = ""

    @property
    def complete(self) -> bool:
        return self.outcome is not None and len(self.steps) >= self.wanted

    @property
    def hopeless(self) -> bool:
        """Whether it is judged, and a step that it lacks has come and could not be used."""
        return self.outcome is not None and not self.complete and bool(self.refused)


class OpenEpisodes(Generic[STEP, OUTCOME]):
    """Collects steps and outcomes by episode. Where there are too many, those go first that the policy has not
    announced, the oldest of them first. What has come of a step or an outcome first stays."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, OpenEpisode[STEP, OUTCOME]] = OrderedDict()
        self._announced: OrderedDict[str, None] = OrderedDict()
        self.lost: list[OpenEpisode[STEP, OUTCOME]] = []
        """Announced episodes with an outcome that had to go; the caller takes them away."""

    def announce(self, episode_id: str) -> None:
        """The policy is making this episode."""
        self._announced[episode_id] = None
        self._announced.move_to_end(episode_id)
        while len(self._announced) > ANNOUNCED:
            self._announced.popitem(last=False)

    def forget(self, episode_id: str) -> None:
        """The episode was discarded."""
        self._open.pop(episode_id, None)

    def add_step(self, episode_id: str, index: int, step: STEP, size: int) -> None:
        """Take a step. size: its bytes. Raises ValueError for an index that no episode has."""
        if not 0 <= index < MOST_STEPS:
            raise ValueError(f"step {index}: an episode has at most {MOST_STEPS}")
        episode = self._episode(episode_id)
        if index not in episode.steps:
            episode.steps[index] = step
            episode.size += size
        self._bound()

    def add_outcome(self, episode_id: str, outcome: OUTCOME, wanted: int) -> None:
        """Take the judgement of an episode of `wanted` steps. Raises ValueError for a number that none has."""
        if not 0 < wanted <= MOST_STEPS:
            raise ValueError(f"an outcome of {wanted} steps: an episode has 1 to {MOST_STEPS}")
        episode = self._episode(episode_id)
        if episode.outcome is None:
            episode.outcome, episode.wanted = outcome, wanted
        self._bound()

    def refuse(self, episode_id: str, why: str) -> None:
        """A step of the episode could not be used; heard for announced ones only."""
        if episode_id in self._announced:
            self._episode(episode_id).refused = why
            self._bound()

    def take(self, most: int) -> list[OpenEpisode[STEP, OUTCOME]]:
        """At most `most` of the complete and the hopeless ones, which are open no longer."""
        ready = [name for name, episode in self._open.items() if episode.complete or episode.hopeless][: max(0, most)]
        return [self._open.pop(name) for name in ready]

    def _episode(self, episode_id: str) -> OpenEpisode[STEP, OUTCOME]:
        return self._open.setdefault(episode_id, OpenEpisode(episode_id))

    def _bound(self) -> None:
        while len(self._open) > EPISODES or sum(episode.size for episode in self._open.values()) > BYTES:
            unknown = (name for name in self._open if name not in self._announced)
            episode = self._open.pop(next(unknown, next(iter(self._open))))
            if episode.outcome is not None and episode.episode_id in self._announced:
                self.lost.append(episode)
