"""Robot profiles: the shipped ones, and what a user is told who writes a wrong one."""

import re

import pytest
import yaml

from robot_finetune.config import ConfigError, find_file, from_mapping, share_path, to_mapping
from robot_finetune.robot.profile import CELL_KEYS, RobotProfile, load_robot
from robot_finetune.robot.profile_groups import GripperConfig

SHIPPED = sorted(path.stem for path in share_path("config", "robots").glob("*.yaml"))


def profile(**changed):
    """A profile with changes to the simulated cell's; `gripper__type=...` changes a key of a group."""
    data = to_mapping(RobotProfile())
    for key, value in changed.items():
        *groups, leaf = key.split("__")
        group = data
        for name in groups:
            group = group[name]
        group[leaf] = value
    return data


def test_every_shipped_profile_loads():
    assert {"sim", "template"} < set(SHIPPED)
    for name in SHIPPED:
        assert load_robot(name).joints


@pytest.mark.parametrize("name", [name for name in SHIPPED if name != "sim"])
def test_a_shipped_profile_moves_nothing_before_it_is_measured(name):
    loaded = load_robot(name)
    with pytest.raises(ConfigError, match=r"workspace\.low.* are place holders; measure them"):
        loaded.require_measured()
    from_mapping(RobotProfile, {**to_mapping(loaded), "to_measure": []}).require_measured()
    assert loaded.motion.velocity_scaling <= 0.1 and loaded.motion.tip_speed <= 0.1


def test_the_simulated_cell_needs_no_measuring():
    load_robot("sim").require_measured()


def test_the_template_names_every_key():
    text = share_path("config", "robots", "template.yaml").read_text()

    def keys(mapping):
        for key, value in mapping.items():
            yield key
            if isinstance(value, dict):
                yield from keys(value)

    missing = [key for key in keys(to_mapping(RobotProfile())) if not re.search(rf"(^|[ #{{]){key}:", text, re.M)]
    assert missing == []


@pytest.mark.parametrize(
    ("changed", "parts"),
    [
        ({"home_joints": [0.0] * 6}, ["home_joints", "[0.0, 0.0", "7 values, one for each joint"]),
        ({"out_of_view_joints": []}, ["out_of_view_joints", "[]", "7 values"]),
        ({"joints": ["a", "a"]}, ["joints", "['a', 'a']", "different names"]),
        ({"start_pose": [0.6, 0.0, 0.9, 0.0]}, ["start_pose", "z is 0.9", "0.005 to 0.25 m, the workspace"]),
        ({"workspace__low": [0.43, 0.3, 0.0]}, ["workspace: high", "y must be above 0.3"]),
        ({"motion__backend": "rviz"}, ["motion: backend", "'rviz'", "trajectory, moveit, servo"]),
        ({"motion__backend": "moveit"}, ["moveit.config_package", "motion.backend moveit needs it"]),
        ({"gripper__type": "suction"}, ["gripper: type", "'suction'", "parallel_gripper_command"]),
        ({"gripper__open_position": 0.0}, ["gripper: open_position", "0.0", "differ from closed_position"]),
        ({"gripper__closed_command": 0.04}, ["gripper: open_command", "None", "differ from closed_command"]),
        ({"gripper__empty_opening": 0.95}, ["gripper: empty_opening", "0.95", "below full_opening"]),
        ({"gripper__type": "gripper_command"}, ["gripper: action", "gripper_command needs a name"]),
        ({"gripper__type": "franka", "gripper__action": "hand"}, ["gripper: max_effort", "0.0", "above 0 N"]),
        ({"camera__transport": "theora"}, ["camera: transport", "'theora'", "raw, compressed"]),
        ({"camera__crop": [0, 0, 129]}, ["camera: crop", "[0, 0, 129]", "within the image of 128x128"]),
        (
            {"camera__source": "/dev/video0", "camera__rectify": True},
            ["camera: source", "'/dev/video0'", "leave them out"],
        ),
        ({"servo__rate": 10.0}, ["servo: rate", "10.0", "30.0 to 50.0 Hz"]),
        ({"urdf_arguments": ["hand=true"]}, ["urdf_arguments", "'hand=true'", "name:=value"]),
        ({"to_measure": ["velocity"]}, ["to_measure", "'velocity'", "home_joints"]),
    ],
)
def test_a_contradiction_is_one_line_with_file_key_value_and_what_is_allowed(changed, parts, tmp_path):
    path = tmp_path / "arm.yaml"
    path.write_text(yaml.safe_dump(profile(**changed)))
    with pytest.raises(ConfigError) as error:
        load_robot(path)
    message = str(error.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    for part in parts:
        assert part in message


def test_another_cell_does_not_take_over_the_simulated_one(tmp_path):
    path = tmp_path / "arm.yaml"
    data = {**profile(), "name": "arm"}
    del data["home_joints"], data["workspace"]["low"]
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(ConfigError, match=r"key 'home_joints' is missing: every cell has its own.* workspace\.low"):
        load_robot(path)
    path.write_text(yaml.safe_dump({**profile(), "name": "arm"}))
    assert load_robot(path).name == "arm"
    assert set(CELL_KEYS) > {"home_joints", "workspace.low", "camera.position"}


def test_openings_and_commands_of_a_gripper():
    knuckle = GripperConfig(open_position=0.0, closed_position=0.8)
    assert knuckle.opening(0.2) == pytest.approx(0.75) and knuckle.opening(1.0) == 0.0
    assert knuckle.command(0.75) == pytest.approx(0.2) and knuckle.command(2.0) == 0.0
    width = GripperConfig(open_position=0.04, closed_position=0.0, open_command=0.08, closed_command=0.0)
    assert width.opening(0.02) == pytest.approx(0.5) and width.command(0.5) == pytest.approx(0.04)


def test_a_package_that_is_not_there_is_named():
    with pytest.raises(ConfigError, match="package 'no_such_description'"):
        find_file("package://no_such_description/urdf/arm.urdf")
