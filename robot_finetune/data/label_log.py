"""What people say of grasps afterwards: facts beside the episodes, in labels.jsonl, that overrule the judgement.

No episode is ever changed. The newest label of an episode counts; a grasp that is discarded counts for nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from robot_finetune.config import setting
from robot_finetune.data.line_log import LineLog, read_lines
from robot_finetune.types import LEARNING, Episode, GraspOutcome

LABELS_FILE = "labels.jsonl"
SUCCESS, FAILURE, DISCARD = "success", "failure", "discard"
VERDICTS = (SUCCESS, FAILURE, DISCARD)
LABEL, JUDGED = "label", "judged"
"""Keys of an episode's meta: the verdict that overruled its judgement, and the success that was judged."""


@dataclass(frozen=True)
class Label:
    """What somebody says of a grasp."""

    episode_id: str = setting("", "of the grasp")
    verdict: str = setting("", "what it was", choices=VERDICTS)
    who: str = setting("", "says so: a person, a scale, a simulator")
    when: str = setting("", "local date and time")
    why: str = setting("", "in one line")


def add_label(folder: Path, label: Label) -> None:
    """Append a label to those of the episodes in `folder`, safe on the disk when this returns. Raises OSError."""
    LineLog(folder / LABELS_FILE).add(replace(label, when=label.when or time.strftime("%Y-%m-%d %H:%M:%S")))


def read_labels(folder: Path) -> tuple[list[Label], list[str]]:
    """All labels of the episodes in `folder`, oldest first, and one line for each that cannot be read."""
    return read_lines(folder / LABELS_FILE, lambda _: Label)


def labelled(episode: Episode, label: Label | None) -> Episode:
    """The episode with the outcome that the label says, and the verdict in its meta. Without one the outcome stays, and
    what the file itself may say of labels is left out."""
    if label is None:
        own = {LABEL, JUDGED} & set(episode.meta)
        return replace(episode, meta={k: v for k, v in episode.meta.items() if k not in own}) if own else episode
    outcome = episode.outcome
    if label.verdict != DISCARD:
        outcome = GraspOutcome(label.verdict == SUCCESS, 1.0, False, outcome.evidence)
    more = {LABEL: label.verdict, JUDGED: episode.outcome.success}
    return replace(episode, outcome=outcome, meta={**episode.meta, **more})


def is_discarded(episode: Episode) -> bool:
    """Whether somebody has discarded the grasp."""
    return episode.meta.get(LABEL) == DISCARD


def may_be_learned_from(episode: Episode) -> bool:
    """Whether it explored, with or without a network, and nobody has discarded it."""
    return episode.mode in LEARNING and not is_discarded(episode)


class Labels:
    """The labels of the episodes in a folder, which others may be adding to."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._size = folder, -1
        self._newest: dict[str, Label] = {}
        self.damaged: list[str] = []

    def poll(self) -> list[Label]:
        """Read what is new; returns the labels that say something else than before."""
        path = self._folder / LABELS_FILE
        size = path.stat().st_size if path.is_file() else 0
        if size == self._size:
            return []
        self._size = size
        labels, self.damaged = read_labels(self._folder)
        newest = {label.episode_id: label for label in labels}
        changed = [label for name, label in newest.items() if self._newest.get(name) != label]
        self._newest = newest
        return changed

    def say(self, label: Label) -> bool:
        """Whether the newest label of the grasp is this one, whenever it was given."""
        known = self._newest.get(label.episode_id)
        return known is not None and replace(known, when=label.when) == label

    @property
    def discarded(self) -> set[str]:
        """Ids of the grasps that count for nothing."""
        return {name for name, label in self._newest.items() if label.verdict == DISCARD}

    def apply(self, episode: Episode) -> Episode:
        """The episode as its newest label says."""
        return labelled(episode, self._newest.get(episode.episode_id))
