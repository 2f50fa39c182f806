"""What goes wrong on a robot: processes that die, damaged files, devices that fall silent, wrong settings.

Each has one line that names cause and cure; nothing that was logged is lost.
"""

import pytest
from std_srvs.srv import Trigger

from robot_finetune.data.episode_store import EpisodeStore
from robot_finetune.exit_codes import MISCONFIGURED
from robot_finetune.ros.node.qos import EPISODE, LATCHED


def test_grasping_goes_on_while_the_trainer_is_killed_and_started_again(cell, ros):
    from robot_finetune.msg import ModelUpdate

    updates = ros.collect(ModelUpdate, "model_update", LATCHED)
    training = {
        "training.min_grasps": 1,
        "training.updates_per_grasp": 1000.0,
        "training.publish_every": 4,
        "training.save_every": 2,
        "training.replay_capacity": 1000,
        "training.fine_tune.batch_size": 4,
    }

    def start_trainer():
        return cell.spawn("trainer", policy=str(cell.out / "v0"), out=str(cell.out), **training)

    cell.logger()
    cell.policy()
    trainer = start_trainer()
    ros.wait_until(lambda: cell.status.policy_version >= 1, "a version of the trainer acting")
    trainer.kill()
    newest, count = updates[-1].version, len(cell.summaries)
    ros.wait_until(lambda: len(cell.summaries) >= count + 3, "grasps without a trainer")
    assert cell.state == "running"
    start_trainer()
    ros.wait_until(lambda: cell.status.policy_version > newest, "a version of the second trainer acting")
    versions = [update.version for update in updates]
    assert versions == sorted(versions), "version numbers go on upward"
    grasps = [update.grasps for update in updates]
    assert grasps == sorted(grasps), "no grasp is forgotten"


def test_a_killed_logger_loses_no_episode(cell, ros):
    from robot_finetune.msg import GraspOutcome

    outcomes = ros.collect(GraspOutcome, "grasp_outcome", EPISODE)
    logger = cell.logger()
    cell.policy(max_episodes=6)
    ros.wait_until(lambda: len(cell.summaries) >= 2, "two episodes")
    logger.kill()
    count = len(outcomes)
    ros.wait_until(lambda: len(outcomes) > count, "an episode without a logger")
    cell.logger()
    ros.wait_until(cell.finished, "all six episodes")
    store = EpisodeStore(cell.out / "episodes")
    assert {path.stem for path in store.paths()} == {outcome.episode_id for outcome in outcomes}
    assert store.verify().episodes == 6 and not store.verify().corrupt


def test_a_dead_camera_discards_the_episode_and_grasping_goes_on_when_it_is_back(cell, ros):
    cell.logger()
    policy = cell.policy()
    ros.wait_until(lambda: cell.summaries, "an episode")
    cell.camera.kill()
    ros.wait_until(lambda: "and the camera node running?" in policy.output, "the error")
    assert "no image on /observation for 2.0 s" in policy.output
    ros.wait_until(cell.discarded, "the episode discarded")
    discarded = cell.discarded()
    assert not discarded & {summary.episode_id for summary in cell.summaries}
    count = len(cell.summaries)
    cell.spawn("camera")
    ros.wait_until(lambda: len(cell.summaries) > count, "an episode with the new camera")
    assert policy.running and "Traceback" not in policy.output


def test_a_silent_grasp_detector_is_named_and_waited_for(cell, ros):
    """However long that takes, it ends no session. A grasp that the new one did not see whole is not judged."""
    cell.logger()
    policy = cell.policy(outcome_timeout=2.0)
    ros.wait_until(lambda: cell.summaries, "an episode")
    cell.detector.kill()
    ros.wait_until(lambda: cell.state == "paused", "the pause")
    assert "is grasp_detector running?" in cell.status.message
    waiting, known = cell.status.episode_id, len(cell.summaries)
    cell.spawn("grasp_detector")
    ros.wait_until(lambda: len(cell.summaries) > known, "a grasp that the new one judged")
    assert waiting in cell.discarded() and policy.running


def test_an_operator_may_give_up_a_grasp_that_nobody_judges(cell, ros):
    cell.logger()
    cell.policy(outcome_timeout=2.0)
    ros.wait_until(lambda: cell.summaries, "an episode")
    cell.detector.stop()
    ros.wait_until(lambda: cell.state == "paused", "the pause")
    waiting = cell.status.episode_id
    assert "~/start gives this grasp up" in cell.status.message
    assert ros.call(Trigger, "policy/start").success
    ros.wait_until(lambda: waiting in cell.discarded(), "the grasp given up")
    ros.wait_until(lambda: "nobody publishes" in cell.status.message, "what it waits for next")


def test_a_simulation_that_dies_is_named(cell, ros):
    cell.logger()
    policy = cell.policy(ready_timeout=3.0)
    ros.wait_until(lambda: cell.summaries, "an episode")
    cell.sim.kill()
    ros.wait_until(lambda: cell.state == "error", "the error")
    assert "sim_cell" in cell.status.message and "\n" not in cell.status.message
    assert policy.stop() == 0 and "Traceback" not in policy.output


def test_an_arm_that_does_not_answer_is_one_line(spawn_node, ros, tmp_path):
    from robot_finetune.learning.checkpoint import save_checkpoint
    from robot_finetune.learning.networks.build import build_network
    from robot_finetune.learning.networks.interface import NetworkConfig
    from robot_finetune.msg import PolicyStatus

    statuses = ros.collect(PolicyStatus, "policy_status", LATCHED)
    save_checkpoint(tmp_path, build_network(NetworkConfig(channels=8, hidden=8), 0), 0, 0, {})
    policy = spawn_node("policy", {"policy": str(tmp_path), "ready_timeout": 3.0})
    ros.wait_until(lambda: statuses and statuses[-1].state == PolicyStatus.ERROR, "the error")
    assert (
        statuses[-1].message == "no joint_states on /joint_states for 2.0 s: is the arm driver (or sim_cell) running?"
    )
    assert len([line for line in policy.output.splitlines() if "[ERROR]" in line and "joint_states" in line]) <= 2


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"variation": "offset_griper_10cm"}, "unknown variation 'offset_griper_10cm': did you mean"),
        ({"policy": "/no/such/folder"}, "/no/such/folder: no checkpoint there"),
        ({"robot": "broken.yaml"}, "broken.yaml:1: not valid YAML"),
        ({"mode": "learn"}, "mode = 'learn': allowed are explore, evaluate"),
        ({"max_episodes": -1}, "max_episodes = -1"),
    ],
)
def test_a_wrong_setting_is_one_line_and_an_exit_code(spawn_node, tmp_path, params, message):
    (tmp_path / "broken.yaml").write_text("name: [sim")
    params = {key: str(tmp_path / value) if value == "broken.yaml" else value for key, value in params.items()}
    policy = spawn_node("policy", params)
    assert policy.wait() == MISCONFIGURED
    (line,) = policy.output.splitlines()
    assert message in line
