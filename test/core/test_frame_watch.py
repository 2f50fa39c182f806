"""A camera that shows nothing, or the same while the arm moves, is no camera; a cell at rest may stay as it is."""

from dataclasses import replace

import numpy as np
import pytest
from fake_robot import FakeCell, ListPolicy, Recorder
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_finetune.perception.frame_watch import FrameWatch, ImageFault, WatchedCamera, blank
from robot_finetune.perception.grasp_success import GraspDetector
from robot_finetune.robot.episode_runner import EpisodeDiscarded, EpisodeRunner
from robot_finetune.robot.interfaces import Frame, GraspEvidence, RobotError
from robot_finetune.robot.profile import RobotProfile

REST = np.zeros(7)


def picture(seed=0, size=64):
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("image", "part"),
    [
        (np.zeros((64, 64, 3), np.uint8), "black"),
        (np.random.default_rng(0).integers(0, 6, (480, 640, 3), dtype=np.uint8), "black"),
        (np.full((64, 64, 3), 255, np.uint8), "saturated"),
        (np.full((64, 64, 3), 120, np.uint8), "one colour"),
        (np.full((64, 64, 3), (0, 200, 0), np.uint8), "one colour"),
    ],
)
def test_an_image_without_anything_in_it_is_named(image, part):
    assert part in blank(image)
    with pytest.raises(ImageFault, match=part):
        FrameWatch().check(image, REST)


@given(st.integers(0, 2**32), st.floats(0.12, 1.0))
@settings(max_examples=30, deadline=None)
def test_a_dim_picture_is_one(seed, light):
    assert not blank((picture(seed) * light).astype(np.uint8))


def test_the_same_image_at_rest_is_none_of_its_business():
    watch = FrameWatch()
    for _ in range(1000):
        watch.check(picture(), REST)


def test_an_image_has_to_change_when_the_arm_has_moved():
    watch = FrameWatch()
    watch.check(picture(), REST)
    watch.check(picture(), REST + 0.01)
    with pytest.raises(ImageFault, match="repeats one image: it did not change while a joint moved by 0.30 rad"):
        watch.check(picture(), REST + 0.3)
    with pytest.raises(ImageFault):
        watch.check(picture(), REST + 0.3)  # still not
    watch.check(picture(1), REST + 0.3)  # it is back
    watch.check(picture(1), REST + 0.3)


def test_small_steps_add_up():
    watch = FrameWatch()
    with pytest.raises(ImageFault):
        for step in range(10):
            watch.check(picture(), REST + 0.02 * step)


def test_arm_and_image_back_where_they_were_are_sound():
    watch = FrameWatch()
    for joints, seed in ((0.0, 0), (1.0, 1), (0.0, 0), (0.0, 0)):
        watch.check(picture(seed), REST + joints)


class MovingCell(FakeCell):
    """Its joints and images follow the arm; `broken` makes an image of the sound one."""

    def __init__(self):
        super().__init__()
        self.broken = lambda image: image
        self.arm.joint_positions = lambda: np.append(self.arm.current, [self.arm.out_of_view, 0.0, 0.0])
        self.camera.frame = self._frame
        self.robot = replace(self.robot, camera=WatchedCamera(self.camera, self.arm))

    def _frame(self):
        self.clock.sleep(0.03)
        seed = [abs(round(value * 1e6)) for value in self.arm.joint_positions()]
        image = np.random.default_rng(seed).integers(0, 256, (96, 128, 3), dtype=np.uint8)
        return Frame(self.broken(image), self.clock.now())


def run(cell, judge):
    return EpisodeRunner(cell.robot, cell.profile, ListPolicy(), judge, judge).run("e1")


@pytest.mark.parametrize(
    "breaks", [lambda image: picture(5, 96), np.zeros_like, lambda image: np.full_like(image, 255)]
)
def test_a_grasp_of_a_broken_camera_is_discarded_with_the_cause_and_not_judged(breaks):
    cell, recorder = MovingCell(), Recorder()
    run(cell, recorder)
    assert recorder.phases[-1] == "done"
    recorder.evidence, cell.broken = None, breaks
    with pytest.raises(EpisodeDiscarded) as error:
        run(cell, recorder)
    assert isinstance(error.value.__cause__, ImageFault)
    assert recorder.phases[-1] == "discarded" and recorder.evidence is None
    cell.broken = lambda image: image
    run(cell, recorder)
    assert recorder.phases[-1] == "done"


def test_evidence_without_anything_in_it_is_not_judged():
    profile = RobotProfile()
    shape = (profile.camera.height, profile.camera.width, 3)
    sound, black = (
        Frame(image, 1.0) for image in (picture(0, 1000)[: shape[0], : shape[1]], np.zeros(shape, np.uint8))
    )
    with pytest.raises(ImageFault, match="black"):
        GraspDetector(profile)(GraspEvidence(0.5, 0.5, black, sound, None))
    for opening in (float("nan"), float("inf")):
        with pytest.raises(RobotError, match="opening is not known"):
            GraspDetector(profile)(GraspEvidence(0.5, opening))
