"""The cell in a mirror: a second view of every decision, for nothing.

A camera without roll sees a cell that is symmetric about the camera's vertical plane as it sees its mirror image, left
and right exchanged. Q averaged over both views errs less than either. (Ours; group-invariant Q-functions go back to
van der Pol et al., "MDP homomorphic networks", NeurIPS 2020.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from robot_finetune.learning.networks.interface import QNetwork, State
from robot_finetune.perception.camera_model import CameraModel
from robot_finetune.robot.crop import square_of
from robot_finetune.robot.profile import RobotProfile

TOLERANCE = 0.01
"""Distance [m] from the plane, and sine of the angle to the bin's edges, up to which a cell counts as symmetric."""


@dataclass(frozen=True)
class Mirror:
    """The vertical plane through the camera's optical axis. axis: 0 or 1, the coordinate of the base frame that it
    turns round; at: where it stands on that axis [m]."""

    axis: int
    at: float

    @staticmethod
    def of(profile: RobotProfile) -> Mirror | None:
        """The mirror of a robot cell; None if arm, bin and image are not symmetric about the camera's plane."""
        camera = CameraModel.from_config(profile.camera)
        normal = np.abs(camera.rotation[:2, 0])
        axis = int(normal.argmax())
        at = float(camera.position[axis])
        left, _, side = square_of(camera.height, camera.width, camera.crop)
        aside = max(float(normal[1 - axis]), abs(profile.bin_center[axis] - at), abs(at))
        return Mirror(axis, at) if aside <= TOLERANCE and 2 * left + side == camera.width else None

    def state(self, state: State) -> State:
        """A batch of observations as the mirror shows it."""
        pose = state.pose.clone()
        pose[:, self.axis] = 2 * self.at - pose[:, self.axis]
        pose[:, 3] *= -1
        return state._replace(image=state.image.flip(2), pose=pose)

    def action(self, action: Tensor) -> Tensor:
        """Action vectors (..., 8) as the mirror shows them."""
        signs = action.new_ones(8)
        signs[self.axis] = signs[3] = -1
        return action * signs


def q_function(network: QNetwork, state: State, mirror: Mirror | None) -> Callable[[Tensor], Tensor]:
    """Q-values (1, N) of actions (1, N, 8) in one state; with a mirror the mean of both views."""
    if mirror is None:
        features = network.encode(state)
        return lambda action: torch.sigmoid(network.q(features, action))
    both = State(*(torch.cat(pair) for pair in zip(state, mirror.state(state), strict=True)))
    features = network.encode(both)
    return lambda action: torch.sigmoid(network.q(features, torch.cat([action, mirror.action(action)]))).mean(
        0, keepdim=True
    )
