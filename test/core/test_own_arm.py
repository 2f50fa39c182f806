"""The simulated cell of other arms: their joints, grippers and shapes, and what is taken for what they lack."""

from dataclasses import replace

import mujoco
import numpy as np
import own_arm
import pytest

from robot_finetune.config import ConfigError, share_path
from robot_finetune.data.step_arrays import from_png
from robot_finetune.experiments.cell_picture import write_picture
from robot_finetune.experiments.evaluate import evaluate
from robot_finetune.experiments.pretrain import check_view
from robot_finetune.robot.episode_runner import EpisodeRunner, RunnerConfig
from robot_finetune.robot.kinematics import Kinematics
from robot_finetune.robot.profile import load_robot
from robot_finetune.sim.cell import Cell
from robot_finetune.sim.mesh_files import coarse, read_mesh, to_obj
from robot_finetune.sim.robot import sim_robot
from robot_finetune.sim.robot_model import robot_model
from robot_finetune.sim.scene import build_model
from robot_finetune.sim.teacher_policy import TeacherPolicy
from robot_finetune.sim.variations import GripperChange, Variation
from robot_finetune.types import GraspOutcome

PANDA = "examples/pybullet_panda/panda.yaml"
CUBE = np.array([(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
UNCHANGED = GripperChange()
FACES = np.array([(0, 1, 3), (0, 3, 2), (4, 6, 7), (4, 7, 5), (0, 4, 5), (0, 5, 1), (2, 3, 7), (2, 7, 6)])


def rotating(folder, text=""):
    """The profile of an arm whose fingers turn; text: another description of them."""
    profile = own_arm.profile(folder, gripper=text or own_arm.rotating_fingers())
    gripper = replace(profile.gripper, joint="left_knuckle", open_position=-0.35, closed_position=0.0)
    return replace(profile, gripper=gripper)


def fingers(profile, pose, change=UNCHANGED):
    """Middle and lowest point of the closed fingers' shapes, as the model has them with the arm at a tip pose."""
    model, robot = build_model(profile, Variation(gripper=change)), robot_model(profile)
    data = mujoco.MjData(model)
    for name, value in zip(profile.joints, Kinematics(profile).inverse(pose), strict=True):
        data.joint(name).qpos[0] = value
    mujoco.mj_kinematics(model, data)
    shapes = [i for i in range(model.ngeom) if model.body(model.geom_bodyid[i]).name in robot.urdf.fingers]
    return data.geom_xpos[shapes].mean(axis=0), data.geom_xpos[shapes, 2].min()


def check_fingers(profile):
    """They are around the tip frame, wherever the arm is, and open as they are told."""
    for pose in (np.array(profile.start_pose), np.array(profile.start_pose) - [0.03, 0.05, 0.1, 0.5]):
        middle, lowest = fingers(profile, pose)
        np.testing.assert_allclose(middle[:2], pose[:2], atol=0.003)
        assert abs(lowest - pose[2]) < 0.07
    cell = Cell(profile)
    gripper, ends = sim_robot(cell).gripper, (profile.gripper.closed_position, profile.gripper.open_position)
    assert gripper.command(0.0) < 0.02 and gripper.command(1.0) > 0.98
    gripper.command(0.5)
    assert abs(cell.finger_position - np.mean(ends)) < 0.02 * abs(ends[1] - ends[0])
    cell.close()


def grasps(cell, episodes):
    """After how many attempts of the teacher something is held."""
    judge = lambda evidence: GraspOutcome(cell.held())  # noqa: E731
    successes = 0
    for seed in range(episodes):
        cell.reset(seed, at_start=True)
        policy = TeacherPolicy(cell, 0.0, np.random.default_rng(seed))
        runner = EpisodeRunner(sim_robot(cell), cell.profile, policy, judge, config=RunnerConfig(look=False))
        successes += runner.run(str(seed)).outcome.success
    cell.close()
    return successes


def test_a_panda_is_built_from_its_own_description_and_its_teacher_grasps():
    pytest.importorskip("pybullet_data")
    profile = load_robot(PANDA)
    check_view(profile)
    check_fingers(profile)
    cell = Cell(profile)
    assert cell.notes == () and cell.joint_positions.shape == (7,)
    white = (cell.render().min(axis=2) > 120).mean()
    sim_robot(cell).arm.move_joints(np.array(profile.out_of_view_joints))
    assert white > (cell.render().min(axis=2) > 120).mean() + 0.03, "its shapes are drawn"
    assert grasps(cell, 12) >= 10


@pytest.mark.parametrize("gripper", ["", own_arm.rotating_fingers()])
def test_six_joints_on_a_pedestal_grasp_with_rotating_fingers_or_with_the_package_s_gripper(tmp_path, gripper):
    profile = rotating(tmp_path, gripper) if gripper else own_arm.profile(tmp_path)
    check_fingers(profile)
    cell = Cell(profile)
    assert ("the package's parallel gripper is mounted at tip" in " ".join(cell.notes)) != bool(gripper)
    assert grasps(cell, 8) >= 7


def test_five_joints_are_enough_for_a_tool_that_points_down(tmp_path):
    profile = own_arm.profile(tmp_path, own_arm.FIVE)
    check_fingers(profile)
    assert grasps(Cell(profile), 8) >= 7


def test_positions_that_are_no_stroke_are_those_of_the_package_s_gripper(tmp_path):
    profile = own_arm.profile(tmp_path)
    knuckle = replace(profile.gripper, joint="knuckle", open_position=0.0, closed_position=0.8)
    cell = Cell(replace(profile, gripper=knuckle))
    sim_robot(cell).gripper.command(0.25)
    assert cell.finger_position == pytest.approx(0.6, abs=0.02)
    assert "'knuckle' is not in its description" in cell.notes[0] and "moving 0.04 m each" in cell.notes[0]
    cell.close()


def test_the_package_s_gripper_takes_the_stroke_of_the_profile(tmp_path):
    profile = own_arm.profile(tmp_path)
    profile = replace(profile, gripper=replace(profile.gripper, open_position=0.025))
    model = build_model(profile, Variation())
    np.testing.assert_allclose(model.joint(robot_model(profile).urdf.gripper_joint).range, [0.0, 0.025])


@pytest.mark.parametrize(
    "text",
    [
        own_arm.rotating_fingers().replace("collision", "nothing"),
        own_arm.rotating_fingers().replace('right_knuckle" type="revolute"', 'right_knuckle" type="fixed"'),
    ],
)
def test_fingers_without_shapes_and_a_finger_alone_are_replaced(tmp_path, text):
    (note,) = robot_model(rotating(tmp_path, text)).urdf.notes
    assert "'left_knuckle' moves no two fingers with shapes: the package's parallel gripper" in note


def test_a_finger_without_mimic_moves_with_the_other_one(tmp_path):
    text = own_arm.rotating_fingers().replace(own_arm.MIMIC, "")
    before, right = text.split('name="right_knuckle"')
    robot = robot_model(rotating(tmp_path, f'{before}name="right_knuckle"{right.replace("1 0 0", "-1 0 0")}'))
    assert robot.coupled == {"left_knuckle": (0.0, 1.0), "right_knuckle": (0.0, 1.0)}
    assert robot.urdf.notes == ("right_knuckle is taken to move with left_knuckle, as the other finger",)


def test_a_variation_moves_and_lengthens_another_s_gripper_too(tmp_path):
    profile = rotating(tmp_path)
    pose = np.array(profile.start_pose)
    middle, lowest = fingers(profile, pose)
    moved, longer = fingers(profile, pose, GripperChange(offset_m=0.03, extension_m=0.01))
    np.testing.assert_allclose(moved - middle, [0.0, -0.03, -0.005], atol=1e-6)  # boxes grow to one side
    assert longer < lowest


def test_a_mesh_that_is_missing_is_named_and_something_is_drawn_in_its_place(tmp_path):
    robot = robot_model(own_arm.profile(tmp_path, mesh="package://no_such_package/elbow.dae"))
    assert "of the meshes 1 cannot be taken (package://no_such_package/elbow.dae is not there)" in robot.urdf.notes[0]
    (drawn,) = robot.new_spec().body("elbow_link").geoms
    assert drawn.type == mujoco.mjtGeom.mjGEOM_CYLINDER


def test_the_camera_may_look_straight_down(tmp_path):
    profile = own_arm.profile(tmp_path)
    above = replace(profile.camera, position=(0.5, 0.1, 1.2), target=(0.5, 0.1, 0.0))
    check_view(replace(profile, camera=above))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tool_orientation": (np.pi, 0.0, 1.5)}, "add -1.5000 to its third angle"),
        ({"base_frame": "nowhere"}, "no link 'nowhere'; correct base_frame in the profile of own"),
        ({"joints": (*own_arm.FIVE, "end")}, "joint 'end' is fixed: .* correct `joints`"),
    ],
)
def test_what_cannot_be_built_says_what_to_correct(tmp_path, change, said):
    with pytest.raises(ConfigError, match=said):
        robot_model(replace(rotating(tmp_path), **change))


def test_a_tip_frame_beside_the_fingers_says_what_to_correct(tmp_path):
    profile = rotating(tmp_path)
    file = tmp_path / "own.urdf"
    file.write_text(file.read_text().replace('xyz="0 0 0.12"', 'xyz="0 0.1 0.12"'))
    with pytest.raises(ConfigError, match="'tip' is not between the fingers; correct tip_frame in the profile of own"):
        robot_model(profile)


def test_a_start_pose_out_of_reach_says_what_to_correct(tmp_path):
    profile = own_arm.profile(tmp_path)
    box = replace(profile.workspace, high=(3.0, 0.23, 0.25))
    with pytest.raises(ConfigError, match="own: start_pose: the tip cannot reach .* correct start_pose"):
        Cell(replace(profile, workspace=box, start_pose=(2.0, 0.1, 0.2, 0.0)))


@pytest.mark.parametrize("kind", ["obj", "stl", "text.stl"])
def test_meshes_are_read_as_they_were_written(tmp_path, kind):
    path = tmp_path / f"cube.{kind}"
    if kind == "obj":
        before, after = to_obj(CUBE, FACES).decode().split("f 1 2 4")
        path.write_text(f"{before}o first\nf 1//1 2/1/1 4\no second{after}")
    elif kind == "stl":
        body = b"".join(np.float32([(0, 0, 0), *CUBE[face]]).tobytes() + b"\0\0" for face in FACES)
        path.write_bytes(b"solid".ljust(80) + len(FACES).to_bytes(4, "little") + body)
    else:
        path.write_text("solid cube\n" + "".join(f"vertex {x} {y} {z}\n" for x, y, z in CUBE[FACES].reshape(-1, 3)))
    scale = np.array([0.1, 0.1, -0.1])
    vertices, faces = read_mesh(path, scale)
    turned = FACES[:, ::-1]  # a mirror image, seen from outside
    np.testing.assert_allclose(vertices[faces], (CUBE * scale)[turned], atol=1e-6)
    for detail in (0.001, 10.0):
        assert len(coarse(vertices, faces, detail)[1]) == len(FACES)


def test_a_picture_of_the_cell_is_put_beside_the_camera_s_own(tmp_path):
    write_picture("sim", "base", "start", None, tmp_path / "one.png")
    write_picture("sim", "base", "out_of_view", tmp_path / "one.png", tmp_path / "two.png")
    one, two = (from_png((tmp_path / name).read_bytes()) for name in ("one.png", "two.png"))
    assert two.shape == (128, 256, 3)
    np.testing.assert_array_equal(two[:, :128], one)
    assert not np.array_equal(two[:, 128:], one), "the arm is elsewhere"
    (tmp_path / "note.png").write_text("none")
    with pytest.raises(ConfigError, match="neither PNG nor JPEG"):
        write_picture("sim", "base", "start", tmp_path / "note.png", tmp_path / "three.png")


def test_the_shipped_policy_grasps_with_an_arm_and_a_camera_that_it_has_never_seen():
    """Its own view of the gripper means nothing here: the calibration is believed."""
    pytest.importorskip("pybullet_data")
    found = evaluate(str(share_path("models", "base")), "base", 20, 3, str(PANDA))
    assert found["successes"] >= 10, found
