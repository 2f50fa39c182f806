"""The cell in a mirror: a view that a symmetric cell could as well have given."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_learner import SMALL

from robot_finetune.learning.mirror import Mirror, q_function
from robot_finetune.learning.networks.build import build_network
from robot_finetune.learning.networks.interface import State
from robot_finetune.perception.camera_model import CameraModel
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.types import CELL_SIZE

SIM = RobotProfile()
ACROSS = replace(  # the same cell, that stands to the left of the robot
    SIM,
    bin_center=(0.0, 0.6),
    start_pose=(0.0, 0.6, 0.2, 0.0),
    workspace=replace(SIM.workspace, low=(-0.2, 0.4, 0.0), high=(0.2, 0.8, 0.3)),
    camera=replace(SIM.camera, position=(0.0, 1.3, 0.95), target=(0.0, 0.6, 0.11)),
)
CELLS = {"in front": SIM, "to the left": ACROSS}
unit = st.floats(-1, 1, width=32)


def camera(**changes):
    return replace(SIM, camera=replace(SIM.camera, **changes))


def views(profile, count=6, seed=0):
    """A batch of random states, as the network takes them, and of random actions (count, 5, 8)."""
    rng = np.random.default_rng(seed)
    low, high = (np.array(corner) for corner in (profile.workspace.low, profile.workspace.high))
    pose = np.concatenate([rng.uniform(low, high, (count, 3)), rng.uniform(-1, 1, (count, 1))], 1)
    size = SMALL.image_size
    state = State(
        torch.from_numpy(rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8)),
        torch.from_numpy(pose.astype(np.float32)),
        torch.rand(count),
        torch.zeros(count),
        torch.full((count, CELL_SIZE), torch.nan),
    )
    return state, torch.from_numpy(rng.uniform(-1, 1, (count, 5, 8)).astype(np.float32))


@pytest.mark.parametrize("profile", CELLS.values(), ids=CELLS)
@given(offset=st.tuples(unit, unit, unit))
def test_a_point_in_the_mirror_is_seen_where_the_image_is_flipped(profile, offset):
    mirror, seen = Mirror.of(profile), CameraModel.from_config(profile.camera)
    point = np.array([*profile.bin_center, 0.1]) + 0.1 * np.array(offset)
    shown = point.copy()
    shown[mirror.axis] = 2 * mirror.at - shown[mirror.axis]
    (here, there) = seen.project([point, shown])
    assert there[0] == pytest.approx(seen.width - 1 - here[0]) and there[1] == pytest.approx(here[1])


@pytest.mark.parametrize("profile", CELLS.values(), ids=CELLS)
def test_where_an_action_leads_in_the_mirror_is_where_it_leads_mirrored(profile):
    mirror, network = Mirror.of(profile), build_network(SMALL)
    network.geometry.set_profile(profile)
    state, actions = views(profile)
    cells = network.geometry.cells(state.cell)
    shown = cells.target(mirror.state(state).pose[:, None], mirror.action(actions))
    target = cells.target(state.pose[:, None], actions)
    expected = mirror.state(state._replace(pose=target.reshape(-1, 4))).pose.reshape(target.shape)
    assert torch.allclose(shown, expected, atol=1e-6)


def test_q_is_the_mean_of_both_views_and_the_same_from_either_side():
    mirror, network = Mirror.of(SIM), build_network(SMALL).eval()
    network.geometry.set_profile(SIM)
    states, actions = views(SIM)
    with torch.inference_mode():
        for row in range(len(actions)):
            state, action = State(*(part[row : row + 1] for part in states)), actions[row : row + 1]
            both = q_function(network, state, mirror)(action)
            other = q_function(network, mirror.state(state), mirror)(mirror.action(action))
            one, two = (
                q_function(network, seen, None)(asked)
                for seen, asked in ((state, action), (mirror.state(state), mirror.action(action)))
            )
            assert torch.allclose(both, (one + two) / 2, atol=1e-6) and torch.allclose(both, other, atol=1e-6)
            assert not torch.allclose(one, two, atol=1e-6)  # a network has no such symmetry of its own


@pytest.mark.parametrize(
    "profile",
    [
        camera(position=(1.2, 0.3, 0.95)),
        camera(position=(1.3, 0.05, 0.95), target=(0.6, 0.05, 0.11)),
        camera(crop=(10, 0, 100)),
        replace(SIM, bin_center=(0.6, 0.05)),
    ],
    ids=["camera at an angle", "camera aside", "crop aside", "bin aside"],
)
def test_a_cell_without_symmetry_has_no_mirror(profile):
    assert Mirror.of(profile) is None


def test_a_camera_straight_above_and_a_centred_crop_are_symmetric():
    assert Mirror.of(camera(position=(0.6, 0.0, 0.9), target=(0.6, 0.0, 0.0))) == Mirror(1, 0.0)
    assert Mirror.of(camera(crop=(14, 20, 100))) == Mirror(1, 0.0)
