"""The robot's own witness against a version: how well its Q-function fits grasps that this robot made and judged.

A trainer scores its versions by what it was told. Where that is wrong (files of another cell, labels the wrong way
round, a fault of its own), the scores are as wrong as the training. What the acting robot saw and felt itself is
not: a version that contradicts it is not tried. Most of these grasps were learned from by then, so a
sound version fits them at least as well as the policy that acts; one that does not was taught something else.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from robot_finetune.learning.networks.interface import QNetwork
from robot_finetune.learning.offline_score import Closing, score
from robot_finetune.robot.interfaces import Decision
from robot_finetune.types import Observation, Step

KEPT = 100
"""Grasps that are remembered; the oldest is forgotten first."""
FEWEST = 30
"""Grasps below which nothing is said."""


@dataclass(frozen=True)
class OwnScore:
    """own_log_loss: of Q at closing against the outcome, mean over `own_grasps`. own_incumbent: that of the promoted
    version on the same grasps. own_worse: the difference in its standard errors."""

    own_grasps: int = 0
    own_log_loss: float = 0.0
    own_incumbent: float = 0.0
    own_worse: float = 0.0


class OwnGrasps:
    """The last closings of this robot, in memory alone: after a restart it has to grasp again before it can say
    something. One thread tells it of grasps; another one may ask for scores."""

    def __init__(self) -> None:
        self._closings: deque[Closing] = deque(maxlen=KEPT)
        self._last: Step | None = None
        self._lock = threading.Lock()

    def begin_episode(self) -> None:
        """Forget the last decision: what comes belongs to another grasp."""
        self._last = None

    def decided(self, observation: Observation, decision: Decision) -> None:
        """Take a decision of the acting Q-function."""
        self._last = Step(observation, decision.action, decision.action)

    def judged(self, success: bool) -> None:
        """Take the outcome; only a grasp that ended by closing says something about Q."""
        if self._last is not None and self._last.asked.closes:
            with self._lock:
                self._closings.append(Closing(self._last, success))
        self._last = None

    def score(self, network: QNetwork, incumbent: QNetwork) -> OwnScore | None:
        """How `network` fits these grasps beside the incumbent; None while there are too few of them."""
        with self._lock:
            closings = list(self._closings)
        if len(closings) < FEWEST:
            return None
        found = score(network, incumbent, closings)
        return OwnScore(found.grasps, found.log_loss, found.first, found.worse)
