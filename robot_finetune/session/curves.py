"""A session's grasps as curves for TensorBoard, over their numbers; the trainer draws its own (learning/trainer.py)."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from pathlib import Path

from robot_finetune.data.episode_log import CorruptEpisode, read_episode
from robot_finetune.data.layout import TENSORBOARD
from robot_finetune.data.scalar_log import ScalarLog
from robot_finetune.session.record import RECENT, Grasp, success


class GraspCurves:
    """Success of the last RECENT grasps, Q at closing and version, each by the mode of the grasps.

    known: grasps of earlier runs, which are on the curves already.
    """

    def __init__(self, folder: Path, wanted: bool, known: Iterable[Grasp], complain: Callable[[str], None]) -> None:
        self._wanted = wanted
        self._log = ScalarLog(folder / TENSORBOARD / "grasps" if wanted else None, complain)
        self._recent: dict[str, deque[Grasp]] = defaultdict(lambda: deque(maxlen=RECENT))
        self._drawn: set[str] = set()
        for grasp in sorted(known, key=lambda grasp: grasp.order):
            self._drawn.add(grasp.episode_id)
            self._recent[grasp.mode].append(grasp)

    def draw(self, grasps: Iterable[Grasp]) -> None:
        """Draw those that are not drawn yet; the file of each is read for its Q."""
        new = [grasp for grasp in grasps if grasp.episode_id not in self._drawn] if self._wanted else []
        for grasp in sorted(new, key=lambda grasp: grasp.order):
            self._drawn.add(grasp.episode_id)
            recent = self._recent[grasp.mode]
            recent.append(grasp)
            scalars = {f"success_last_{RECENT}": success(tuple(recent)).rate, "version": float(grasp.version)}
            if math.isfinite(q := _q_at_closing(grasp.path)):
                scalars["q_at_closing"] = q
            self._log.add(grasp.number, {f"{grasp.mode}/{name}": value for name, value in scalars.items()})

    def flush(self) -> None:
        """What was drawn is on disk when this returns."""
        self._log.flush()


def _q_at_closing(path: Path) -> float:
    """Q of the last decision, if it was to close; else NaN."""
    try:
        steps = read_episode(path).steps
    except CorruptEpisode:
        return math.nan
    return steps[-1].q if steps and steps[-1].asked.closes else math.nan
