from dataclasses import replace

import cv2
import numpy as np
import pytest

from robot_finetune.config import from_mapping
from robot_finetune.perception.camera_model import CameraModel
from robot_finetune.perception.grasp_success import GraspDetector, GraspDetectorConfig
from robot_finetune.perception.scene_change import SceneComparison
from robot_finetune.robot.interfaces import Frame, GraspEvidence, RobotError
from robot_finetune.robot.profile import RobotProfile

PROFILE = RobotProfile()
CAMERA = CameraModel.from_config(PROFILE.camera)
RED, BLUE, GREEN = (190, 40, 40), (40, 60, 180), (60, 170, 70)
SCENE = ((0.55, -0.08, RED), (0.65, 0.05, BLUE), (0.60, 0.11, GREEN))
EMPTY, HOLDING, OPEN = 0.0, 0.4, 1.0


def photo(objects, floor="plain", light=1.0, noise=2.0, shadows=False, seed=0):
    """A synthetic image of the bin with objects (x, y, colour)."""
    rows, columns = np.mgrid[:128, :128]
    image = np.full((128, 128, 3), (140, 128, 107), np.float32)
    if floor == "checkerboard":
        image[(rows // 5 + columns // 5) % 2 == 0] = 12
    for x, y, color in objects:
        u, v = CAMERA.project([(x, y, 0.015)])[0]
        if shadows:
            shadow = ((columns - u - 7) ** 2 + (rows - v + 2) ** 2) < 36
            image[shadow] *= 0.4
        cv2.circle(image, (round(u), round(v)), 5, color, -1)
    rng = np.random.default_rng(seed)
    return np.clip(light * image + rng.normal(0, noise, image.shape), 0, 255).astype(np.uint8)


def judge(opening, before, after_lift, after_drop=None, closed=None):
    images = [Frame(image, stamp) if image is not None else None for stamp, image in enumerate((before, after_lift))]
    drop = images[1] if after_drop is None else Frame(after_drop, 2.0)
    return GraspDetector(PROFILE)(GraspEvidence(opening if closed is None else closed, opening, *images, drop))


@pytest.mark.parametrize("floor", ["plain", "checkerboard"])
@pytest.mark.parametrize("shadows", [False, True])
def test_an_object_that_is_lifted_and_comes_back_is_a_success(floor, shadows):
    look = {"floor": floor, "shadows": shadows}
    dropped = (*SCENE[1:], (0.62, -0.03, RED))
    outcome = judge(HOLDING, photo(SCENE, **look), photo(SCENE[1:], **look, seed=1), photo(dropped, **look, seed=2))
    assert outcome.success and outcome.confidence > 0.99 and not outcome.contradiction
    assert outcome.evidence["disappeared_cm2"] > 5 and outcome.evidence["returned_cm2"] > 5


@pytest.mark.parametrize("light", [0.8, 1.0, 1.25])
def test_wandering_light_is_no_change(light):
    outcome = judge(EMPTY, photo(SCENE, "checkerboard"), photo(SCENE, "checkerboard", light, noise=4.0, seed=1))
    assert not outcome.success and outcome.confidence > 0.99 and not outcome.contradiction
    assert abs(outcome.evidence["disappeared_cm2"]) < 2


@pytest.mark.parametrize("light", [0.8, 1.25])
def test_wandering_light_hides_no_grasp(light):
    images = photo(SCENE), photo(SCENE[1:], light=light, seed=1), photo(SCENE, light=1.1, seed=2)
    assert judge(HOLDING, *images).confidence > 0.99


@pytest.mark.parametrize("shadows", [False, True])
@pytest.mark.parametrize("shift", [(0.015, 0.01), (0.0, -0.06), (0.08, 0.02)])
def test_a_pushed_object_has_not_disappeared(shift, shadows):
    (x, y, color), *rest = SCENE
    pushed = ((x + shift[0], y + shift[1], color), *rest)
    change = SceneComparison(PROFILE)(photo(SCENE, shadows=shadows), photo(pushed, shadows=shadows, seed=1))
    assert change.appeared > 0 and change.disappeared > 0 and abs(change.net) < 3
    outcome = judge(EMPTY, photo(SCENE, shadows=shadows), photo(pushed, shadows=shadows, seed=1))
    assert not outcome.success and not outcome.contradiction


def test_a_gripper_that_closes_on_nothing_while_something_has_gone_is_a_contradiction():
    outcome = judge(EMPTY, photo(SCENE), photo(SCENE[1:], seed=1))
    assert outcome.contradiction and not outcome.success and 0.5 <= outcome.confidence < 0.9
    assert outcome.evidence["gripper_probability"] < 0.1 and outcome.evidence["image_probability"] > 0.9


def test_a_gripper_that_jams_is_overruled_by_images_and_reported():
    outcome = judge(HOLDING, photo(SCENE), photo(SCENE, seed=1), photo(SCENE, seed=2))
    assert outcome.contradiction and not outcome.success and outcome.confidence < 0.9


def test_an_object_lost_after_lifting_was_still_grasped():
    outcome = judge(HOLDING, photo(SCENE), photo(SCENE[1:], seed=1), photo(SCENE[1:], seed=2))
    assert outcome.success and outcome.evidence["returned_cm2"] < 2


@pytest.mark.parametrize("opening, success", [(EMPTY, False), (0.04, False), (HOLDING, True), (OPEN, False)])
def test_without_images_the_gripper_alone_decides_with_less_confidence(opening, success):
    outcome = judge(opening, None, None)
    assert outcome.success is success and 0.5 < outcome.confidence < 0.99
    assert not outcome.contradiction and "image_probability" not in outcome.evidence


def test_fingers_that_only_close_while_lifting_may_hold_something():
    assert judge(HOLDING, None, None, closed=OPEN).success


def test_evidence_is_plain_numbers():
    outcome = judge(HOLDING, photo(SCENE), photo(SCENE[1:]), photo(SCENE))
    assert all(type(value) is float for value in outcome.evidence.values())
    assert type(outcome.success) is bool and type(outcome.contradiction) is bool


def test_changes_outside_the_bin_do_not_count():
    outside = photo((*SCENE, (0.6, 0.27, RED)), seed=1)
    assert SceneComparison(PROFILE)(photo(SCENE), outside).net == pytest.approx(0, abs=0.5)


def test_an_image_of_another_size_names_the_cure():
    small = photo(SCENE)[:96, :96]
    with pytest.raises(RobotError, match=r"96x96, not 128x128: set camera\.width"):
        judge(HOLDING, small, small)


def test_a_camera_that_cannot_see_the_bin_is_refused():
    with pytest.raises(RobotError, match=r"camera\.position"):
        GraspDetector(replace(PROFILE, camera=replace(PROFILE.camera, target=(2.0, 0.0, 0.6))))


def test_settings_can_be_read_from_plain_data():
    config = from_mapping(GraspDetectorConfig, {"object_area": 9, "scene_change": {"min_difference": 20}})
    assert (config.object_area, config.scene_change.min_difference) == (9.0, 20.0)
