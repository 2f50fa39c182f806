"""The nodes of a session are those of the launch file, with the policy that the session has come to."""

import pytest
from session_folder import BASE, write_version

from robot_finetune.config import ConfigError, share_path
from robot_finetune.graph.bringup import node_graph
from robot_finetune.graph.options import BringupOptions
from robot_finetune.graph.process_runner import node_command
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.ros.environment import graph_environment
from robot_finetune.session.graph import expected_topics, session_graph
from robot_finetune.session.options import SessionOptions, merge_options
from robot_finetune.session.record import Grasp, sort_into_phases
from robot_finetune.session.start import new_head
from robot_finetune.types import AUTO, EVALUATE, EXPLORE, SCRIPTED

POLICY = str(share_path("models", "base"))
OPTIONS = SessionOptions(variation="base", grasps=2, policy=POLICY, seed=7)
NOTHING = sort_into_phases([], BASE)
ALL_BUT_AFTER = sort_into_phases([Grasp(f"e{i}", EXPLORE, BASE, True) for i in range(2)], BASE)
INTO_AFTER = sort_into_phases([*ALL_BUT_AFTER.learning, Grasp("e9", EVALUATE, BASE, True)], BASE)


def parameters(specs, node):
    (spec,) = [spec for spec in specs if spec.name == node]
    return spec.parameters


def test_the_process_runner_starts_what_the_launch_file_starts(tmp_path, monkeypatch):
    launched = node_graph(BringupOptions(variation="base", policy=POLICY, out=str(tmp_path)))
    specs = session_graph(tmp_path, OPTIONS, NOTHING, runs=0)
    assert [(spec.name, spec.executable, spec.respawn) for spec in specs] == [
        (spec.name, spec.executable, spec.respawn) for spec in launched
    ]
    folder = tmp_path / "lib" / "robot_finetune"
    folder.mkdir(parents=True)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    for spec in specs:
        (folder / spec.executable).touch()
        words = node_command(spec)
        assert words[1] == str(folder / spec.executable)
        assert words[2 : 2 + len(spec.ros_arguments())] == spec.ros_arguments()


def test_nothing_moves_before_the_session_says_so(tmp_path):
    policy = parameters(session_graph(tmp_path, OPTIONS, NOTHING, runs=0), "policy")
    assert (policy["start_grasping"], policy["accept_updates"], policy["mode"]) == (False, False, "evaluate")
    assert policy["seed"] == 7 and policy["policy"] == POLICY


def test_a_resumed_session_acts_with_its_newest_version_in_new_scenes(tmp_path):
    write_version(tmp_path, BASE + 1)
    specs = session_graph(tmp_path, OPTIONS, NOTHING, runs=1)
    assert parameters(specs, "policy")["policy"].endswith(f"v{BASE + 1:04d}")
    assert parameters(specs, "trainer")["policy"] == POLICY, "the trainer goes on from its own state"
    seeds = [parameters(session_graph(tmp_path, OPTIONS, NOTHING, runs), "sim_cell")["seed"] for runs in range(3)]
    assert seeds[0] == 7 and len(set(seeds)) == 3


def test_the_camera_node_makes_the_images_that_the_network_takes(tmp_path):
    policy = str(write_version(tmp_path, 1, image_size=96))
    assert parameters(node_graph(BringupOptions(policy=policy)), "camera")["image_size"] == 96
    with pytest.raises(ConfigError, match="no checkpoint there"):
        node_graph(BringupOptions(policy=str(tmp_path)))


def test_the_trainer_runs_until_the_newest_version_is_measured(tmp_path):
    def trains(phases):
        specs = session_graph(tmp_path, OPTIONS, phases, runs=1)
        assert ("trainer_status" in expected_topics(RobotProfile(), specs)) == any(s.name == "trainer" for s in specs)
        return any(spec.name == "trainer" for spec in specs)

    assert trains(NOTHING) and trains(ALL_BUT_AFTER) and not trains(INTO_AFTER)


def test_an_arm_is_met_where_its_drivers_are(monkeypatch):
    for name in ("ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE", "FASTDDS_DEFAULT_PROFILES_FILE"):
        monkeypatch.delenv(name, raising=False)
    arm, simulated = graph_environment(simulated=False), graph_environment(simulated=True)
    assert arm["ROS_DOMAIN_ID"] == "0" and "ROS_AUTOMATIC_DISCOVERY_RANGE" not in arm
    assert arm["FASTDDS_DEFAULT_PROFILES_FILE"].endswith("config/fastdds_shm.xml")
    assert simulated["ROS_DOMAIN_ID"] != "0"
    assert simulated["FASTDDS_DEFAULT_PROFILES_FILE"].endswith("config/fastdds_loopback.xml")
    assert simulated["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SYSTEM_DEFAULT", "the profile alone says who is met"
    monkeypatch.setenv("ROS_DOMAIN_ID", "7")
    assert {graph_environment(simulated)["ROS_DOMAIN_ID"] for simulated in (True, False)} == {"7"}


@pytest.mark.parametrize(
    ("name", "value"),
    [("RMW_IMPLEMENTATION", "rmw_cyclonedds_cpp"), ("FASTDDS_DEFAULT_PROFILES_FILE", "/somebody/elses.xml")],
)
def test_without_our_profile_a_simulated_cell_is_found_on_this_computer_only(monkeypatch, name, value):
    for variable in ("ROS_AUTOMATIC_DISCOVERY_RANGE", "FASTDDS_DEFAULT_PROFILES_FILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv(name, value)
    assert graph_environment(simulated=True)["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"


def test_ros_2_before_kilted_reads_the_profile_by_its_old_name(monkeypatch):
    for variable in ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    assert graph_environment(simulated=True)["FASTRTPS_DEFAULT_PROFILES_FILE"].endswith("fastdds_loopback.xml")


def test_a_scripted_session_records_grasps_and_trains_nothing(tmp_path):
    head = new_head(tmp_path / "new", {"policy": "scripted", "variation": "base", "grasps": 5})
    assert (head.options.policy, head.options.before, head.options.after) == ("scripted", 0, 0)
    specs = session_graph(tmp_path, head.options, NOTHING, runs=0)
    assert "trainer" not in [spec.name for spec in specs]
    assert parameters(specs, "policy")["policy"] == POLICY, "whose images have the size that is recorded"
    made = sort_into_phases([Grasp(f"e{i}", SCRIPTED, 0, True) for i in range(5)], BASE)
    assert len(made.learning) == 5 and not made.other


def test_a_session_in_mode_auto_counts_all_grasps_and_measures_none_apart(tmp_path):
    options = new_head(tmp_path / "new", {"mode": "auto", "grasps": 5}).options
    assert (options.before, options.after, options.learning_mode) == (0, 0, AUTO)

    def trains(count):
        modes = [EVALUATE, EVALUATE, EXPLORE, EVALUATE, EVALUATE][:count]
        made = sort_into_phases([Grasp(f"e{i}", mode, BASE, True) for i, mode in enumerate(modes)], BASE)
        assert len(made.towards(AUTO)) == count
        return "trainer" in [spec.name for spec in session_graph(tmp_path, options, made, runs=1)]

    assert trains(0) and trains(4) and not trains(5)


def test_a_session_of_no_grasps_measures_and_trains_nothing(tmp_path):
    options = SessionOptions(grasps=0, before=5)
    assert "trainer" not in [spec.name for spec in session_graph(tmp_path, options, NOTHING, 0)]
    assert options.measured_after == 0 and SessionOptions().measured_after == 100
    for given in ({"policy": "scripted"}, {"mode": "auto"}):
        with pytest.raises(ConfigError, match="session: grasps = 0: mode .* measures nothing"):
            merge_options({"grasps": 0, **given})
