"""The simulated cell: repeatable, true to its calibration, and changed by a variation as the variation says."""

import colorsys
from dataclasses import replace

import cv2
import numpy as np
import pytest

from robot_finetune.config import share_path
from robot_finetune.perception.camera_model import CameraModel
from robot_finetune.perception.scene_change import SceneComparison, bin_mask
from robot_finetune.robot.episode_runner import EpisodeRunner, RunnerConfig
from robot_finetune.robot.joint_trajectory import JointTrajectory
from robot_finetune.robot.profile import load_robot
from robot_finetune.sim.cell import Cell
from robot_finetune.sim.robot import sim_robot
from robot_finetune.sim.teacher_policy import TeacherPolicy
from robot_finetune.sim.variations import (
    CameraShift,
    Floor,
    GripperChange,
    Light,
    Objects,
    Scene,
    Tints,
    Variation,
    load_variation,
)
from robot_finetune.types import GraspOutcome

PROFILE = load_robot("sim")
CAMERA = CameraModel.from_config(PROFILE.camera)
BIN = SceneComparison(PROFILE).bin_mask


@pytest.fixture(scope="module")
def shared():
    """One cell for tests that put it back."""
    cell = Cell(PROFILE)
    yield cell
    cell.close()


@pytest.fixture
def cell(shared):
    shared.set_variation(Variation())
    shared.reset(0, at_start=True)
    return shared


def attempt(cell, seed, family="training", noise=0.0):
    """One scripted attempt; an Episode whose outcome is the truth."""
    cell.reset(seed, family, at_start=True)
    policy = TeacherPolicy(cell, noise, np.random.default_rng(seed))
    judge = lambda evidence: GraspOutcome(cell.held(), evidence={"opening": evidence.opening_lifted})  # noqa: E731
    return EpisodeRunner(sim_robot(cell), PROFILE, policy, judge, config=RunnerConfig(look=False)).run(str(seed))


def looks(cell, variation, seed=1):
    """float image of the cell in a variation, arm at its start pose."""
    cell.set_variation(variation)
    cell.reset(seed, at_start=True)
    return cell.render().astype(float)


@pytest.mark.parametrize("name", sorted(file.stem for file in share_path("config", "variations").glob("*.yaml")))
def test_every_shipped_variation_is_another_cell_in_which_an_attempt_comes_to_its_end(cell, name):
    variation = load_variation(name)
    base, changed = looks(cell, Variation()), looks(cell, variation)
    assert variation.name == name and np.array_equal(base, changed) == (name == "base")
    assert attempt(cell, 0).steps


@pytest.mark.parametrize("family", ["training", "held_out"])
def test_a_scripted_grasp_that_knows_the_scene_succeeds(cell, family):
    episodes = [attempt(cell, seed, family) for seed in range(20)]
    assert sum(episode.outcome.success for episode in episodes) >= 19
    openings = [episode.outcome.evidence["opening"] for episode in episodes if episode.outcome.success]
    assert min(openings) > 0.12, "the opening tells a held object from none"


@pytest.mark.parametrize("kinds", ["compounds", "hulls", "thin", "hollow"])
def test_objects_of_every_kind_rest_and_can_be_grasped(cell, kinds):
    cell.set_variation(Variation(scene=Scene(objects=Objects(family=kinds))))
    assert sum(attempt(cell, seed).outcome.success for seed in range(15)) >= 12
    for seed in range(15, 25):
        cell.reset(seed, at_start=True)
        before = cell.object_positions()
        assert (np.abs(before[:, :2] - PROFILE.bin_center) < PROFILE.bin_half).all()
        cell.advance(0.3)
        assert np.abs(cell.object_positions() - before).max() < 0.004, "settled"


def test_fingers_of_another_size_are_seen_and_close_to_the_same_gap(cell):
    base = looks(cell, Variation())
    cell.set_variation(Variation(gripper=GripperChange(finger_width=1.5, finger_thickness=1.5)))
    cell.reset(1, at_start=True)
    assert np.abs(cell.render() - base).max() > 30
    gripper = sim_robot(cell).gripper
    assert gripper.command(0.0) < 0.02 and gripper.command(1.0) == pytest.approx(1.0, abs=0.01)


def test_a_noisy_script_fails_often_and_acts_in_many_ways(cell):
    episodes = [attempt(cell, seed, noise=1.0) for seed in range(40)]
    assert 4 <= sum(episode.outcome.success for episode in episodes) <= 26
    actions = np.array([step.commanded.vector for episode in episodes for step in episode.steps])
    assert np.all(np.abs(actions) <= 1.0) and np.all(actions[:, :3].std(axis=0) > 0.1)
    heights = [episode.steps[-1].observation.pose[2] for episode in episodes if episode.end_reason == "closed"]
    assert max(heights) - min(heights) > 0.03, "some close too high"


def test_the_same_seed_gives_the_same_images_and_outcome_whatever_was_before(cell):
    first = attempt(cell, 7, noise=1.0)
    attempt(cell, 8, "held_out")
    again = attempt(cell, 7, noise=1.0)
    fresh = attempt(Cell(PROFILE, seed=99), 7, noise=1.0)
    for other in (again, fresh):
        assert other.outcome == first.outcome and len(other.steps) == len(first.steps)
        for a, b in zip(first.steps, other.steps, strict=True):
            np.testing.assert_array_equal(a.observation.image, b.observation.image)
            np.testing.assert_array_equal(a.observation.pose, b.observation.pose)


def test_scenes_differ_by_seed_and_rest_in_the_bin(cell):
    cell.reset(1)
    one = cell.object_positions()
    cell.reset(2)
    two = cell.object_positions()
    assert one.shape == (5, 3) and np.abs(one - two).max() > 0.01
    for seed in range(10):
        cell.reset(seed, "held_out")
        before = cell.object_positions()
        assert np.abs(before[:, :2] - PROFILE.bin_center).max() < PROFILE.bin_half_width
        cell.advance(0.3)
        assert np.abs(cell.object_positions() - before).max() < 0.004, "settled"


@pytest.mark.parametrize(("family", "gap"), [("training", 0.02), ("varied", 0.005)])
def test_held_out_objects_have_hues_and_proportions_of_their_own(cell, family, gap):
    hues, widths, aspects = {}, {}, {}
    for name in (family, "held_out"):
        shapes = []
        for seed in range(20):
            cell.reset(seed, name)
            shapes += [placed.shape for placed in cell.objects()]
        hues[name] = np.array([colorsys.rgb_to_hsv(*shape.color)[0] for shape in shapes])
        widths[name] = np.array([shape.half[0] for shape in shapes])
        aspects[name] = np.array(
            [shape.half[1 if shape.half[0] != shape.half[1] else 2] / shape.half[0] for shape in shapes]
        )
    apart = np.abs(hues[family][:, None] - hues["held_out"])
    assert np.minimum(apart, 1 - apart).min() > gap
    wide = {name: widths[name] > 0.0251 for name in widths}
    assert aspects[family][wide[family]].max() < 1.46 < 1.54 < aspects["held_out"][wide["held_out"]].min()
    between = aspects["held_out"][~wide["held_out"]]
    others = aspects[family][~wide[family]]
    assert between.min() > 1.69 and between.max() < 2.41 and not ((others > 1.71) & (others < 2.44)).any()
    with pytest.raises(ValueError, match="unknown object family 'tools': there are training, held_out, varied"):
        cell.reset(0, "tools")


def test_the_image_agrees_with_the_calibration_to_a_pixel(cell):
    cell.set_variation(Variation(scene=Scene(objects=Objects(count=1))))
    sim_robot(cell).arm.move_joints(np.array(PROFILE.out_of_view_joints))
    compared = 0
    for seed in range(0, 40, 2):
        images, pixels = [], []
        for other in (seed, seed + 1):
            cell.reset(other)
            images.append(cell.render().astype(int))
            pixels.append(CAMERA.project(cell.object_positions())[0])
        if np.linalg.norm(pixels[0] - pixels[1]) < 30:
            continue  # the two objects could be mistaken for each other
        rows, columns = np.nonzero((np.abs(images[0] - images[1]).max(axis=2) > 12) & BIN)
        changed = np.stack([columns, rows], axis=1)
        first = np.linalg.norm(changed - pixels[0], axis=1) < np.linalg.norm(changed - pixels[1], axis=1)
        for pixel, own in ((pixels[0], first), (pixels[1], ~first)):
            outline = changed[own]
            middle = (outline.min(axis=0) + outline.max(axis=0)) / 2
            assert np.abs(middle - pixel).max() <= 1.0
            compared += 1
    assert compared >= 8


def test_a_larger_image_is_the_same_view(cell):
    small, large = cell.render(64, 64), cell.render(256, 256)
    assert small.dtype == np.uint8 and large.shape == (256, 256, 3)
    averaged = large.reshape(64, 4, 64, 4, 3).mean(axis=(1, 3))
    assert np.abs(averaged - small).mean() < 6


def test_a_bin_may_be_longer_than_wide():
    cell = Cell(replace(PROFILE, bin_half_width=0.12, bin_half_depth=0.2), seed=3)
    half = np.array(cell.profile.bin_half)
    reached = np.zeros(2)
    for seed in range(12):
        cell.reset(seed)
        away = np.abs(cell.object_positions()[:, :2] - PROFILE.bin_center)
        assert (away < half).all()
        reached = np.maximum(reached, away.max(axis=0))
    assert reached[1] > 0.12 > reached[0], "they lie along all of it"
    _, seen = cell.in_view(), cell.render()
    mask = bin_mask(CameraModel.from_config(PROFILE.camera), cell.profile, 0.0)
    floor = np.abs(seen.astype(int) - np.median(seen[mask], axis=0)).max(axis=2) < 12
    rows, columns = np.nonzero(mask)
    assert np.ptp(columns) > 1.5 * np.ptp(rows) and floor[mask].mean() > 0.6
    attempt(cell, 2)
    cell.close()


@pytest.mark.parametrize("down", [0.0, 0.05, 0.174])
def test_a_bin_below_the_arm_s_base_is_seen_as_one_beside_it(down):
    lower = lambda place: (*place[:2], place[2] - down)  # noqa: E731
    camera = replace(PROFILE.camera, position=lower(PROFILE.camera.position), target=lower(PROFILE.camera.target))
    box = replace(PROFILE.workspace, low=lower(PROFILE.workspace.low), high=lower(PROFILE.workspace.high))
    start = (*lower(PROFILE.start_pose[:3]), 0.0)
    cell = Cell(replace(PROFILE, floor_z=-down, start_pose=start, workspace=box, camera=camera), seed=1)
    assert 0.02 < cell.in_view() < 0.1
    cell.close()


def test_out_of_view_hides_nothing_of_the_bin(cell):
    """Neither gripper nor a held object nor an offset gripper, whatever the variation."""
    posture = np.array(PROFILE.out_of_view_joints)
    for offset in (0.0, 0.10, -0.10):
        cell.set_variation(Variation(gripper=GripperChange(offset_m=offset, extension_m=0.04)))
        arm = sim_robot(cell).arm
        arm.move_joints(posture)
        there = cell.render()
        arm.move_joints(posture + [1.5, 0, 0, 0, 0, 0, 0])
        np.testing.assert_array_equal(there[BIN], cell.render()[BIN])


def test_closing_on_nothing_measures_zero_and_opening_is_measured(cell):
    gripper = sim_robot(cell).gripper
    assert gripper.opening() == pytest.approx(1.0, abs=0.01)
    assert gripper.command(0.0) < 0.02
    assert gripper.command(0.5) == pytest.approx(0.5, abs=0.02)
    assert cell.finger_position == pytest.approx(0.02, abs=0.001)


@pytest.mark.parametrize("place", [(0.6, 0.124), (0.765, -0.1)])
def test_a_descent_onto_the_wall_is_blocked_and_does_no_harm(cell, place):
    arm = sim_robot(cell).arm
    assert arm.move(np.array([*place, 0.12, 0.0])).reached
    result = arm.move(np.array([*place, 0.005, 0.0]))
    assert result.reason == "blocked" and result.pose[2] > 0.02
    cell.advance(0.5)
    assert np.abs(cell.joint_velocities).max() < 0.05
    assert arm.move(np.array(PROFILE.start_pose)).reached
    assert np.all(np.isfinite(cell.object_positions()))


def test_moves_arrive_where_they_were_sent(cell):
    arm = sim_robot(cell).arm
    for target in ([0.45, -0.2, 0.1, 1.2], [0.75, 0.2, 0.2, -1.2], [0.6, 0.0, 0.03, 0.0]):
        result = arm.move(np.array(target))
        assert result.reached
        np.testing.assert_allclose(result.pose, target, atol=0.002)


def test_a_trajectory_takes_its_time_and_a_new_one_replaces_it(cell):
    begin, start = cell.joint_positions, cell.time
    goal = begin + [0.3, 0, 0, 0, 0, 0, 0]
    cell.send(JointTrajectory(np.array([1.0]), goal[None]))
    cell.advance(0.5)
    assert cell.time - start == pytest.approx(0.5, abs=0.004) and cell.busy
    np.testing.assert_allclose(cell.joint_positions[0], begin[0] + 0.15, atol=0.015)
    cell.send(JointTrajectory(np.array([0.5]), begin[None]))
    for _ in range(100):
        cell.advance(0.007)
    assert not cell.busy
    np.testing.assert_allclose(cell.joint_positions, begin, atol=1e-3)


def test_checkerboard_changes_the_floor_only(cell):
    base, board = looks(cell, Variation()), looks(cell, load_variation("checkerboard_backing"))
    changed = np.abs(base - board).max(axis=2) > 20
    assert changed[BIN].mean() > 0.3 and changed[~BIN].mean() < 0.01
    floor = board[BIN].mean(axis=1)
    assert (floor < 40).mean() > 0.2 and (floor > 180).mean() > 0.2


def test_a_mottled_floor_has_spots_between_its_two_colours(cell):
    red, green = (0.8, 0.1, 0.1), (0.1, 0.8, 0.1)
    floor = Floor(pattern="mottled", color=red, color2=green, square=0.04, seed=3)
    seen = looks(cell, Variation(scene=Scene(floor=floor)))[BIN]
    assert (seen[:, 0] > 1.5 * seen[:, 1]).mean() > 0.1 and (seen[:, 1] > 1.5 * seen[:, 0]).mean() > 0.1
    other = looks(cell, Variation(scene=Scene(floor=replace(floor, seed=4))))[BIN]
    assert np.abs(seen - other).mean() > 10


def test_a_patched_floor_is_the_first_colour_with_sharp_pieces_of_the_second(cell):
    red, green = (0.8, 0.1, 0.1), (0.1, 0.8, 0.1)
    floor = Floor(pattern="patched", color=red, color2=green, square=0.04, seed=3)
    seen = looks(cell, Variation(scene=Scene(floor=floor)))[BIN]
    assert 0.3 < (seen[:, 0] > 2 * seen[:, 1]).mean() < 0.9 and (seen[:, 1] > seen[:, 0]).mean() > 0.05
    other = looks(cell, Variation(scene=Scene(floor=replace(floor, seed=4))))[BIN]
    assert np.abs(seen - other).mean() > 10


def test_a_second_lamp_lights_what_the_first_leaves_dark(cell):
    light = load_variation("harsh_lighting").scene.light
    alone = looks(cell, Variation(scene=Scene(light=light)))[BIN]
    both = looks(cell, Variation(scene=Scene(light=replace(light, second=1.0, second_direction=(0.0, -1.0, -1.0)))))
    dark = alone.max(axis=1) < 30
    assert dark.mean() > 0.1 and (both[BIN] - alone)[dark].max(axis=1).mean() > 30


def test_parts_are_tinted_and_nothing_else(cell):
    base = looks(cell, Variation())
    tinted = looks(cell, Variation(scene=Scene(tints=Tints(table=(2.0, 0.5, 0.5)))))
    changed = np.abs(tinted - base).max(axis=2) > 20
    assert changed[~BIN].mean() > 0.2 and changed[BIN].mean() < 0.03
    assert (tinted[changed][:, 0] > base[changed][:, 0]).all()


def test_a_camera_that_was_bumped_sees_the_bin_elsewhere(cell):
    base = looks(cell, Variation())
    for shift in (CameraShift(offset=(0.0, 0.05, 0.0)), CameraShift(turn=(0.0, 3.0, 0.0)), CameraShift(zoom=1.1)):
        assert np.abs(looks(cell, Variation(scene=Scene(camera=shift))) - base).mean() > 3
    turned = looks(cell, Variation(scene=Scene(camera=CameraShift(turn=(0.0, 0.0, 10.0)))))
    back = cv2.warpAffine(turned, _about_the_centre(turned, 10.0), turned.shape[1::-1])
    assert np.abs(back - base)[BIN].mean() < 0.3 * np.abs(turned - base)[BIN].mean(), "the image turns the other way"


def _about_the_centre(image, degrees):
    height, width = image.shape[:2]
    return cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)


def test_harsh_light_is_uneven_with_shadows(cell):
    base, harsh = looks(cell, Variation()), looks(cell, load_variation("harsh_lighting"))
    assert (harsh[BIN].max(axis=1) < 30).mean() > (base[BIN].max(axis=1) < 30).mean() + 0.1, "dark corners"
    light = load_variation("harsh_lighting").scene.light
    soft = Light(light.direction, light.intensity, light.ambient, False, light.color)
    unshadowed = looks(cell, Variation(scene=Scene(light=soft)))
    assert ((unshadowed - harsh)[BIN].max(axis=1) > 30).mean() > 0.05


def test_bottles_are_see_through(cell):
    bottles = load_variation("transparent_bottles")
    clear = looks(cell, bottles)
    assert {placed.shape.kind for placed in cell.objects()} == {"bottle"}
    opaque = looks(cell, Variation(scene=Scene(objects=Objects(family="bottles"))))
    floor = np.median(opaque[BIN], axis=0)
    through = BIN & (np.abs(opaque - clear).max(axis=2) > 15)  # where the bottles are
    contrast = [np.abs(image - floor)[through].mean() for image in (clear, opaque)]
    assert through[BIN].mean() > 0.02 and contrast[0] < 0.6 * contrast[1]
    assert attempt(cell, 3).end_reason == "closed"


def test_longer_fingers_touch_the_floor_first(cell):
    heights = []
    for name in ("base", "extend_gripper_1cm"):
        cell.set_variation(load_variation(name))
        cell.reset(0, at_start=True)
        arm = sim_robot(cell).arm
        corner = [0.47, -0.14]
        arm.move(np.array([*corner, 0.05, 0.0]))
        heights.append(arm.move(np.array([*corner, 0.005, 0.0])).pose[2])
    assert heights[0] == pytest.approx(0.005, abs=0.001)
    assert heights[1] > heights[0] + 0.001


@pytest.mark.parametrize(("name", "offset"), [("offset_gripper_3cm", 0.03), ("offset_gripper_10cm", 0.10)])
def test_a_moved_gripper_is_elsewhere_in_the_image_and_the_controller_does_not_know(cell, name, offset):
    poses, columns = [], []
    for variation in (Variation(), load_variation(name)):
        cell.set_variation(variation)
        cell.reset(0, at_start=True)
        poses.append(sim_robot(cell).arm.pose())
        image = cell.render().astype(int)
        palm = (image.max(axis=2) < 48) & ~BIN & (np.arange(128)[:, None] < 64)
        columns.append(np.nonzero(palm)[1].mean())
    np.testing.assert_allclose(poses[0], poses[1], atol=1e-6)
    shift = CAMERA.project(np.array([[0.6, 0.0, 0.3], [0.6, -offset, 0.3]]))
    assert columns[1] - columns[0] == pytest.approx(shift[1, 0] - shift[0, 0], abs=6)
    if offset > 0.08:  # more than the jaw's width
        assert sum(attempt(cell, seed).outcome.success for seed in range(6)) <= 1, "right for the old gripper only"


def test_a_variation_changes_the_cell_while_it_works(cell):
    robot = sim_robot(cell)
    robot.arm.move(np.array([0.5, 0.1, 0.15, 0.5]))
    pose, time = robot.arm.pose(), cell.time
    cell.set_variation(load_variation("checkerboard_backing"))
    np.testing.assert_allclose(robot.arm.pose(), pose, atol=1e-6)
    assert cell.time >= time
    assert robot.arm.move(np.array(PROFILE.start_pose)).reached


def test_new_objects_leave_a_moving_arm_alone(cell):
    begin = cell.joint_positions
    goal = begin + [0.2, 0, 0, 0, 0, 0, 0]
    cell.send(JointTrajectory(np.array([0.5]), goal[None]))
    cell.advance(0.25)
    halfway, time = cell.joint_positions, cell.time
    cell.reset(5)
    np.testing.assert_array_equal(cell.joint_positions, halfway)
    assert cell.time == time
    cell.advance(0.5)
    np.testing.assert_allclose(cell.joint_positions, goal, atol=2e-3)
