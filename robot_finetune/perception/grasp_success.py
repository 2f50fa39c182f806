"""Did a grasp succeed? Two independent sources, fused: the gripper's opening and the images of the bin."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from robot_finetune.config import setting
from robot_finetune.perception.frame_watch import ImageFault, blank
from robot_finetune.perception.scene_change import SceneChangeConfig, SceneComparison
from robot_finetune.robot.interfaces import GraspEvidence, RobotError
from robot_finetune.robot.profile import GripperConfig, RobotProfile
from robot_finetune.types import GraspOutcome

DEFAULT_SCENE_CHANGE = SceneChangeConfig()


@dataclass(frozen=True)
class GraspDetectorConfig:
    """How sure each source is. A log-odds of 3 is a probability of 95 %."""

    opening_scale: float = setting(0.015, "an opening this far from its limit is a log-odds of 1", low=0.001, high=0.5)
    gripper_limit: float = setting(4.0, "largest log-odds of the gripper's opinion", low=0.1, high=20.0)
    object_area: float = setting(5.5, "smallest net change that is an object", unit="cm2", low=0.1, high=200.0)
    area_scale: float = setting(
        1.0, "a net change this far from object_area is a log-odds of 1", unit="cm2", low=0.01, high=100.0
    )
    image_limit: float = setting(3.0, "largest log-odds of each comparison of images", low=0.1, high=20.0)
    not_returned: float = setting(
        -1.5, "smallest log-odds if nothing comes back (it may be lost on the way)", low=-20.0, high=0.0
    )
    contradiction: float = setting(
        1.0, "opposite opinions with at least this log-odds each contradict", low=0.0, high=20.0
    )
    scene_change: SceneChangeConfig = setting(DEFAULT_SCENE_CHANGE)


class GraspDetector:
    """A `Judge`. Evidence of its outcomes: opening_closed, opening_lifted, gripper_probability and, with images,
    disappeared_cm2 (net, by lifting), returned_cm2 (net, by dropping) and image_probability."""

    def __init__(self, profile: RobotProfile, config: GraspDetectorConfig = GraspDetectorConfig()) -> None:
        self.config, self._limits = config, profile.gripper
        self._compare = SceneComparison(profile, config.scene_change)

    def __call__(self, evidence: GraspEvidence) -> GraspOutcome:
        """Fuse what the gripper and the images say. Raises RobotError if the evidence is unsound: an opening that is no
        number, an image that shows nothing or does not fit the robot profile."""
        if not (math.isfinite(evidence.opening_closed) and math.isfinite(evidence.opening_lifted)):
            raise RobotError("the gripper's opening is not known; check the joint states of its driver")
        for frame in (evidence.before, evidence.after_lift, evidence.after_drop):
            if frame is not None and (cause := blank(frame.image)):
                raise ImageFault(cause)
        gripper = _gripper_log_odds(evidence, self._limits, self.config)
        details = {
            "opening_closed": evidence.opening_closed,
            "opening_lifted": evidence.opening_lifted,
            "gripper_probability": _probability(gripper),
        }
        image = self._image_log_odds(evidence, details)
        total = gripper + image
        sure = min(abs(gripper), abs(image)) >= self.config.contradiction
        contradiction = sure and (gripper > 0) != (image > 0)
        probability = _probability(total)
        return GraspOutcome(total > 0, max(probability, 1 - probability), contradiction, details)

    def check_image(self, image: np.ndarray) -> None:
        """Raises RobotError if an image, uint8 RGB (height, width, 3), does not fit the robot profile."""
        self._compare.check(image)

    def _image_log_odds(self, evidence: GraspEvidence, details: dict[str, float]) -> float:
        """Opinion of the images: has something disappeared by lifting, and come back by dropping? Adds to `details`."""
        before, lifted, dropped = evidence.before, evidence.after_lift, evidence.after_drop
        if before is None or lifted is None:
            return 0.0
        disappeared = details["disappeared_cm2"] = -self._compare(before.image, lifted.image).net
        log_odds = self._area_log_odds(disappeared)
        if dropped is not None and dropped.stamp != lifted.stamp:
            returned = details["returned_cm2"] = self._compare(lifted.image, dropped.image).net
            log_odds += max(self._area_log_odds(returned), self.config.not_returned)
        details["image_probability"] = _probability(log_odds)
        return log_odds

    def _area_log_odds(self, area: float) -> float:
        return _limit((area - self.config.object_area) / self.config.area_scale, self.config.image_limit)


def _gripper_log_odds(evidence: GraspEvidence, limits: GripperConfig, config: GraspDetectorConfig) -> float:
    """Opinion of the gripper: neither closed on nothing nor still open.

    Only after lifting: fingers that press on the floor may close no sooner than that, and a weak grip opens on the
    way up.
    """
    opening = evidence.opening_lifted
    margin = min(opening - limits.empty_opening, limits.full_opening - opening)
    return _limit(margin / config.opening_scale, config.gripper_limit)


def _limit(value: float, limit: float) -> float:
    return min(max(value, -limit), limit)


def _probability(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))
