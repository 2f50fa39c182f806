"""Base images in a new scene: the floor is the new one, the object stays where it was, and the light follows."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.learning.scene_transfer import SceneTransfer, floor_homography, middle_image
from robot_finetune.perception.camera_model import CameraModel
from robot_finetune.perception.cell_numbers import cell_numbers
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.types import Action, Episode, GraspOutcome, Observation, Step

PROFILE = RobotProfile()
FLOOR, OBJECT, SURROUNDINGS = 120, 230, 80
STRIPES = np.where(np.arange(64) % 8 < 4, 250, 10)[None, :, None].astype(np.uint8)


def picture(place: int, floor=FLOOR, surroundings: int = SURROUNDINGS) -> np.ndarray:
    """A scene with one object in the bin, at column `place`."""
    image = np.full((64, 64, 3), surroundings, np.uint8)
    image[inside] = np.broadcast_to(np.asarray(floor, np.uint8), image.shape)[inside]
    image[36:40, place : place + 4] = OBJECT
    return image


def replay(images, **meta) -> ReplayBuffer:
    buffer = ReplayBuffer(None, 40)
    for index, image in enumerate(images):
        seen = Observation(image, np.array(PROFILE.start_pose), 1.0, 0)
        buffer.add(Episode(str(index), (Step(seen, Action.close(), Action.close()),), GraspOutcome(True), meta=meta))
    return buffer


inside = SceneTransfer(ReplayBuffer(None, 1), ReplayBuffer(None, 1), PROFILE, 1.0)._bin
BASE = replay(picture(place) for place in range(18, 40, 2))


@pytest.fixture
def sample():
    def sampled(new: ReplayBuffer, share: float = 1.0):
        moved = SceneTransfer(BASE, new, PROFILE, share).sample(np.random.default_rng(0), 12)
        return BASE.sample(np.random.default_rng(0), 12), moved

    return sampled


def test_the_floor_is_exchanged_and_the_object_stays(sample):
    before, after = sample(replay(picture(place, STRIPES) for place in range(18, 40, 2)))
    thing = (before.image == OBJECT).all(-1)
    assert (after.image[thing] == OBJECT).all()
    floor = inside & ~thing
    assert (after.image == STRIPES)[floor].mean() > 0.95
    assert np.array_equal(after.image[:, ~inside], before.image[:, ~inside])
    assert np.array_equal(after.next_image, after.image) and np.array_equal(after.action, before.action)


def test_what_stands_on_the_floor_gets_as_dark_as_the_surroundings(sample):
    before, after = sample(replay(picture(place, 60, SURROUNDINGS // 2) for place in range(18, 40, 2)))
    assert np.abs(after.image[(before.image == OBJECT).all(-1)].mean() - OBJECT / 2) < 5
    assert np.abs(after.image[:, ~inside].mean() - SURROUNDINGS / 2) < 2


OTHER = replace(PROFILE, camera=replace(PROFILE.camera, position=(1.1, 0.35, 0.75)), bin_center=(0.55, 0.02))


def test_floors_map_from_one_camera_to_the_other():
    corners = np.array([[x, y, 0.0] for x in (-0.1, 0.1) for y in (-0.1, 0.1)])
    pixels = []
    for robot in (PROFILE, OTHER):
        points = corners + [*robot.bin_center, robot.floor_z]
        camera = CameraModel.from_config(robot.camera).seen_by_policy(64)
        pixels.append(camera.project(points)[:, :2])
    turn = floor_homography(cell_numbers(PROFILE), cell_numbers(OTHER), 64)
    there = cv2.perspectiveTransform(pixels[0][None], turn)[0]
    np.testing.assert_allclose(there, pixels[1], atol=0.02)
    assert np.abs(pixels[0] - pixels[1]).max() > 3


def test_images_of_another_camera_get_the_floor_as_that_camera_sees_it():
    turn = floor_homography(cell_numbers(PROFILE), cell_numbers(OTHER), 64)
    there = cv2.warpPerspective(inside.astype(np.uint8), turn, (64, 64)).astype(bool)
    old = np.full((64, 64, 3), SURROUNDINGS, np.uint8)
    old[there], old[34:38, 30:34] = FLOOR, OBJECT
    base = replay([old] * 12, cell=cell_numbers(OTHER).tolist())
    new = replay([picture(place, STRIPES) for place in range(18, 40, 2)])
    after = SceneTransfer(base, new, PROFILE, 1.0).sample(np.random.default_rng(0), 4).image
    striped = cv2.warpPerspective(picture(0, STRIPES), turn, (64, 64), borderMode=cv2.BORDER_REPLICATE)
    thing = (old == OBJECT).all(-1)
    assert (after[:, thing] == OBJECT).all() and (after[:, ~there & ~thing] == SURROUNDINGS).all()
    deep = cv2.erode(there.astype(np.uint8), np.ones((3, 3))).astype(bool) & ~thing
    assert (np.abs(after.astype(int) - striped)[:, deep] < 3).mean() > 0.95


def test_the_same_scene_leaves_the_images_alone_and_so_does_a_share_of_zero(sample):
    before, after = sample(BASE)
    assert np.array_equal(before.image, after.image)
    before, after = sample(replay([picture(20, STRIPES)] * 3), share=0.0)
    assert np.array_equal(before.image, after.image)


def test_without_new_data_base_images_stay_as_they_are(sample):
    before, after = sample(ReplayBuffer(None, 4))
    assert np.array_equal(before.image, after.image)


def test_the_middle_image_holds_nothing_that_moves():
    assert (middle_image(BASE.read_all()[1])[inside] == FLOOR).all()
