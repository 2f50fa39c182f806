"""The launch files and the process runner start the same graph: both come from the package."""

import dataclasses
import importlib.util
import math
import os
import sys
from pathlib import Path

import launch_stand_in
import numpy as np
import pytest
import yaml

from robot_finetune.config import ConfigError, to_mapping
from robot_finetune.graph.bringup import node_graph
from robot_finetune.graph.options import BringupOptions, parse_options
from robot_finetune.graph.process_runner import node_command
from robot_finetune.robot.profile import RobotProfile

LAUNCH = Path(__file__).parents[2] / "launch"


@pytest.fixture
def launch_file(monkeypatch):
    """Builds the description of a launch file; returns its declared arguments and the actions for given values."""
    if not launch_stand_in.missing():
        pytest.skip("the real launch is here: `ros2 launch robot_finetune finetune.launch.py -s` shows the same")
    for name, module in launch_stand_in.modules().items():
        monkeypatch.setitem(sys.modules, name, module)

    def build(name: str, **values: str):
        spec = importlib.util.spec_from_file_location("launch_file", LAUNCH / name)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        *declared, start = module.generate_launch_description().entities
        chosen = {argument.name: argument.default_value for argument in declared} | values
        return declared, start.execute(launch_stand_in.LaunchContext(chosen))

    return build


def of_kind(actions, name):
    return [action for action in actions if type(action).__name__ == name]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"variation": "offset_gripper_10cm", "real_time_factor": "0", "train": "false", "namespace": "left"},
        {"mode": "evaluate", "max_episodes": "7", "start_grasping": "false", "seed": "3", "bring_up": "false"},
    ],
)
def test_launch_starts_the_graph_of_bringup(launch_file, values):
    _, actions = launch_file("finetune.launch.py", **values)
    graph = node_graph(parse_options(values))
    nodes = [action for action in actions if type(action).__name__ in ("Node", "LifecycleNode")]
    assert [node.name for node in nodes] == [spec.name for spec in graph]
    for node, spec in zip(nodes, graph, strict=True):
        *files, typed = node.parameters
        assert (node.package, node.executable, node.namespace) == (spec.package, spec.executable, spec.namespace)
        assert [Path(file) for file in files] == list(spec.parameter_files)
        assert {key: item.value for key, item in typed.items()} == spec.parameters
        assert node.respawn == spec.respawn
        assert node.remappings == list(spec.remappings)
        assert (type(node).__name__ == "LifecycleNode") == spec.managed == ("bring_up" in spec.parameters)
    assert {spec.name for spec in graph if not spec.managed} == {"sim_cell"}


def test_every_option_is_a_described_launch_argument(launch_file):
    declared, _ = launch_file("finetune.launch.py")
    options = [field.name for field in dataclasses.fields(BringupOptions)]
    assert [argument.name for argument in declared] == [*options, "autostart", "sigterm_timeout"]
    assert all(argument.description for argument in declared)
    arguments = {argument.name: argument for argument in declared}
    assert "offset_gripper_10cm" in arguments["variation"].description
    assert (
        arguments["mode"].choices == ["explore", "evaluate", "scripted", "demonstrate", "auto"]
        and "true, false" in arguments["rviz"].description
    )
    assert "template" not in arguments["robot"].description and "sim" in arguments["robot"].description


@pytest.mark.parametrize("text", ["True", "true", "1", "yes"])
def test_what_is_true_may_be_written_as_people_write_it(text):
    assert parse_options({"record": text}).record and not parse_options({"train": "False"}).train


def test_the_old_name_of_an_argument_works_with_a_warning(capsys):
    assert parse_options({"autostart": ""}).start_grasping and not capsys.readouterr().err
    assert not parse_options({"autostart": "false", "start_grasping": "true"}).start_grasping
    assert "autostart is now start_grasping" in capsys.readouterr().err


@pytest.fixture
def recorder(monkeypatch, tmp_path):
    """A command ros2, and rosbag2 as the index of installed packages has it."""
    index = tmp_path / "prefix" / "share" / "ament_index" / "resource_index" / "packages"
    index.mkdir(parents=True)
    (index / "rosbag2_storage_mcap").write_text("")
    (tmp_path / "ros2").write_text("#!/bin/sh")
    (tmp_path / "ros2").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{tmp_path / 'prefix'}:{os.environ.get('AMENT_PREFIX_PATH', '')}")


def test_recording_takes_the_topics_of_the_namespace(launch_file, tmp_path, recorder):
    _, alone = launch_file("record.launch.py", out=str(tmp_path), namespace="left")
    _, within = launch_file("finetune.launch.py", out=str(tmp_path), namespace="left", record="true")
    for actions in (alone, within):
        (process,) = of_kind(actions, "ExecuteProcess")
        commanded = {"/left/arm_controller/joint_trajectory", "/left/gripper_controller/command"}
        assert {"/left/policy_step", "/left/episode_phase", *commanded, "/diagnostics"} < set(process.cmd)
        assert any(str(tmp_path) in word for word in process.cmd) and "--use-sim-time" in process.cmd


def test_recording_an_arm_takes_its_own_topics_and_actions(launch_file, tmp_path, recorder):
    arm = {**to_mapping(RobotProfile()), "name": "arm", "joint_states_topic": "/joint_states"}
    arm |= {"arm_action": "jtc/follow_joint_trajectory", "image_topic": "camera/color/image_raw"}
    arm["gripper"] |= {"type": "franka", "action": "franka_gripper", "max_effort": 20.0}
    (tmp_path / "arm.yaml").write_text(yaml.safe_dump(arm))
    _, (process,) = launch_file("record.launch.py", out=str(tmp_path), robot=str(tmp_path / "arm.yaml"))
    feedback = {"/jtc/follow_joint_trajectory/_action/feedback", "/franka_gripper/grasp/_action/status"}
    assert {"/joint_states", "/camera/color/image_raw", *feedback} < set(process.cmd)
    assert not {"/arm_controller/joint_trajectory", "--use-sim-time"} & set(process.cmd)
    arm["motion"] |= {"backend": "servo"}
    (tmp_path / "arm.yaml").write_text(yaml.safe_dump(arm))
    _, (process,) = launch_file("record.launch.py", out=str(tmp_path), robot=str(tmp_path / "arm.yaml"))
    assert "/servo_node/pose_target_cmds" in process.cmd


def test_a_recording_is_judged_and_logged_anew_and_nothing_moves(launch_file, tmp_path, recorder):
    _, actions = launch_file("finetune.launch.py", bag=str(tmp_path), namespace="left", out=str(tmp_path / "again"))
    nodes = of_kind(actions, "LifecycleNode")
    assert [node.name for node in nodes] == ["camera", "grasp_detector", "episode_logger"]
    assert all(node.parameters[-1]["use_sim_time"].value is True for node in nodes)
    assert not any("/clock" in words for node in nodes for words in node.remappings)
    (player,) = of_kind(actions, "ExecuteProcess")
    assert player.cmd[:5] == ["ros2", "bag", "play", str(tmp_path), "--clock"]
    wanted = ["image_raw", "camera_info", "joint_states", "episode_phase", "policy_step"]
    assert player.cmd[player.cmd.index("--topics") + 1 :] == [f"/left/{topic}" for topic in wanted]
    with pytest.raises(ConfigError, match="no such recording"):
        launch_file("finetune.launch.py", bag=str(tmp_path / "nothing"))


@pytest.mark.parametrize("name", ["record.launch.py", "finetune.launch.py"])
def test_recording_without_rosbag2_starts_nothing(launch_file, tmp_path, recorder, monkeypatch, name):
    monkeypatch.setenv("AMENT_PREFIX_PATH", "")
    values = {"record": "true"} if name == "finetune.launch.py" else {}
    with pytest.raises(ConfigError, match="recordings need rosbag2 with its mcap storage: apt install"):
        launch_file(name, out=str(tmp_path), **values)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("policy: {max_episodes: 3}", "no parameters; allowed is <node>: {ros__parameters:"),
        ("[1, 2]", "params.yaml"),
        ("policy: {ros__parameters: [1]}", "no parameters"),
        ("policy: {ros__parameters: {max_episodes: 3", "params.yaml:1: not valid YAML"),
    ],
)
def test_a_parameter_file_that_is_none_starts_nothing(launch_file, tmp_path, text, named):
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(ConfigError, match=named):
        launch_file("finetune.launch.py", out=str(tmp_path), params_file=str(tmp_path / "params.yaml"))


def test_parameters_may_be_given_in_namespaces_and_for_all_nodes(tmp_path):
    for text in ("/left: {policy: {ros__parameters: {max_episodes: 3}}}", "/**: {ros__parameters: {seed: 3}}"):
        (tmp_path / "params.yaml").write_text(text)
        assert node_graph(BringupOptions(params_file=str(tmp_path / "params.yaml")))


@pytest.mark.parametrize(
    ("values", "named"),
    [({"rviz": "true"}, "install the package rviz2"), ({"params_file": "none.yaml"}, "no such file")],
)
def test_a_launch_that_cannot_start_everything_starts_nothing(launch_file, tmp_path, values, named):
    with pytest.raises(ConfigError, match=named):
        launch_file("finetune.launch.py", out=str(tmp_path), **values)


def test_the_graph_ends_with_what_moves_the_arm_and_only_once(launch_file):
    _, actions = launch_file("finetune.launch.py")
    nodes, context = (
        {action.name: action for action in of_kind(actions, "LifecycleNode")},
        launch_stand_in.LaunchContext({}),
    )
    crashed, misconfigured = launch_stand_in.ProcessExited(-11), launch_stand_in.ProcessExited(78)
    (shutdown,) = nodes["policy"].on_exit(crashed, context)
    assert shutdown.reason == "policy has ended"
    assert nodes["trainer"].on_exit(crashed, context) == [], "it is started again"
    (shutdown,) = nodes["trainer"].on_exit(misconfigured, context)
    assert "trainer cannot work with its configuration" in shutdown.reason, "not started again for ever"
    context.is_shutdown = True
    assert all(node.on_exit(code, context) == [] for node in nodes.values() for code in (crashed, misconfigured))


def test_nothing_that_moves_is_respawned():
    graph = {spec.name: spec for spec in node_graph(BringupOptions())}
    assert not graph["policy"].respawn and not graph["sim_cell"].respawn
    assert graph["trainer"].respawn and graph["episode_logger"].respawn


def test_an_arm_brings_its_own_camera_and_clock(tmp_path):
    arm = {**to_mapping(RobotProfile()), "name": "arm", "image_topic": "camera/color/image_raw"}
    (tmp_path / "arm.yaml").write_text(yaml.safe_dump(arm))
    graph = {spec.name: spec for spec in node_graph(BringupOptions(robot=str(tmp_path / "arm.yaml")))}
    assert "sim_cell" not in graph
    assert not any(spec.parameters.get("use_sim_time") for spec in graph.values())


@pytest.mark.parametrize(
    ("camera", "camera_reads", "others_read"),
    [
        ({}, "camera/color/image_raw", "camera/color/image_raw"),
        ({"transport": "compressed"}, "camera/color/image_raw", "image_decompressed"),
        ({"rectify": True}, "camera/color/image_raw", "image_rect"),
        ({"source": "/dev/video0"}, "image_raw", "image_raw"),
    ],
)
def test_everybody_reads_full_images_where_they_are(tmp_path, camera, camera_reads, others_read):
    arm = {**to_mapping(RobotProfile()), "name": "arm", "image_topic": "camera/color/image_raw"}
    arm["camera"] |= camera
    (tmp_path / "arm.yaml").write_text(yaml.safe_dump(arm))
    for spec in node_graph(BringupOptions(robot=str(tmp_path / "arm.yaml"))):
        expected = camera_reads if spec.name == "camera" else others_read
        assert dict(spec.remappings).get("image_raw", "image_raw") == expected, spec.name


def test_a_camera_driver_of_the_profile_is_started(tmp_path):
    (tmp_path / "usb.yaml").write_text("/**: {ros__parameters: {framerate: 30.0}}")
    arm = {**to_mapping(RobotProfile()), "name": "arm", "image_topic": "camera/image_raw"}
    arm["camera"] |= {"driver": "usb_cam/usb_cam_node_exe", "driver_parameters": str(tmp_path / "usb.yaml")}
    (tmp_path / "arm.yaml").write_text(yaml.safe_dump(arm))
    options = BringupOptions(robot=str(tmp_path / "arm.yaml"), namespace="left")
    (driver,) = [spec for spec in node_graph(options) if spec.name == "camera_driver"]
    assert (driver.package, driver.executable, driver.namespace) == ("usb_cam", "usb_cam_node_exe", "left")
    assert driver.parameter_files == (tmp_path / "usb.yaml",) and driver.respawn
    assert dict(driver.remappings)["image_raw"] == "camera/image_raw"
    with pytest.raises(ConfigError, match="install the package usb_cam"):
        node_command(driver)


def test_rviz_shows_the_cell_in_the_robots_base_frame(tmp_path):
    arm = {**to_mapping(RobotProfile()), "name": "arm", "base_frame": "world"}
    (tmp_path / "arm.yaml").write_text(yaml.safe_dump(arm))
    options = BringupOptions(robot=str(tmp_path / "arm.yaml"), rviz=True)
    (rviz,) = [spec for spec in node_graph(options) if spec.name == "rviz2"]
    assert not rviz.managed and rviz.arguments[2:] == ("-f", "world")


@pytest.fixture
def frames(monkeypatch, tmp_path):
    """Frame publishers as the index of installed packages has them."""
    for package, name in (
        ("robot_state_publisher", "robot_state_publisher"), ("tf2_ros", "static_transform_publisher")
    ):  # fmt: skip
        (tmp_path / "ros" / "lib" / package).mkdir(parents=True)
        (tmp_path / "ros" / "lib" / package / name).touch()
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{tmp_path / 'ros'}:{os.environ.get('AMENT_PREFIX_PATH', '')}")


def test_frames_are_published_where_no_driver_does_and_a_tree_is_its_robots_own(frames, tmp_path):
    def publishers(**options):
        graph = {spec.name: spec for spec in node_graph(BringupOptions(**options))}
        return {name: graph[name] for name in ("robot_state_publisher", "camera_frame") if name in graph}

    assert set(publishers()) == {"robot_state_publisher"}, "the simulated camera is a link"
    assert publishers(publish_robot_state="false") == {}
    (publisher,) = publishers(namespace="left").values()
    assert {"/tf": "tf", "/tf_static": "tf_static"}.items() <= dict(publisher.remappings).items()
    arm = {**to_mapping(RobotProfile()), "name": "arm"}
    arm["camera"] |= {"optical_frame": "lens", "position": [1.0, 0.0, 1.0], "target": [0.0, 0.0, 1.0]}
    (tmp_path / "arm.yaml").write_text(yaml.safe_dump(arm))
    (camera,) = publishers(robot=str(tmp_path / "arm.yaml")).values()
    words = camera.arguments
    values = {name: words[words.index(f"--{name}") + 1] for name in ("x", "z", "frame-id", "child-frame-id")}
    assert values == {"x": "1.0", "z": "1.0", "frame-id": "base_link", "child-frame-id": "lens"}
    turn = [float(words[words.index(f"--{name}") + 1]) for name in ("qx", "qy", "qz", "qw")]
    # z of the optical frame is -x of the base, its y is -z: the camera looks back along x
    np.testing.assert_allclose(np.abs(turn), [0.5] * 4, atol=1e-12)
    assert len(publishers(robot=str(tmp_path / "arm.yaml"), publish_robot_state="true")) == 2


def test_the_frame_of_the_tool_has_the_axes_of_the_poses_in_messages(frames, tmp_path):
    arm = {**to_mapping(RobotProfile()), "name": "arm", "tip_frame": "hand", "tool_orientation": [math.pi, 0, 0.7]}
    (tmp_path / "arm.yaml").write_text(yaml.safe_dump(arm))
    graph = {spec.name: spec for spec in node_graph(BringupOptions(robot=str(tmp_path / "arm.yaml")))}
    words = graph["tool_frame"].arguments
    values = {name: words[words.index(f"--{name}") + 1] for name in ("qx", "qy", "qz", "qw", "frame-id")}
    assert values.pop("frame-id") == "hand" and "tool" in words
    # both point down; at yaw 0 the hand is turned about that axis by 0.7, and the tool is not
    np.testing.assert_allclose(
        [float(value) for value in values.values()], [0, 0, math.sin(0.35), math.cos(0.35)], atol=1e-9
    )


def test_arguments_reach_ros_with_their_types():
    (policy,) = [spec for spec in node_graph(BringupOptions(seed=3, namespace="left")) if spec.name == "policy"]
    words = policy.ros_arguments()
    assert words[0] == "--ros-args" and "__ns:=/left" in words
    assert words[words.index("--log-level") + 1] == "info"
    assert "seed:=3" in words and 'variation:="base"' in words and "use_sim_time:=true" in words


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"variation": "offset_griper_10cm"}, "offset_gripper_10cm"),
        ({"robot": "no_such_robot"}, "sim"),
        ({"mode": "learn"}, "explore, evaluate"),
        ({"real_time_factor": "fast"}, "real_time_factor"),
    ],
)
def test_a_wrong_argument_is_one_line_that_names_what_is_allowed(values, named):
    with pytest.raises(ConfigError) as error:
        node_graph(parse_options(values))
    assert named in str(error.value) and "\n" not in str(error.value)
