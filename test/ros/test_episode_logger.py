"""The node episode_logger: what it tells of is on disk, and what it missed it catches up on."""

import resource

import numpy as np
import pytest

from robot_finetune.data.episode_log import read_episode
from robot_finetune.data.episode_store import EpisodeStore
from robot_finetune.data.label_log import is_discarded, read_labels
from robot_finetune.msg import EpisodeSummary, GraspOutcome, GraspVerdict, PolicyStep
from robot_finetune.perception.cell_numbers import cell_numbers
from robot_finetune.robot.profile import load_robot
from robot_finetune.ros.conversions import outcome_to_message, step_to_message
from robot_finetune.ros.node.qos import COMMAND, EPISODE, STEP
from robot_finetune.ros.node.stamps import to_stamp
from robot_finetune.types import Action, Observation, Step
from robot_finetune.types import GraspOutcome as Outcome


def step(index, seed):
    rng = np.random.default_rng([seed, index])
    image = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    seen = Observation(image, np.array([0.5, 0.1, 0.2, 0.3]), 0.9, index, 10.0 + index)
    asked = Action.move((0.5, -0.5, 0.1), 0.2)
    return Step(seen, asked, Action.move((0.25, -0.5, 0.1), 0.2), 0.75, 3, (0.1,) * 7)


class Grasps:
    """Publishes grasps as policy and grasp detector do."""

    def __init__(self, ros):
        self.steps = ros.node.create_publisher(PolicyStep, "policy_step", STEP)
        self.outcomes = ros.node.create_publisher(GraspOutcome, "grasp_outcome", EPISODE)

    def publish(self, number, count=3, missing=()):
        episode_id = f"e{number:04d}"
        context = {"episode_id": episode_id, "variation": "base", "mode": "explore"}
        for index in set(range(count)) - set(missing):
            self.steps.publish(step_to_message(step(index, number), frame_id="base_link", decision_ms=5.0, **context))
        outcome = Outcome(number % 2 == 0, 0.9, False, {"opening": 0.4})
        end = {"policy_version": 3, "steps": count, "end_reason": "closed"}
        judged = context | {"mode": PolicyStep.EXPLORE} | end
        self.outcomes.publish(outcome_to_message(outcome, to_stamp(20.0), **judged))
        return episode_id


@pytest.fixture
def grasps(ros):
    return Grasps(ros)


@pytest.fixture
def summaries(ros):
    return ros.collect(EpisodeSummary, "episode_summary", EPISODE)


def ids(summaries):
    return {summary.episode_id for summary in summaries}


def test_what_an_outside_source_says_overrules_the_judgement(spawn_node, ros, grasps, summaries, tmp_path):
    """Also of a grasp that is not on disk yet; what nobody says, or what is none, is dropped."""
    logger = spawn_node("episode_logger", {"out": str(tmp_path)})
    verdicts = ros.publisher(GraspVerdict, "grasp_verdict", COMMAND)
    verdicts.publish(GraspVerdict(episode_id="e0002", verdict=GraspVerdict.FAILURE, source="scale", reason="0 g"))
    for bad in ({"verdict": 9, "source": "x"}, {"verdict": 1}, {"verdict": 1, "source": "a\nb"}):
        verdicts.publish(GraspVerdict(episode_id="e0003", **bad))
    verdicts.publish(GraspVerdict(episode_id="../e0003", verdict=1, source="x"))
    ros.wait_until(lambda: logger.output.count("is dropped") >= 1, "what is dropped")
    grasps.publish(2)
    grasps.publish(3)
    ros.wait_until(lambda: len(ids(summaries)) == 2, "the summaries")
    for _ in range(2):  # what is said twice is written once
        verdicts.publish(GraspVerdict(episode_id="e0003", verdict=GraspVerdict.DISCARD, source="ada"))

    def found():
        return {episode.episode_id: episode for episode in EpisodeStore(tmp_path / "episodes").new()}

    ros.wait_until(lambda: is_discarded(found()["e0003"]), "the labels")
    assert found()["e0002"].reward == 0.0 and found()["e0002"].meta["judged"] is True
    (label, other), damaged = read_labels(tmp_path / "episodes")
    assert (label.who, label.why, other.verdict, damaged) == ("scale", "0 g", "discard", [])
    assert logger.stop() == 0


def test_a_summary_tells_of_an_episode_that_is_on_disk(spawn_node, ros, grasps, summaries, tmp_path):
    spawn_node("episode_logger", {"out": str(tmp_path)})
    episode_id = grasps.publish(2)
    ros.wait_until(lambda: summaries, "a summary")
    summary = summaries[0]
    assert (summary.episode_id, summary.success, summary.steps, summary.total) == (episode_id, True, 3, 1)
    episode = read_episode(summary.path)
    assert [taken.observation.stamp for taken in episode.steps] == [10.0, 11.0, 12.0]
    np.testing.assert_array_equal(episode.steps[1].observation.image, step(1, 2).observation.image)
    assert episode.steps[1].commanded.translation[0] == np.float32(0.25) and episode.outcome.evidence == {
        "opening": 0.4
    }
    assert (episode.variation, episode.mode, episode.end_reason) == ("base", "explore", "closed")
    cell = cell_numbers(load_robot("sim")).tolist()
    assert episode.meta["cell"] == cell, "after a recalibration it is as it was made"


def test_a_restarted_logger_writes_what_it_missed(spawn_node, ros, grasps, summaries, tmp_path):
    first = spawn_node("episode_logger", {"out": str(tmp_path)})
    grasps.publish(1)
    ros.wait_until(lambda: summaries, "the first summary")
    file = tmp_path / "episodes" / "e0001.mcap"
    written = file.stat()
    first.kill()
    for number in (2, 3):
        grasps.publish(number)
    summaries.clear()
    spawn_node("episode_logger", {"out": str(tmp_path)})
    ros.wait_until(lambda: len(summaries) == 3, "the summaries of all three")
    assert ids(summaries) == {"e0001", "e0002", "e0003"}
    assert {summary.total for summary in summaries} <= {1, 2, 3} and summaries[-1].total == 3
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == (written.st_mtime_ns, written.st_ino)


def test_an_episode_waits_for_all_of_its_steps(spawn_node, ros, grasps, summaries, tmp_path):
    spawn_node("episode_logger", {"out": str(tmp_path)})
    grasps.publish(1, missing={1})
    grasps.publish(2)
    ros.wait_until(lambda: "e0002" in ids(summaries), "the complete episode")
    assert ids(summaries) == {"e0002"}
    context = {"episode_id": "e0001", "variation": "base", "mode": "explore"}
    grasps.steps.publish(step_to_message(step(1, 1), frame_id="base_link", **context))
    ros.wait_until(lambda: "e0001" in ids(summaries), "the episode whose step came late")


def test_a_full_disk_is_told_and_loses_nothing(spawn_node, ros, grasps, summaries, tmp_path):
    logger = spawn_node("episode_logger", {"out": str(tmp_path), "retry_period": 0.1})
    grasps.publish(1)
    ros.wait_until(lambda: summaries, "the first summary")
    limit = resource.prlimit(logger.pid, resource.RLIMIT_FSIZE, (8192, resource.RLIM_INFINITY))
    grasps.publish(2)
    ros.wait_until(lambda: "kept in memory" in logger.output, "the error")
    assert "e0002" not in ids(summaries) and not (tmp_path / "episodes" / "e0002.mcap").exists()
    resource.prlimit(logger.pid, resource.RLIMIT_FSIZE, limit)
    ros.wait_until(lambda: "e0002" in ids(summaries), "the episode once there is room")
    assert read_episode(tmp_path / "episodes" / "e0002.mcap").episode_id == "e0002"
    assert logger.output.count("kept in memory") <= 2, "once, and once more by the diagnostics"


def test_it_ends_cleanly_when_asked(spawn_node, ros, grasps, summaries, tmp_path):
    logger = spawn_node("episode_logger", {"out": str(tmp_path)})
    grasps.publish(1)
    ros.wait_until(lambda: summaries, "a summary")
    assert logger.stop() == 0 and "Traceback" not in logger.output
