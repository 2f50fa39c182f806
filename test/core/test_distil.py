"""A student that sees in any look what its teacher sees at home."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from robot_finetune.config import ConfigError, policy_folder
from robot_finetune.experiments.distil import DistilConfig, Distillation, lesson_of
from robot_finetune.experiments.looks import LookConfig, Moments, looks
from robot_finetune.learning.augmentation import AugmentationConfig, errors_of_pose, in_tool_frame
from robot_finetune.learning.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from robot_finetune.learning.distillation import DistillationConfig, Distiller
from robot_finetune.learning.mirror import Mirror, q_function
from robot_finetune.learning.networks.build import build_network
from robot_finetune.learning.networks.compact import _brightness
from robot_finetune.learning.networks.interface import NetworkConfig, state_tensors
from robot_finetune.robot.profile import load_robot
from robot_finetune.sim.cell import Cell
from robot_finetune.sim.randomisation import Randomisation, randomise, usual_look
from robot_finetune.sim.variations import Variation, load_variation

STILL = AugmentationConfig(0.0, 0.0, 0.0, 0.0, 0.0, 0, 0.0)
SMALL = NetworkConfig(channels=4, hidden=8)
CONFIG = DistilConfig(rounds=2, round_episodes=3, round_updates=2, batch_size=4, episodes=2, network=SMALL)


@pytest.fixture(scope="module")
def profile():
    return load_robot("sim")


@pytest.fixture(scope="module")
def at_home():
    """The moments of two episodes of the shipped policy where everything looks as usual."""
    return Moments.joined(list(looks(LookConfig(str(policy_folder("")), usual=1.0), range(8, 10))))


def test_the_usual_look_of_a_randomised_scene_shows_the_same_things_at_the_same_places(profile):
    base = load_variation("base")
    changed = randomise(base, np.random.default_rng(3), config=Randomisation(mount=0.02, translucent=1.0))
    usual = usual_look(changed, base)
    assert usual.gripper == changed.gripper and usual.scene.camera == changed.scene.camera
    assert usual.scene.floor == base.scene.floor and usual.scene.objects.alpha == 1.0 > changed.scene.objects.alpha
    cell, twin, other = Cell(profile, changed), Cell(profile, usual), Cell(profile, usual)
    cell.reset(5)
    twin.reset(5)
    cell.command_gripper(0.3)
    cell.advance(0.3)
    before = twin.render().astype(int)
    twin.mimic(cell)
    np.testing.assert_allclose(twin.object_positions(), cell.object_positions(), atol=2e-3)
    other.reset(5)
    other.command_gripper(0.3)
    other.advance(0.3)
    shown, truth = twin.render().astype(int), other.render().astype(int)
    assert np.abs(shown - truth).mean() < 0.2 * np.abs(before - truth).mean(), "the fingers have moved"


def test_values_are_what_the_teacher_says_at_home(at_home, profile):
    teacher = load_checkpoint(policy_folder("")).network
    teacher.geometry.set_profile(profile)
    state = state_tensors(at_home.image[:1], at_home.pose[:1], at_home.opening[:1], at_home.step[:1])
    with torch.inference_mode():
        values = q_function(teacher, state, Mirror.of(profile))(torch.from_numpy(at_home.action[:1]))
    np.testing.assert_allclose(values.numpy(), at_home.value[:1], atol=1e-5)
    assert (at_home.action[:, 0, 6] > 0).all() and (at_home.action[:, 1:, 6] < 0).all(), "the first closes"


def test_looks_differ_from_day_to_day_and_what_is_asked_is_about_who_acts(at_home):
    config = LookConfig(str(policy_folder("")), str(policy_folder("")), acting=1.0, usual=0.0)
    moments = list(looks(config, [8, 12]))
    first, second = (parts.image[0].astype(int) for parts in moments)
    assert np.abs(first - at_home.image[0]).mean() > 5 < np.abs(second - first).mean()
    again = list(looks(config, [8, 12]))
    for one, other in zip(moments, again, strict=True):
        for array, same in zip(one, other, strict=True):
            np.testing.assert_array_equal(array, same)


def test_a_student_comes_near_its_teacher(at_home, profile):
    network = build_network(NetworkConfig(), 0)
    network.geometry.set_profile(profile)
    learner = Distiller(network, DistillationConfig(augmentation=STILL), Mirror.of(profile))
    rng, rows = np.random.default_rng(0), np.arange(len(at_home.step))
    told = [learner.update(lesson_of(at_home, rows, STILL, rng), 1e-3).divergence for _ in range(150)]
    assert np.mean(told[-5:]) < 0.3 * told[0]


def test_a_lesson_with_errors_of_the_pose_says_where_the_gripper_is_beside_them(at_home):
    config, rows = AugmentationConfig(calibration=0.05), np.arange(4)
    lesson = lesson_of(at_home, rows, config, np.random.default_rng(1))
    error = errors_of_pose(4, config, np.random.default_rng(1))
    assert np.abs(error).max() > 0.01
    np.testing.assert_allclose(lesson.state.pose, in_tool_frame(at_home.pose[rows], error), atol=1e-6)
    back = in_tool_frame(lesson.state.pose.numpy(), lesson.mount.numpy())
    np.testing.assert_allclose(back, in_tool_frame(at_home.pose[rows], at_home.mount[rows]), atol=1e-6)


def test_to_the_logarithm_a_shadow_is_one_shift():
    image = torch.tensor([[40, 80, 160, 240]], dtype=torch.uint8).reshape(1, 1, 2, 2)
    shift = _brightness(image, "log") - _brightness(image // 2, "log")
    assert shift.max() < 1.5 * shift.min()
    shift = _brightness(image, "linear") - _brightness(image // 2, "linear")
    assert shift.max() > 5 * shift.min()
    whole = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    assert (_brightness(whole, "log").diff() > 0).all() and _brightness(whole, "log").abs().max() < 1.0


def test_a_network_that_does_not_see_the_logarithm_says_so():
    with pytest.raises(ConfigError, match="encoding = 'log': network grasping44 sees brightness as it is"):
        NetworkConfig(name="grasping44", image_size=472, encoding="log")


def test_floors_of_a_contrast_are_bright_and_dark():
    config = Randomisation(patterned=1.0, contrast=1.0)
    for seed in range(10):
        floor = randomise(Variation(), np.random.default_rng(seed), config=config).scene.floor
        dark, bright = sorted((np.mean(floor.color), np.mean(floor.color2)))
        assert dark < 0.25 and bright > 0.65


def test_a_run_that_is_killed_within_a_round_ends_with_identical_weights(tmp_path, monkeypatch):
    torch.set_num_threads(1)
    teacher = policy_folder("")
    Distillation(CONFIG, tmp_path / "straight", teacher).run()
    broken, made = Distillation(CONFIG, tmp_path / "broken", teacher), []
    update = broken.learner.update

    def die(*arguments):
        made.append(update(*arguments))
        if len(made) == 3:
            raise KeyboardInterrupt
        return made[-1]

    monkeypatch.setattr(broken.learner, "update", die)
    with pytest.raises(KeyboardInterrupt):
        broken.run()
    resumed = Distillation(CONFIG, tmp_path / "broken", teacher)
    assert (resumed.round, resumed.learner.updates, len(resumed.moments)) == (2, 2, 2)
    resumed.run()
    best = [load_checkpoint(tmp_path / name / "best") for name in ("straight", "broken")]
    assert best[0].sha256 == best[1].sha256 and best[0].meta["updates"] == 4
    assert best[0].meta["from"] == load_checkpoint(teacher).sha256 and best[0].network.config == SMALL
    assert (tmp_path / "broken" / "best" / "replay.bin").read_bytes() == (teacher / "replay.bin").read_bytes()
    with pytest.raises(CheckpointError, match="other settings"):
        Distillation(replace(CONFIG, batch_size=6), tmp_path / "broken", teacher)


def test_a_teacher_without_its_replay_is_refused_before_anything_is_collected(tmp_path):
    save_checkpoint(tmp_path / "teacher", build_network(SMALL, 7), 1, 0, {})
    with pytest.raises(CheckpointError, match="replay.bin: no such file; give the folder of a policy with its replay"):
        Distillation(CONFIG, tmp_path / "run", tmp_path / "teacher")


def test_a_student_that_would_see_other_images_than_its_teachers_replay_has_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="image_size = 32: .* images have 64 px; set image_size: 64"):
        Distillation(replace(CONFIG, network=replace(SMALL, image_size=32)), tmp_path / "run", policy_folder(""))


def test_a_student_of_its_teachers_shape_begins_with_its_weights(tmp_path):
    network = build_network(SMALL, 7)
    save_checkpoint(tmp_path / "teacher", network, 1, 0, {})
    (tmp_path / "teacher" / "replay.bin").write_bytes(b"")
    for shape, same in ((replace(SMALL, encoding="log"), True), (replace(SMALL, hidden=12), False)):
        student = Distillation(
            replace(CONFIG, network=shape), tmp_path / f"{same}", tmp_path / "teacher"
        ).learner.network
        pairs = zip(student.parameters(), network.parameters(), strict=True)
        assert all(torch.equal(one, other) for one, other in pairs if one.shape == other.shape) is same
