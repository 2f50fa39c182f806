"""The node policy on the simulated cell, with the nodes it needs around it."""

import math
import re

from std_srvs.srv import Trigger

from robot_finetune.data.episode_log import read_episode
from robot_finetune.data.promotion_log import HEARD, JUDGED, Fact, read_promotion
from robot_finetune.exit_codes import MISCONFIGURED
from robot_finetune.msg import PolicyStep, Promotion
from robot_finetune.ros.node.qos import LATCHED
from robot_finetune.types import NO_TRIAL

PHASES = ["reset", "before", "approach", "lifted", "after_lift", "after_drop", "done"]


def test_episodes_run_are_judged_and_logged(cell, ros):
    cell.logger()
    policy = cell.policy(max_episodes=3, mode="evaluate", variation="checkerboard_backing")
    ros.wait_until(cell.finished, "the end of three episodes")
    ros.wait_until(lambda: len(cell.summaries) == 3, "their summaries")
    ids = [summary.episode_id for summary in cell.summaries]
    assert ids == sorted(set(ids))
    for summary in cell.summaries:
        episode = read_episode(summary.path)
        steps = [step for step in cell.steps if step.episode_id == summary.episode_id]
        assert [step.step for step in steps] == list(range(summary.steps)) and 1 <= summary.steps <= 3
        assert (episode.mode, episode.variation, episode.policy_version) == ("evaluate", "checkerboard_backing", 0)
        assert episode.end_reason == summary.end_reason and len(episode.steps) == summary.steps
        phases = cell.phase_names(summary.episode_id)
        assert [phase for phase in PHASES if phase in phases] == list(dict.fromkeys(phases)) == PHASES
    assert policy.stop() == 0 and "Traceback" not in policy.output


def test_mode_scripted_grasps_without_the_network_and_is_no_evidence_about_it(cell, ros):
    cell.logger()
    policy = cell.policy(max_episodes=2, mode="scripted", out=str(cell.out))
    ros.wait_until(cell.finished, "the end of two episodes")
    ros.wait_until(lambda: len(cell.summaries) == 2, "their summaries")
    for summary in cell.summaries:
        episode = read_episode(summary.path)
        assert episode.mode == "scripted" and all(math.isnan(step.q) for step in episode.steps)
    assert not [entry for entry in read_promotion(cell.out)[0] if isinstance(entry, Fact) and entry.fact == JUDGED]
    assert policy.stop() == 0 and "Traceback" not in policy.output


def test_variation_and_mode_change_from_the_next_episode_on(cell, ros):
    cell.logger()
    cell.policy()
    ros.wait_until(lambda: cell.summaries, "the first episode")
    assert ros.set_parameter("policy", "variation", "harsh_lighting").successful
    assert ros.set_parameter("policy", "mode", "auto").successful
    ros.wait_until(lambda: cell.summaries[-1].mode == PolicyStep.EVALUATE, "an episode at work")
    assert cell.summaries[-1].variation == "harsh_lighting"
    refused = ros.set_parameter("policy", "variation", "harsh_lightning")
    assert not refused.successful and "did you mean 'harsh_lighting'" in refused.reason


def test_versions_are_swapped_between_episodes_refused_and_rolled_back(cell, ros):
    cell.logger()
    policy = cell.policy()
    ros.wait_until(lambda: cell.summaries, "the first episode")
    cell.announce(1)
    ros.wait_until(lambda: cell.summaries[-1].policy_version == 1, "version 1 acting")
    assert cell.status.swap_ms > 0
    cell.announce(2, sha256="0" * 64)
    ros.wait_until(lambda: "version 2 is not used, version 1 goes on" in policy.output, "the refusal")
    assert "damaged" in policy.output
    rolled_back = ros.call(Trigger, "policy/rollback")
    assert rolled_back.success and "version 0 acts again" in rolled_back.message
    ros.wait_until(lambda: cell.summaries[-1].policy_version == 0, "version 0 acting again")
    assert not ros.call(Trigger, "policy/rollback").success
    cell.announce(1)
    ros.wait_until(lambda: "version 1 was rolled back" in policy.output, "the refusal of version 1")
    assert ros.set_parameter("policy", "accept_updates", False).successful
    cell.announce(3)
    ros.wait_until(lambda: "version 3 is loaded" in policy.output, "version 3 loaded")
    count = len(cell.summaries)
    ros.wait_until(lambda: len(cell.summaries) >= count + 3, "more episodes")
    assert cell.summaries[-1].policy_version == 0
    assert ros.set_parameter("policy", "accept_updates", True).successful
    ros.wait_until(lambda: cell.summaries[-1].policy_version == 3, "version 3 acting")
    versions = {}
    for step in cell.steps:
        versions.setdefault(step.episode_id, set()).add(step.policy_version)
    assert all(len(used) == 1 for used in versions.values()), "one version an episode"


def test_an_operator_pauses_stops_and_starts(slow_cell, ros):
    cell = slow_cell  # so that the stop falls into a grasp
    cell.logger()
    policy = cell.policy(autostart=False)
    ros.wait_until(lambda: cell.state == "idle", "the policy")
    ros.wait_until(lambda: "the parameter autostart is now start_grasping" in policy.output, "the warning")
    assert not ros.call(Trigger, "policy/pause").success
    assert ros.call(Trigger, "policy/start").success
    ros.wait_until(lambda: cell.summaries, "an episode")
    assert ros.call(Trigger, "policy/pause").success
    ros.wait_until(lambda: cell.phase == "done", "the end of the episode")
    assert cell.state == "paused"
    assert ros.call(Trigger, "policy/start").success
    ros.wait_until(lambda: cell.phase == "approach", "an approach")
    assert ros.call(Trigger, "policy/emergency_stop").success
    ros.wait_until(lambda: (cell.phase, cell.state) == ("discarded", "stopped"), "the episode discarded")
    assert "reset_emergency_stop" in cell.status.message
    refused = ros.call(Trigger, "policy/start")
    assert not refused.success and "reset_emergency_stop" in refused.message
    assert ros.call(Trigger, "policy/reset_emergency_stop").success
    count = len(cell.summaries)
    assert ros.call(Trigger, "policy/start").success
    ros.wait_until(lambda: len(cell.summaries) > count, "another episode")
    assert policy.running
    stops = [line for line in policy.output.splitlines() if "emergency_stop: emergency stop; call" in line]
    assert len(stops) == 1, stops
    ros.wait_until(lambda: len(re.findall(r"grasp \d+: .*, version 0, .* s\n", policy.output)) >= 2, "a line a grasp")


def test_discarded_grasps_do_not_make_it_wait_for_what_it_was_told_before(slow_cell, ros):
    """The summary of the last good grasp is looked at after the next good one, however many are discarded between."""
    slow_cell.logger()
    slow_cell.policy()
    ros.wait_until(lambda: slow_cell.summaries, "a grasp")
    for number in range(4):
        ros.wait_until(lambda: slow_cell.phase == "approach", "an approach")
        ros.call(Trigger, "policy/stop")
        ros.wait_until(lambda: len(slow_cell.discarded()) > number, "a discarded grasp")  # noqa: B023
        ros.call(Trigger, "policy/start")
    known = len(slow_cell.summaries)
    ros.wait_until(lambda: len(slow_cell.summaries) > known + 1, "two more grasps")


def test_without_a_logger_it_does_not_grasp_and_goes_on_when_there_is_one(cell, ros):
    policy = cell.policy(summary_timeout=1.0)
    ros.wait_until(lambda: "is episode_logger running" in cell.status.message, "what it waits for")
    assert not cell.steps and cell.state == "running"
    logger = cell.logger()
    ros.wait_until(lambda: len(cell.summaries) >= 2, "two episodes logged")
    logger.kill()
    ros.wait_until(lambda: cell.state == "paused", "the pause")
    assert "is episode_logger running" in cell.status.message
    cell.logger()
    logged = set()
    ros.wait_until(lambda: logged.update(s.episode_id for s in cell.summaries) or len(logged) >= 5, "five logged")
    assert {step.episode_id for step in cell.steps} >= {summary.episode_id for summary in cell.summaries}
    started = list(dict.fromkeys(step.episode_id for step in cell.steps))
    assert logged >= set(started[:4]), "none is missing"
    assert policy.stop() == 0


def test_a_trial_goes_on_where_a_killed_policy_left_it(cell, ros):
    cell.logger()
    promotion = ros.collect(Promotion, "promotion", LATCHED)
    parameters = {"promotion.mode": "gated", "out": str(cell.out)}
    policy = cell.policy(**parameters)
    ros.wait_until(lambda: cell.summaries, "the first episode")
    cell.announce(1)
    ros.wait_until(lambda: promotion[-1].candidate_grasps >= 2 and promotion[-1].incumbent_grasps >= 2, "a trial")
    assert (promotion[-1].state, promotion[-1].incumbent, promotion[-1].candidate) == (Promotion.TRIAL, 0, 1)
    policy.kill()
    known, _ = read_promotion(cell.out)
    judged = [fact for fact in known if isinstance(fact, Fact) and fact.fact == JUDGED and fact.side != NO_TRIAL]
    cell.policy(**parameters)
    ros.wait_until(lambda: promotion[-1].candidate_grasps + promotion[-1].incumbent_grasps > len(judged), "more grasps")
    begun = [message for message in promotion if message.candidate == 1 and message.candidate_grasps]
    assert all(message.candidate_grasps >= begun[0].candidate_grasps for message in begun), "a trial began anew"
    sides = {PolicyStep.INCUMBENT: 0, PolicyStep.CANDIDATE: 1}
    tried = [step for step in cell.steps if step.side]
    assert {step.side for step in tried} == set(sides)
    assert all(step.policy_version == sides[step.side] for step in tried)
    told = {step.episode_id: step.side for step in tried}
    ros.wait_until(lambda: any(summary.episode_id in told for summary in cell.summaries), "a file of the trial")
    logged = next(summary for summary in cell.summaries if summary.episode_id in told)
    (side,) = {step.side for step in read_episode(logged.path).steps}
    assert side == {1: "incumbent", 2: "candidate"}[told[logged.episode_id]]
    promoted = ros.call(Trigger, "policy/promote")
    assert promoted.success and "version 1 is promoted" in promoted.message
    assert ros.set_parameter("policy", "mode", "evaluate").successful
    ros.wait_until(
        lambda: (cell.summaries[-1].mode, cell.summaries[-1].policy_version) == (PolicyStep.EVALUATE, 1), "v1"
    )


def test_trials_of_other_robots_count_in_its_own(cell, ros):
    cell.logger()
    promotion = ros.collect(Promotion, "promotion", LATCHED)
    other = ros.publisher(Promotion, "/b/promotion", LATCHED, listened=False)
    cell.policy(**{"promotion.mode": "gated", "promotion.margin": 0.1, "out": str(cell.out), "fleet": "/b"})
    ros.wait_until(lambda: cell.summaries, "the first episode")
    cell.announce(1)
    ros.wait_until(lambda: promotion[-1].trial == 1, "a trial")
    here = promotion[-1]

    def say(**told):
        evidence = {"incumbent_grasps": 60, "candidate_grasps": 60, "candidate_successes": 50, "better": 1e6}
        question = {"incumbent_sha256": here.incumbent_sha256, "variation": here.variation, "trial": 1}
        other.publish(Promotion(state=Promotion.TRIAL, **{**evidence, **question, **told}))
        ros.spin_for(0.3)

    say(variation="harsh_lighting")  # another question
    say(incumbent_sha256="ab" * 32)
    say(candidate_successes=61)  # nonsense
    assert all(message.robots == 1 for message in promotion)
    say()
    ros.wait_until(lambda: promotion[-1].incumbent == 1, "the promotion by both")
    both = next(message for message in promotion if message.robots == 2)
    assert both.better < 20 < both.pooled_better and "of 2 robots" in promotion[-1].reason
    heard = [fact for fact in read_promotion(cell.out)[0] if isinstance(fact, Fact) and fact.fact == HEARD]
    assert {fact.robot for fact in heard} == {"/b"} and len(heard) == 1


def test_what_is_no_namespace_is_no_robot(cell):
    policy = cell.policy(fleet="/b, the other one")
    assert policy.wait() == MISCONFIGURED
    assert "fleet = '/b, the other one': 'the other one' is no namespace" in policy.output
