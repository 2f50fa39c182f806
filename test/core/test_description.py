"""The cell's URDF and SRDF: read by the URDF parser of ROS and by MuJoCo, and agreeing with the robot profile."""

import itertools
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from xml.etree import ElementTree

import mujoco
import numpy as np
import pytest

from robot_finetune.config import share_path
from robot_finetune.perception.camera_model import CameraModel
from robot_finetune.robot.description import load_urdf
from robot_finetune.robot.profile import RobotProfile, load_robot
from robot_finetune.sim.scene import build_model
from robot_finetune.sim.variations import load_variation

PROFILE = load_robot("sim")
MOCK = "mock_components/GenericSystem"
WITH_AND_WITHOUT = ((), ("ros2_control_plugin:=",))
OTHER_CELL = RobotProfile(
    bin_center=(0.55, 0.1), camera=replace(PROFILE.camera, position=(1.1, -0.4, 0.8), target=(0.55, 0.1, 0.0))
)


def urdf(profile=PROFILE, plugin=MOCK):
    return ElementTree.fromstring(load_urdf(replace(profile, urdf_arguments=(f"ros2_control_plugin:={plugin}",))))


def srdf():
    return ElementTree.parse(share_path("urdf", "cell.srdf")).getroot()


def mujoco_model(root):
    """As MuJoCo reads it, with each collision shape as a geom of group 0."""
    compiler = {"fusestatic": "false", "discardvisual": "false"}
    ElementTree.SubElement(ElementTree.SubElement(root, "mujoco"), "compiler", compiler)
    return mujoco.MjModel.from_xml_string(ElementTree.tostring(root, encoding="unicode"))


@pytest.mark.parametrize("plugin", [MOCK, ""])
@pytest.mark.parametrize("profile", [PROFILE, OTHER_CELL])
def test_the_urdf_parser_of_ros_reads_one_tree(tmp_path, profile, plugin):
    program = shutil.which("check_urdf", path=os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]))
    if program is None:
        pytest.skip("no check_urdf: pip install -r requirements-dev.txt, or apt install liburdfdom-tools")
    file = tmp_path / "cell.urdf"
    file.write_bytes(ElementTree.tostring(urdf(profile, plugin)))
    result = subprocess.run([program, str(file)], capture_output=True, text=True)
    assert result.returncode == 0 and "Successfully Parsed XML" in result.stdout, result.stdout + result.stderr
    assert "Error" not in result.stderr
    assert "root Link: base_link" in result.stdout
    for link in (PROFILE.tip_frame, "camera_mount", PROFILE.camera.optical_frame, "right_finger", "bin"):
        assert f"  {link}\n" in result.stdout


def test_every_joint_that_moves_has_limits_and_every_link_that_moves_a_mass():
    root = urdf()
    moving = [joint for joint in root.findall("joint") if joint.get("type") != "fixed"]
    assert {joint.get("name") for joint in moving} == {*PROFILE.joints, "left_finger_joint", "right_finger_joint"}
    for joint in moving:
        limit = joint.find("limit")
        assert float(limit.get("lower")) < float(limit.get("upper")), joint.get("name")
        assert float(limit.get("velocity")) > 0 and float(limit.get("effort")) > 0, joint.get("name")
        link = root.find(f"link[@name='{joint.find('child').get('link')}']")
        assert float(link.find("inertial/mass").get("value")) > 0 and link.find("collision") is not None


@pytest.mark.parametrize("profile", [PROFILE, OTHER_CELL])
def test_the_optical_frame_is_that_of_the_calibrated_camera(profile):
    model = mujoco_model(urdf(profile))
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    frame = data.body(profile.camera.optical_frame)
    camera = CameraModel.from_config(profile.camera)
    np.testing.assert_allclose(frame.xpos, camera.position, atol=1e-6)
    np.testing.assert_allclose(frame.xmat.reshape(3, 3), camera.rotation, atol=1e-6)


def test_mock_hardware_has_every_joint_and_begins_at_home():
    (system,) = urdf().findall("ros2_control")
    assert system.find("hardware/plugin").text == MOCK
    joints = {joint.get("name"): joint for joint in system.findall("joint")}
    assert list(joints) == [*PROFILE.joints, PROFILE.gripper.joint, "right_finger_joint"]
    starts = [*PROFILE.home_joints, PROFILE.gripper.open_position]
    for name, start in zip([*PROFILE.joints, PROFILE.gripper.joint], starts, strict=True):
        assert [item.get("name") for item in joints[name].findall("command_interface")] == ["position"]
        position, velocity = joints[name].findall("state_interface")
        assert (position.get("name"), velocity.get("name")) == ("position", "velocity")
        assert float(position.find("param[@name='initial_value']").text) == start
    assert joints["right_finger_joint"].find("command_interface") is None  # it mimics the left one


def test_ros2_control_can_be_left_out_and_changes_nothing_of_the_simulation():
    assert not urdf(plugin="").findall("ros2_control")
    models = [build_model(replace(PROFILE, urdf_arguments=words), load_variation("base")) for words in WITH_AND_WITHOUT]
    sizes = [mujoco.mj_sizeModel(model) for model in models]
    buffers = [np.empty(size, np.uint8) for size in sizes]
    for model, buffer in zip(models, buffers, strict=True):
        mujoco.mj_saveModel(model, None, buffer)
    np.testing.assert_array_equal(*buffers)


def test_the_srdf_names_what_the_urdf_has():
    root, semantic = urdf(), srdf()
    links, joints = ({item.get("name") for item in root.findall(kind)} for kind in ("link", "joint"))
    assert semantic.get("name") == root.get("name")
    (chain,) = semantic.findall("group[@name='arm']/chain")
    assert (chain.get("base_link"), chain.get("tip_link")) == (PROFILE.base_frame, PROFILE.tip_frame)
    assert {joint.get("name") for joint in semantic.iter("joint")} <= joints
    for pair in semantic.findall("disable_collisions"):
        assert {pair.get("link1"), pair.get("link2")} <= links
    for state, expected in (("home", PROFILE.home_joints), ("out_of_view", PROFILE.out_of_view_joints)):
        values = [float(joint.get("value")) for joint in semantic.findall(f"group_state[@name='{state}']/joint")]
        assert tuple(values) == expected


@pytest.mark.parametrize("posture", [PROFILE.home_joints, PROFILE.out_of_view_joints])
def test_nothing_collides_in_the_named_postures_but_what_the_srdf_allows(posture):
    allowed = {frozenset((pair.get("link1"), pair.get("link2"))) for pair in srdf().findall("disable_collisions")}
    model = mujoco_model(urdf())
    data = mujoco.MjData(model)
    data.qpos[[model.joint(name).qposadr[0] for name in PROFILE.joints]] = posture
    mujoco.mj_kinematics(model, data)
    shapes = [geom for geom in range(model.ngeom) if model.geom_group[geom] == 0]
    clear = 0.002
    for one, other in itertools.combinations(shapes, 2):
        links = frozenset(model.body(model.geom_bodyid[geom]).name for geom in (one, other))
        if len(links) == 2 and links not in allowed:
            assert mujoco.mj_geomDistance(model, data, one, other, 0.1, None) > clear, sorted(links)
