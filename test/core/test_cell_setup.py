"""The set-up of a cell, without ROS: what its measurements say, and the whole walk on the simulated cell in process."""

import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_finetune.cell_setup.console import Console, InputEnded
from robot_finetune.cell_setup.draft import Draft, slowed
from robot_finetune.cell_setup.framing import SHARE, bin_share, suggest_crop
from robot_finetune.cell_setup.jogging import target_of
from robot_finetune.cell_setup.measurements import (
    BadMeasurement,
    empty_opening,
    locate_camera,
    measure_bin,
    measure_images,
    tip_error,
)
from robot_finetune.cell_setup.set_up import open_draft
from robot_finetune.cell_setup.wizard import Cell as SetupCell
from robot_finetune.cell_setup.wizard import Wizard, dry_run_poses
from robot_finetune.config import ConfigError
from robot_finetune.perception.camera_model import CameraModel
from robot_finetune.perception.cell_drawing import BIN, draw_cell
from robot_finetune.robot.kinematics import Kinematics, Unreachable
from robot_finetune.robot.profile import load_robot
from robot_finetune.robot.reach import largest_yaw, out_of_reach
from robot_finetune.sim.cell import Cell
from robot_finetune.sim.robot import sim_robot

SQUARE = np.array([(0.45, -0.15), (0.75, -0.15), (0.75, 0.15), (0.45, 0.15)])


@given(
    st.floats(-1, 1), st.floats(-1, 1), st.floats(0.05, 0.4), st.one_of(st.just(0.0), st.floats(0.02, 0.3)),
    st.floats(-0.3, 0.3), st.permutations(range(4)).filter(lambda order: abs(order[0] - order[2]) == 2),
)  # fmt: skip
def test_a_bin_is_measured_from_its_corners_in_either_turn(x, y, half, longer, floor, order):
    halves = np.array([half, half + longer])
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * halves + [x, y]
    measured = measure_bin(corners[list(order)], floor, 0.005)
    assert measured.center == pytest.approx([x, y], abs=1e-9)
    assert measured.half == pytest.approx(halves)
    assert measured.low == pytest.approx([x - half + 0.02, y - half - longer + 0.02, floor + 0.005])
    assert (measured.high[:2] < corners.max(axis=0)).all()


@pytest.mark.parametrize(
    ("corners", "cause"),
    [
        (SQUARE[[0, 2, 1, 3]], "sides"),
        (SQUARE[[0, 0, 2, 3]], "two corners"),
        (SQUARE @ np.array([(0.97, 0.24), (-0.24, 0.97)]), "turned"),
    ],
)
def test_corners_that_are_no_bin_are_refused(corners, cause):
    with pytest.raises(BadMeasurement, match=cause):
        measure_bin(corners, 0.0, 0.005)


@given(
    st.tuples(st.floats(-0.1, 0.1), st.floats(-0.1, 0.1)),
    st.floats(-3, 3),
    st.floats(0.6, 3.0),
    st.sampled_from([-1, 1]),
)
def test_a_tip_frame_beside_the_finger_tips_is_found_by_touching_twice(beside, yaw, turn, way):
    point, poses = np.array([0.6, 0.1, 0.02]), []
    for angle in (yaw, yaw + way * turn):
        c, s = np.cos(angle), np.sin(angle)
        poses.append(np.array([*(point[:2] - np.array([[c, -s], [s, c]]) @ beside), 0.02, angle]))
    assert tip_error(*poses) == pytest.approx(beside, abs=1e-9)
    with pytest.raises(BadMeasurement, match="same point"):
        tip_error(poses[0], poses[1] + [0, 0, 0.01, 0])
    with pytest.raises(BadMeasurement, match="turn"):
        tip_error(poses[0], poses[0] + [0, 0, 0, 0.1])


def test_the_camera_is_found_from_the_corners_of_the_bin():
    config = load_robot("sim").camera
    corners = np.hstack([SQUARE, np.full((4, 1), 0.01)])
    pixels = CameraModel.from_config(config).project(corners)
    position, target = locate_camera(corners, np.round(pixels), config.focal, (config.width, config.height))
    assert position == pytest.approx(config.position, abs=0.03)
    axis = np.subtract(config.target, config.position)
    assert np.dot(target - position, axis) / np.linalg.norm(target - position) / np.linalg.norm(axis) > 0.999
    with pytest.raises(BadMeasurement):
        locate_camera(corners, pixels[[0, 2, 1, 3]], config.focal, (config.width, config.height))


def test_noise_and_wander_are_told_apart():
    rng = np.random.default_rng(0)
    still = [np.clip(100 + rng.normal(0, 3, (48, 64, 3)), 0, 255).astype(np.uint8) for _ in range(10)]
    measured = measure_images(still)
    assert measured.noise == pytest.approx(3, abs=0.4) and measured.wander < 0.01
    assert measure_images([still[0], (still[0] * 0.9).astype(np.uint8)]).wander == pytest.approx(0.1, abs=0.02)


def test_the_limit_of_an_empty_gripper_lies_below_the_thinnest_object():
    assert empty_opening([0.0, 0.01], None) == 0.06
    assert empty_opening([0.02], 0.2) == pytest.approx(0.11)
    with pytest.raises(BadMeasurement, match="told apart"):
        empty_opening([0.05], 0.06)


def test_jogging_takes_small_steps_only():
    pose = np.array([0.6, 0.0, 0.2, 0.0])
    assert target_of("x -20", pose) == pytest.approx([0.58, 0.0, 0.2, 0.0])
    assert target_of("yaw 90", pose)[3] == pytest.approx(np.pi / 2)
    for command in ("x 2000", "x", "up 3", "to 1 2", "x nan", "z much"):
        with pytest.raises(ValueError, match="mm"):
            target_of(command, pose)


def test_the_drawing_shows_the_bin_where_it_is():
    profile = load_robot("sim")
    cell = Cell(profile)
    image = cell.render()
    drawn = draw_cell(image, profile)
    corner = np.array([[profile.bin_center[0] - profile.bin_half_width, profile.bin_center[1], profile.floor_z]])
    column, row = np.round(CameraModel.from_config(profile.camera).project(corner)[0]).astype(int)
    assert (drawn[row - 1 : row + 2, column - 1 : column + 2] == BIN).all(axis=-1).any()
    assert not np.array_equal(image, drawn)
    cell.close()


@given(st.floats(150, 900), st.floats(-0.1, 0.1), st.floats(0.06, 0.2))
def test_the_square_that_is_suggested_shows_the_bin_as_in_training_or_as_large_as_it_can(focal, aside, half):
    profile = load_robot("sim")
    camera = replace(profile.camera, width=640, height=480, focal=focal, crop=None)
    profile = replace(profile, camera=camera, bin_half_width=half, bin_center=(0.6, aside))
    crop = suggest_crop(profile)
    cropped = replace(profile, camera=replace(camera, crop=crop))  # refused if it were not within the image
    share = bin_share(cropped)
    assert share == pytest.approx(SHARE, abs=0.02) or (crop[2] == 480 and share > SHARE)


def test_the_simulated_cell_needs_no_other_square():
    profile = load_robot("sim")
    assert bin_share(profile) == pytest.approx(SHARE, abs=0.01)
    assert suggest_crop(profile) == pytest.approx((0, 0, 128), abs=2)


def test_a_bin_that_is_small_in_the_image_gets_a_crop(walk, tmp_path):
    wizard, draft = walk(["skip", "skip", "skip", "y", "skip", "n", "n"])
    draft.measured(bin_half_width=0.08)
    wizard.console = Console(io.StringIO("y\n"), wizard.output)
    wizard._frame()
    left, top, side = draft.profile.camera.crop
    assert side < 80 and "% of the square" in wizard.output.getvalue()
    assert left > 20 and top + side <= 128


def test_motions_of_the_dry_run_stay_in_the_workspace():
    profile = load_robot("sim")
    poses = dry_run_poses(profile)
    assert len(poses) == 10
    for pose in poses:
        assert (np.array(profile.workspace.low) <= pose[:3]).all() and (pose[:3] <= profile.workspace.high).all()
        assert abs(pose[3]) <= profile.workspace.max_yaw


def corner_commands(profile, reach):
    (x, y), z = profile.bin_center, 0.05
    for dx, dy in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        yield from (f"to {x + dx * reach} {y + dy * reach} {z}", "")


@pytest.fixture
def walk(tmp_path):
    """walk(answers) runs the wizard on the simulated cell; returns it, its draft and what was said."""
    cell = Cell(load_robot("sim"), seed=4)  # nothing lies in the middle of the bin

    def start(answers):
        draft = Draft("sim", tmp_path / "cell.yaml")
        cell.profile = slowed(draft.profile)
        robot, out = sim_robot(cell), io.StringIO()
        devices = SetupCell(robot, lambda: cell.finger_position, cell.render, lambda: 0.0, lambda profile: None)
        wizard = Wizard(devices, draft, Console(io.StringIO("\n".join(answers) + "\n"), out))
        wizard.output = out
        try:
            wizard.run()
        except InputEnded as error:
            wizard.ended = error
        return wizard, draft

    yield start
    cell.close()


def test_a_walk_measures_the_simulated_cell(walk, tmp_path):
    profile = load_robot("sim")
    answers = ["", "skip", *corner_commands(profile, 0.12), "to 0.6 0 0.02", "z -10", ""]
    answers += ["n", "y", "skip", "y", "n", *["y"] * 10]
    wizard, draft = walk(answers)
    assert wizard.unfinished == [], wizard.output.getvalue()
    measured = load_robot(tmp_path / "cell.yaml")
    assert measured.bin_center == pytest.approx(profile.bin_center, abs=0.005)
    assert measured.bin_half_width == pytest.approx(0.12, abs=0.005)
    assert measured.floor_z == pytest.approx(0.01, abs=0.005)
    assert measured.gripper.open_position == pytest.approx(profile.gripper.open_position, abs=0.002)
    assert measured.gripper.closed_position == pytest.approx(profile.gripper.closed_position, abs=0.002)
    assert measured.gripper.command(1.0) == profile.gripper.command(1.0)
    assert (tmp_path / "cell_camera.png").is_file()
    assert "min_difference" in (tmp_path / "cell_params.yaml").read_text()


def test_what_was_measured_before_the_input_ends_is_written(walk, tmp_path):
    wizard, _ = walk(["", "skip", *corner_commands(load_robot("sim"), 0.12), "z -40", ""])
    assert "has ended" in str(wizard.ended)
    assert load_robot(tmp_path / "cell.yaml").bin_half_width == pytest.approx(0.12, abs=0.005)


def test_nothing_moves_without_a_yes(walk):
    wizard, draft = walk(["skip", "skip", "skip", "y", "skip", "n", "n"])
    arm = wizard.cell.robot.arm
    assert arm.pose() == pytest.approx(load_robot("sim").start_pose, abs=0.002)
    assert wizard.cell.robot.gripper.opening() > 0.9
    assert wizard.unfinished == ["the dry run was not done: start setup again before the first session"]


def test_a_tip_frame_that_is_off_is_told(walk):
    touched = ["", "", "yaw 60", "x 40", "", "n"]  # the tip had to go 4 cm aside to touch the point again
    wizard, _ = walk([*touched, "skip", "y", "skip", "n", "n"])
    assert "tip_frame is 40 mm off" in wizard.unfinished[0], wizard.output.getvalue()


class Wrist:
    """Kinematics that end at a yaw of 1.25 rad."""

    def inverse(self, pose):
        if abs(pose[3]) > 1.25:
            raise Unreachable(f"joint_7 at the limit for {pose[3]:.1f}")


def test_a_yaw_is_suggested_at_which_the_whole_workspace_can_be_taken():
    profile = load_robot("sim")
    missed, tried = out_of_reach(profile, Wrist())
    assert len(missed) == 64 and tried == 96 and "joint_7 at the limit" in missed[0]
    assert largest_yaw(profile, Wrist()) == 1.2


def test_a_workspace_that_the_arm_cannot_reach_is_told(walk, tmp_path):
    far = replace(load_robot("sim").workspace, high=(0.95, 0.165, 0.3))
    profile = replace(load_robot("sim"), workspace=far)
    missed, tried = out_of_reach(profile, Kinematics(profile))
    assert 0 < len(missed) < tried and largest_yaw(profile, Kinematics(profile)) == 0.0
    wizard, draft = walk(["skip", "skip", "skip", "y", "skip", "n", "n"])
    assert "All of 96 poses over the workspace can be taken." in wizard.output.getvalue()
    draft.measured(workspace__high=far.high)
    wizard._reach()
    assert "poses over the workspace cannot be taken" in wizard.unfinished[-1]


def test_measured_keys_leave_the_list_of_place_holders(tmp_path):
    draft = Draft("fr3", tmp_path / "mine.yaml", "bench")
    before = draft.profile.to_measure
    draft.measured(floor_z=0.0123456, gripper__open_position=np.float64(0.0391))
    again = Draft("sim", tmp_path / "mine.yaml").profile
    assert again.name == "bench" and again.floor_z == 0.0123
    assert set(before) - set(again.to_measure) == {"floor_z", "gripper.open_position"} & set(before)


def test_what_setup_cannot_measure_has_to_be_given_first(tmp_path):
    with pytest.raises(ConfigError, match="urdf"):
        open_draft("template", tmp_path / "x.yaml")
    with pytest.raises(ConfigError, match="yaml"):
        open_draft("sim", tmp_path / "x.txt")


def test_a_square_bin_takes_the_place_of_a_longer_one_that_was_measured_before(walk):
    wizard, draft = walk(["skip", "skip", "skip", "y", "skip", "n", "n"])
    draft.measured(bin_half_depth=0.25)
    wizard.console = Console(
        io.StringIO("\n".join([*corner_commands(load_robot("sim"), 0.12), ""]) + "\n"), wizard.output
    )
    wizard._bin()
    assert draft.profile.bin_half == pytest.approx((0.12, 0.12), abs=0.005)
