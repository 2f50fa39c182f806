"""The node sim_cell, as a camera driver and ros2_control would be used."""

from pathlib import Path

import numpy as np
import pytest
from builtin_interfaces.msg import Duration
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Float64
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from robot_finetune.exit_codes import MISCONFIGURED
from robot_finetune.msg import EpisodePhase
from robot_finetune.robot.profile import load_robot
from robot_finetune.ros.constants import MODE
from robot_finetune.ros.images import image_to_rgb
from robot_finetune.ros.node.qos import CLOCK, COMMAND, EPISODE, SENSOR
from robot_finetune.ros.node.stamps import to_seconds

PROFILE = load_robot("sim")
PANDA = Path("examples/pybullet_panda/panda.yaml")


def stamp(message):
    return to_seconds(message.header.stamp)


def trajectory(joints, positions, seconds=1):
    point = JointTrajectoryPoint(positions=positions, time_from_start=Duration(sec=seconds))
    return JointTrajectory(joint_names=joints, points=[point])


@pytest.fixture(params=[1.0, 0.0], ids=["real_time", "fast"])
def cell(request, spawn_node):
    return spawn_node("sim_cell", {"real_time_factor": request.param})


def test_trajectory_moves_the_joints_in_the_order_of_its_names(cell, ros):
    states = ros.collect(JointState, "joint_states", SENSOR)
    arm = ros.publisher(JointTrajectory, "arm_controller/joint_trajectory", COMMAND)
    first = ros.wait_until(lambda: states and states[-1], "joint states")
    assert first.name == [*PROFILE.joints, PROFILE.gripper.joint]
    goal = np.array(first.position[:7]) + [0.3, 0, 0, 0, 0, 0, -0.2]
    arm.publish(trajectory(list(reversed(PROFILE.joints)), goal[::-1].tolist()))
    ros.wait_until(lambda: np.allclose(states[-1].position[:7], goal, atol=0.005), "the arm at its goal")
    times = [stamp(message) for message in states]
    assert times == sorted(times)


def test_gripper_command_is_a_joint_position(cell, ros):
    states = ros.collect(JointState, "joint_states", SENSOR)
    gripper = ros.publisher(Float64, "gripper_controller/command", COMMAND)
    for position in (PROFILE.gripper.closed_position, PROFILE.gripper.open_position):
        gripper.publish(Float64(data=position))
        ros.wait_until(lambda goal=position: states and abs(states[-1].position[7] - goal) < 0.002, "the gripper there")


def test_images_come_at_30_hz_of_cell_time_and_none_is_lost(spawn_node, ros):
    spawn_node("sim_cell")
    images = []
    ros.node.create_subscription(Image, "image_raw", lambda message, info: images.append((message, info)), SENSOR)
    infos = ros.collect(CameraInfo, "camera_info", SENSOR)
    clocks = ros.collect(Clock, "/clock", CLOCK)
    ros.wait_until(lambda: len(images) >= 91 and len(infos) >= 91 and clocks, "91 images")
    times = [stamp(message) for message, _ in images[:91]]
    assert times[-1] - times[0] == pytest.approx(3.0, abs=0.02)
    numbers = [info["publication_sequence_number"] for _, info in images[:91]]
    assert numbers == list(range(numbers[0], numbers[0] + 91))
    picture = image_to_rgb(images[-1][0])
    assert picture.shape == (PROFILE.camera.height, PROFILE.camera.width, 3) and picture.std() > 10
    assert {stamp(message) for message in infos} & set(times)
    assert infos[-1].k[0] == PROFILE.camera.focal and infos[-1].header.frame_id == images[-1][0].header.frame_id


def test_follows_the_episodes_with_scene_and_variation(spawn_node, ros):
    process = spawn_node("sim_cell", {"seed": 3})
    statuses = ros.publisher(EpisodePhase, "episode_phase", EPISODE)
    images = ros.collect(Image, "image_raw", SENSOR)

    def picture_after(episode, variation, mode="explore"):
        before = ros.wait_until(lambda: images and stamp(images[-1]), "an image")
        status = EpisodePhase(
            episode_id=f"{mode}{episode}",
            episode=episode,
            phase=EpisodePhase.RESET,
            mode=MODE.number(mode),
            variation=variation,
        )
        statuses.publish(status)
        ros.wait_until(lambda: stamp(images[-1]) > before + 0.5, "an image after the reset")
        return image_to_rgb(images[-1]).astype(float)

    def difference(a, b):
        return np.abs(a - b).mean()

    first, again = picture_after(1, "base"), picture_after(2, "base")
    assert difference(first, again) > 1, "a fresh scene each episode"
    assert difference(picture_after(1, "base", "evaluate"), first) > 1, "held-out objects to evaluate"
    checkered = picture_after(3, "checkerboard_backing")
    assert difference(checkered, again) > 5
    picture_after(4, "no_such_variation")
    assert "unknown variation 'no_such_variation'" in process.output and process.running


def test_refuses_a_trajectory_for_other_joints(spawn_node, ros):
    process = spawn_node("sim_cell")
    states = ros.collect(JointState, "joint_states", SENSOR)
    arm = ros.publisher(JointTrajectory, "arm_controller/joint_trajectory", COMMAND)
    first = ros.wait_until(lambda: states and states[-1], "joint states").position
    arm.publish(trajectory(["elbow"], [0.5]))
    ros.wait_until(lambda: "refused: trajectory for joints ['elbow']: this arm has" in process.output, "the refusal")
    count = len(states)
    ros.wait_until(lambda: len(states) > count + 50, "more joint states")
    np.testing.assert_allclose(states[-1].position, first, atol=1e-3)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"robot": "simm"}, "unknown robot 'simm': did you mean 'sim'?"),
        (
            {"robot": "fr3"},
            "fr3: sim_cell has a clock, trajectories, a position command and plain images; set in a copy",
        ),
        ({"variation": "nonsense"}, "unknown variation 'nonsense'"),
        ({"real_time_factor": -1.0}, "real_time_factor = -1.0: allowed is 0.0 to 100.0"),
    ],
)
def test_a_wrong_configuration_is_one_line_and_an_exit_code_of_its_own(spawn_node, params, message):
    process = spawn_node("sim_cell", params)
    assert process.wait() == MISCONFIGURED
    lines = process.output.splitlines()
    assert len(lines) == 1 and message in lines[0]


def test_another_arm_s_cell_has_its_joints_and_the_service_that_its_profile_names(spawn_node, ros):
    pytest.importorskip("pybullet_data")
    panda = load_robot(PANDA)
    spawn_node("sim_cell", {"robot": str(PANDA.absolute())})
    states, images = ros.collect(JointState, "joint_states", SENSOR), ros.collect(Image, "image_raw", SENSOR)
    first = ros.wait_until(lambda: images and states and states[-1], "joint states and an image")
    assert first.name == [*panda.joints, panda.gripper.joint]
    assert images[-1].width == panda.camera.width
    assert ros.call(Trigger, panda.scene.reset_service).success


def test_ends_cleanly_when_asked(spawn_node, ros):
    process = spawn_node("sim_cell", {"real_time_factor": 0.0})
    states = ros.collect(JointState, "joint_states", SENSOR)
    ros.wait_until(lambda: states, "joint states")
    assert process.stop() == 0
    assert "Traceback" not in process.output
