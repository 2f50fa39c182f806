"""The uint8 constants of messages by the names that the rest of the code, parameters and files have for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from robot_finetune.data.label_log import VERDICTS
from robot_finetune.learning.promotion.gate import STEADY, TRIAL, WATCH
from robot_finetune.msg import EpisodePhase, GraspVerdict, PolicyStatus, PolicyStep, Promotion, TrainerStatus
from robot_finetune.robot.episode_runner import Phase
from robot_finetune.robot.run_control import ERROR, IDLE, PAUSED, RUNNING, STOPPED
from robot_finetune.ros.checked import shown
from robot_finetune.types import MODES, SIDES

INACTIVE, WAITING, TRAINING = "inactive", "waiting_for_data", "training"
"""States of the trainer, beside ERROR."""


class Constants:
    """Names and the constants of a message type that have the same names in capitals."""

    def __init__(self, kind: Any, what: str, names: Sequence[str]) -> None:
        """what: the field that holds them, for messages."""
        self._what = what
        self._numbers = {name: int(getattr(kind, name.upper())) for name in names}
        self._names = {number: name for name, number in self._numbers.items()}

    def number(self, name: str) -> int:
        """The constant of a name. Raises KeyError."""
        return self._numbers[name]

    def name(self, number: int) -> str:
        """The name of a constant. Raises ValueError for a number that is none."""
        if number not in self._names:
            raise ValueError(f"{self._what} {shown(number)}: allowed are {', '.join(map(str, self._names))}")
        return self._names[number]


MODE = Constants(PolicyStep, "mode", MODES)
SIDE = Constants(PolicyStep, "side", SIDES)
GATE_STATE = Constants(Promotion, "state", (STEADY, TRIAL, WATCH))
PHASE = Constants(EpisodePhase, "phase", [phase.value for phase in Phase])
STATE = Constants(PolicyStatus, "state", (IDLE, RUNNING, PAUSED, STOPPED, ERROR))
VERDICT = Constants(GraspVerdict, "verdict", VERDICTS)
TRAINER_STATE = Constants(TrainerStatus, "state", (INACTIVE, WAITING, TRAINING, ERROR))
