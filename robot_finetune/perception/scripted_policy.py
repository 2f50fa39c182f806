"""Grasps without a network and without knowing where objects are: the first data of a robot that has no policy yet.

QT-Opt begins with a weak scripted policy as well. A grasp is a random place and yaw over the bin, a descent and a
closing. Most are aimed where the image differs from what it usually shows: there is something that was moved.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np

from robot_finetune.config import setting
from robot_finetune.perception.camera_model import CameraModel
from robot_finetune.robot.approach import Approach
from robot_finetune.robot.interfaces import Decision
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.robot.workspace import Workspace
from robot_finetune.types import Action, Observation

REMEMBERED, ENOUGH = 32, 8
"""First images of episodes that are kept, and how many tell what the image usually shows."""
PLACES = 256
"""Places in the bin of which one is chosen."""
OBJECT_HEIGHT = 0.02
"""Height [m] above the floor at which a place is looked at."""
SHARPNESS = 8
"""A place is chosen in proportion to this power of how much its image differs."""


@dataclass(frozen=True)
class ScriptedConfig:
    """How the policy without a network grasps."""

    look: float = setting(
        0.8, "part of the grasps aimed where the image differs from what it usually shows", low=0.0, high=1.0
    )
    height: float = setting(
        0.03, "largest height of a closing gripper above the lowest one", unit="m", low=0.0, high=0.3
    )
    wall: float = setting(0.03, "distance that is kept from the bin's walls", unit="m", low=0.0, high=0.2)


class ScriptedPolicy:
    """Implements `Policy`. Its decisions have no value and no version."""

    def __init__(self, profile: RobotProfile, config: ScriptedConfig = ScriptedConfig(), seed: int = 0) -> None:
        self._profile, self._config = profile, config
        self._workspace = Workspace(profile)
        self._camera = CameraModel.from_config(profile.camera)
        self._rng = np.random.default_rng(seed)
        self._seen: deque[np.ndarray] = deque(maxlen=REMEMBERED)
        self._approach: Approach | None = None

    def reseed(self, seed: int) -> None:
        """Make the next choices depend on `seed` and on the images so far."""
        self._rng = np.random.default_rng(seed)

    def begin_episode(self, mode: str) -> None:
        """Forget the last grasp."""
        self._approach = None

    def act(self, observation: Observation) -> Decision:
        """The next step towards the grasp, which is chosen in an episode's first image; then close."""
        if self._approach is None:
            self._approach = Approach(self._profile, self._choose(observation.image))
        way = self._approach.way(observation.pose)
        return Decision(Action.close() if way is None else self._approach.step(*way))

    def _choose(self, image: np.ndarray) -> np.ndarray:
        """The (4,) pose of the next grasp, within the workspace."""
        profile, config, rng = self._profile, self._config, self._rng
        reach = np.maximum(0.0, np.array(profile.bin_half) - config.wall)
        places = np.array(profile.bin_center) + rng.uniform(-reach, reach, (PLACES, 2))
        weights = np.ones(PLACES)
        if len(self._seen) >= ENOUGH and rng.random() < config.look:
            weights = self.difference(image, places) ** SHARPNESS + 1e-9
        self._seen.append(image)
        place = places[rng.choice(PLACES, p=weights / weights.sum())]
        height = profile.workspace.low[2] + rng.uniform(0.0, config.height)
        turn = min(profile.workspace.max_yaw, np.pi / 2)
        return self._workspace.inside(
            np.array([*place, height, profile.start_pose[3] + rng.uniform(-turn, turn)], np.float64)
        )

    def difference(self, image: np.ndarray, places: np.ndarray) -> np.ndarray:
        """How much an image (size, size, 3) differs, 0 to 1, from what it usually shows at places (n, 2) [m] of the
        bin's floor. Places that it does not show differ by 0."""
        usual = np.median(np.stack(self._seen), axis=0)
        changed = cv2.blur(np.abs(image - usual).max(-1).astype(np.float32) / 255, (5, 5))
        height = np.full((len(places), 1), self._profile.floor_z + OBJECT_HEIGHT)
        pixels = self._camera.seen_by_policy(len(image)).project(np.hstack([places, height])).astype(np.float32)
        found = cv2.remap(changed, pixels[:, :1], pixels[:, 1:], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        return np.asarray(np.nan_to_num(found[:, 0]), np.float64)
