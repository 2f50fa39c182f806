"""A gripper counts as mounted elsewhere where it is seen elsewhere, and clearly so."""

import numpy as np
import pytest
import torch

from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.learning.mounting import Mounting
from robot_finetune.learning.networks.interface import Features, NetworkConfig, QNetwork
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.types import Action, Episode, GraspOutcome, Observation, Step


class SeesBrightness(QNetwork):
    """Sees the gripper as many millimetres to the side as the image is bright, surely unless it is very bright."""

    def encode(self, state):
        aside = state.image.float().mean((1, 2, 3)) / 1000
        shift = torch.stack([torch.zeros_like(aside), -aside], 1)
        return Features(shift, shift, shift, shift, (aside > 0.2).float(), state.pose, self.geometry.cells(state.cell))


def replay(brightness) -> ReplayBuffer:
    buffer = ReplayBuffer(None, 50, 16)
    for index, value in enumerate(brightness):
        image = np.full((16, 16, 3), value, np.uint8)
        seen = Observation(image, np.array(RobotProfile().start_pose), 1.0, 0)
        buffer.add(Episode(str(index), (Step(seen, Action.close(), Action.close()),), GraspOutcome(False)))
    return buffer


@pytest.mark.parametrize(
    ("brightness", "aside"),
    [([70, 75, 80, 75, 50] * 4, 0.075), ([1] * 20, 0.0), ([0, 90, 10, 60] * 5, 0.0), ([250] * 20, 0.0)],
    ids=["seen at one place elsewhere", "seen where the calibration says", "seen here and there", "not made out"],
)
def test_what_the_images_say(brightness, aside):
    mounting = Mounting(replay(brightness), SeesBrightness(NetworkConfig(image_size=16)))
    batch = mounting.sample(np.random.default_rng(0), 6)
    np.testing.assert_allclose(batch.mount, [[0.0, -aside]] * 6, atol=1e-6)


def test_it_looks_again_when_the_data_has_grown():
    new = replay([0, 90])
    mounting = Mounting(new, SeesBrightness(NetworkConfig(image_size=16)))
    assert (mounting.sample(np.random.default_rng(0), 4).mount == 0).all()
    rows, images = replay([70] * 42).read_all()
    for index in range(2, 42):
        assert new.add_rows(rows[index : index + 1].copy(), images[index : index + 1])
    np.testing.assert_allclose(mounting.sample(np.random.default_rng(0), 4).mount, [[0.0, -0.07]] * 4, atol=1e-6)
