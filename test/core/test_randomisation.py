"""Scene randomisation: whatever the seed, a scene that the schema allows; strength 0 changes nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_finetune.config import ConfigError, from_mapping, to_mapping
from robot_finetune.perception.camera_model import CameraModel
from robot_finetune.robot.profile import load_robot
from robot_finetune.sim.appearance import bin_in_view
from robot_finetune.sim.cell import Cell
from robot_finetune.sim.randomisation import Randomisation, place_camera, randomise, randomise_in_view
from robot_finetune.sim.robot import sim_robot
from robot_finetune.sim.variations import CameraShift, Imaging, Kinds, Objects, Scene, Variation, load_variation

PROFILE = load_robot("sim")
WIDE = Randomisation(camera=0.08, turn=6.0, zoom=0.1)
"""A camera that is anywhere about its place."""

NAMES = ("base", "harsh_lighting", "extend_gripper_1cm", "offset_gripper_10cm")


@given(name=st.sampled_from(NAMES), seed=st.integers(0, 2**32 - 1), strength=st.floats(0.0, 3.0))
def test_any_randomised_scene_is_a_valid_variation(name: str, seed: int, strength: float) -> None:
    changed = randomise(load_variation(name), np.random.default_rng(seed), strength)
    assert from_mapping(Variation, to_mapping(changed), "randomised") == changed
    assert changed == randomise(load_variation(name), np.random.default_rng(seed), strength)


@given(name=st.sampled_from(NAMES), seed=st.integers(0, 2**32 - 1))
def test_strength_zero_leaves_the_scene_as_it_is(name: str, seed: int) -> None:
    variation = load_variation(name)
    assert randomise(variation, np.random.default_rng(seed), 0.0) == variation


def test_fingers_are_never_shorter_than_the_controller_thinks() -> None:
    lengths = [randomise(Variation(), np.random.default_rng(seed)).gripper.extension_m for seed in range(200)]
    assert min(lengths) >= 0 and 0.002 < np.mean(lengths) < 0.006


def test_what_a_variation_asks_for_stays() -> None:
    scene = replace(
        Variation().scene,
        image=Imaging(read=20.0, jpeg=10),
        objects=replace(Variation().scene.objects, kinds=Kinds(thin=1.0)),
    )
    for seed in range(30):
        changed = randomise(Variation(scene=scene), np.random.default_rng(seed)).scene
        assert changed.image.read >= 20 and changed.image.jpeg == 10 and changed.objects.kinds == Kinds(thin=1.0)


def test_days_have_faults_of_the_image_as_often_and_as_strong_as_asked() -> None:
    images = [randomise(Variation(), np.random.default_rng(seed)).scene.image for seed in range(400)]
    faults = Randomisation().image
    for part, values, largest in (
        (faults.noisy, [image.shot for image in images], faults.shot),
        (faults.blurred, [image.defocus for image in images], faults.defocus),
        (faults.shaken, [image.motion for image in images], faults.motion),
    ):
        assert np.mean(np.array(values) > 0) == pytest.approx(part, abs=0.08)
        assert 0.9 * largest < max(values) <= largest


@pytest.mark.parametrize("seed", range(4))
def test_a_scene_with_a_camera_anywhere_is_built_and_shows_its_objects_at_rest_in_the_bin(seed: int) -> None:
    variation = randomise_in_view(PROFILE, Variation(), np.random.default_rng(seed), 1.5, config=WIDE)
    cell = Cell(PROFILE, variation, seed)
    assert cell.in_view() > 0.002
    before = cell.object_positions()
    cell.advance(0.3)
    assert (np.abs(before[:, :2] - PROFILE.bin_center) < PROFILE.bin_half).all()
    assert np.abs(cell.object_positions() - before).max() < 0.01
    cell.close()


def test_a_scene_out_of_view_is_drawn_again_and_one_in_view_never() -> None:
    assert bin_in_view(PROFILE, CameraShift()) == 1.0
    assert bin_in_view(PROFILE, CameraShift(turn=(0.0, 20.0, 0.0))) < 0.5
    lost = 0
    for seed in range(40):
        drawn = [np.random.default_rng(seed) for _ in range(3)]
        first = randomise(Variation(), drawn[0], config=WIDE)
        kept = randomise_in_view(PROFILE, Variation(), drawn[1], config=WIDE)
        assert bin_in_view(PROFILE, kept.scene.camera) >= 0.85
        lost += kept != first
        assert randomise_in_view(PROFILE, Variation(), drawn[2]) == randomise(Variation(), np.random.default_rng(seed))
    assert 2 < lost < 30
    anywhere = Randomisation(camera=0.15, turn=15.0, zoom=0.2)
    with pytest.raises(ConfigError, match="camera = 0.15, turn = 15.0, .* the bin is hardly ever in view"):
        for seed in range(400):
            randomise_in_view(PROFILE, Variation(), np.random.default_rng(seed), 3.0, config=anywhere)


def test_a_camera_elsewhere_sees_the_whole_bin_from_as_far_aside_as_asked() -> None:
    center = np.array([*PROFILE.bin_center, PROFILE.floor_z])
    towards = np.array(PROFILE.camera.position) - center
    config, moved = Randomisation(elsewhere=0.5, azimuth=40.0, elevation=(50.0, 70.0)), []
    for seed in range(60):
        camera = place_camera(PROFILE, np.random.default_rng(seed), config=config)
        if camera == PROFILE.camera:
            continue
        assert bin_in_view(replace(PROFILE, camera=camera), CameraShift()) >= 0.85
        x, y, z = np.array(camera.position) - center
        moved.append(np.degrees([np.arctan2(y, x) - np.arctan2(towards[1], towards[0]), np.arctan2(z, np.hypot(x, y))]))
    aside, height = np.array(moved).T
    assert 15 < len(moved) < 45 and 25 < np.abs(aside).max() <= 40 and 50 <= height.min() < 55 < 65 < height.max() <= 70
    assert place_camera(PROFILE, np.random.default_rng(0)) == PROFILE.camera
    corner = replace(PROFILE, camera=replace(PROFILE.camera, crop=(0, 0, 30)))  # where these cameras see no bin
    with pytest.raises(ConfigError, match="elevation .* the bin is hardly ever in the view"):
        place_camera(corner, np.random.default_rng(0), config=replace(config, elsewhere=1.0))


@pytest.mark.parametrize("seed", range(3))
def test_the_image_of_a_camera_elsewhere_agrees_with_what_policies_are_told(seed: int) -> None:
    camera = place_camera(PROFILE, np.random.default_rng(seed), config=Randomisation(elsewhere=1.0))
    cell = Cell(PROFILE)
    sim_robot(cell).arm.move_joints(np.array(PROFILE.out_of_view_joints))
    cell.set_variation(Variation(scene=Scene(objects=Objects(count=1))), camera)
    images, pixels = [], []
    for scene in (5, 7):
        cell.reset(scene)
        images.append(cell.render().astype(int))
        pixels.append(CameraModel.from_config(camera).project(cell.object_positions())[0])
    cell.close()
    rows, columns = np.nonzero(np.abs(images[0] - images[1]).max(axis=2) > 12)
    changed = np.stack([columns, rows], axis=1)
    for pixel in pixels:
        assert np.linalg.norm(changed - pixel, axis=1).min() < 3, "something is where the object should be"
    near = np.min([np.linalg.norm(changed - pixel, axis=1) for pixel in pixels], axis=0)
    assert np.median(near) < 10, "and hardly anything elsewhere"
