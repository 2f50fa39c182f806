"""What a decision looks like: where the gripper is to go, what else was considered, and the image with both in it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from robot_finetune.perception.camera_model import CameraModel
from robot_finetune.perception.drawing import draw_edges, draw_points, jaw
from robot_finetune.robot.action_space import ActionSpace
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.robot.workspace import Workspace, box_edges
from robot_finetune.types import Action, Samples, Step

EDGE = 512
"""Of the drawn image [px]."""
CHOSEN, WORKSPACE, BACKGROUND = (255, 255, 255), (255, 64, 64), (0, 0, 0)


@dataclass(frozen=True)
class Marks:
    """A decision in the base frame.

    here, target: (4,) poses [m, rad] of the gripper before and after. jaw: (2, 3), the fingers at the target [m].
    samples: (n, 3), where the candidates lead [m]; colours: uint8 RGB (n, 3), by their Q from 0 (dark) to 1 (yellow).
    """

    here: np.ndarray
    target: np.ndarray
    jaw: np.ndarray
    samples: np.ndarray
    colours: np.ndarray

    @staticmethod
    def of(step: Step, samples: Samples | None, profile: RobotProfile) -> Marks:
        """The marks of a step and of the samples that it was chosen among, None if they are not known."""
        space, workspace, here = ActionSpace(profile.workspace), Workspace(profile), step.observation.pose
        target = space.target(here, step.commanded)
        found, colours = np.empty((0, 3)), np.empty((0, 3), np.uint8)
        if samples is not None:
            actions = map(Action, samples.actions)
            found = np.array([workspace.clip(here, space.target(here, action))[:3] for action in actions])
            colours = _colours(samples.values)
        return Marks(here, target, jaw(target), found, colours)


def draw_decision(step: Step, marks: Marks, profile: RobotProfile) -> np.ndarray:
    """uint8 RGB (EDGE, EDGE, 3): the image that was decided on, with its marks, the workspace and a line of text."""
    size = (EDGE, EDGE)
    drawn = cv2.resize(np.ascontiguousarray(step.observation.image), size, interpolation=cv2.INTER_NEAREST)
    camera = CameraModel.from_config(profile.camera).seen_by_policy(EDGE)
    draw_edges(drawn, camera, box_edges(profile.workspace.low, profile.workspace.high), WORKSPACE)
    draw_points(drawn, camera, marks.samples, marks.colours, radius=3)
    way = np.array([[marks.here[:3], marks.target[:3]]])
    for colour, width in ((BACKGROUND, 5), (CHOSEN, 2)):  # seen on any ground
        draw_edges(drawn, camera, way, colour, width)
        draw_edges(drawn, camera, marks.jaw[None], colour, width + 2)
    draw_points(drawn, camera, marks.target[None, :3], np.array([CHOSEN], np.uint8), radius=6)
    cv2.rectangle(drawn, (0, 0), (EDGE, 24), BACKGROUND, cv2.FILLED)
    cv2.putText(drawn, described(step), (8, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.5, CHOSEN, 1, cv2.LINE_AA)
    return drawn


def described(step: Step) -> str:
    """A decision in one line."""
    what = "close" if step.commanded.closes else "move"
    value = "" if math.isnan(step.q) else f", q {step.q:.2f}, version {step.policy_version}"
    return f"step {step.observation.step}: {what}{value}"


def _colours(values: np.ndarray) -> np.ndarray:
    levels = np.round(255 * np.clip(values, 0, 1)).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(levels[:, None], cv2.COLORMAP_VIRIDIS)[:, 0, ::-1])
