"""Whole sessions in one process with the gate: what is wrong with the training does not reach the robot."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_finetune.config import from_mapping
from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.data.replay_file import pack
from robot_finetune.experiments.benchmarks import interventions, trust
from robot_finetune.experiments.gated_session import Bench, SessionPlan, SimulatedSession, Spoiling, run_session
from robot_finetune.learning.checkpoint import save_checkpoint
from robot_finetune.learning.networks.build import build_network
from robot_finetune.learning.networks.interface import NetworkConfig
from robot_finetune.learning.promotion.gate import PromotionConfig
from robot_finetune.learning.trainer import TrainerConfig
from robot_finetune.types import Action, Episode, GraspOutcome, Observation, Step

TRAINING = from_mapping(
    TrainerConfig,
    {"min_grasps": 2, "updates_per_grasp": 1.0, "publish_every": 2, "hold_out": 0.0, "fine_tune": {"batch_size": 4}},
)

SOUND = Spoiling()


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    """A small random network as version 5, with a replay of one grasp."""
    folder = tmp_path_factory.mktemp("policy")
    save_checkpoint(folder, build_network(NetworkConfig(channels=8, hidden=8, max_steps=2), 0), 5, 4, {})
    seen = Observation(np.zeros((64, 64, 3), np.uint8), np.array([0.6, 0.0, 0.2, 0.0]), 1.0, 0)
    replay = ReplayBuffer(None, 10)
    replay.add(Episode("base", (Step(seen, Action.close(), Action.close()),), GraspOutcome(True)))
    pack(replay, folder / "replay.bin")
    return str(folder)


def run(policy, out, spoiling=SOUND, **promotion):
    plan = SessionPlan(policy, "base", 8, 1, PromotionConfig(**promotion), TRAINING, spoiling)
    return run_session(plan, out, episodes=2)


def test_candidate_and_incumbent_act_in_turns(policy, tmp_path):
    made = run(policy, tmp_path)
    assert len(made["success"]) == 8 and set(made["version"]) >= {5, 6} and made["versions"] >= 2
    assert made["decisions"][0]["decision"] == "trial" and made["result"]["episodes"] == 2


def test_without_the_gate_the_last_version_is_deployed(policy, tmp_path):
    made = run(policy, tmp_path, mode="immediate")
    assert made["deployed"] == 5 + made["versions"] == made["result"]["policy_version"]


def test_weights_that_are_not_finite_never_act(policy, tmp_path):
    made = run(policy, tmp_path, Spoiling(nan=True), mode="immediate")
    assert set(made["version"]) == {5} and made["deployed"] == 5 and made["versions"] >= 2


def test_trials_of_known_rates_end_as_they_should():
    rows = {row["difference"]: row for row in trust.trials(20)}
    assert rows[-0.2]["rejected"] >= 15 and rows[-0.2]["promoted"] == 0
    assert rows[0.2]["promoted"] >= 15 and rows[0.2]["rejected"] == 0
    assert rows[0.0]["undecided"] >= 15


def test_sessions_are_summed_up_by_what_they_deploy():
    def cell(kind, successes, deployed=1):
        result = {"successes": successes, "episodes": 100}
        return {"kind": kind, "variation": "v", "result": result, "deployed": deployed, "version": [1, 2]}

    found = trust.summarise(
        [cell("base", 60), cell("gated", 70, 2), cell("gated", 20, 2), cell("all labels flipped", 61)]
    )
    assert found["sessions"]["gated"] == {
        "sessions": 2,
        "mean": pytest.approx(0.45),
        "mean_first": pytest.approx(0.6),
        "worse": 1,
        "deployed_later": 2,
        "by_variation": {"v": "45 % [38, 52]"},
    }
    assert found["sessions"]["all labels flipped"]["deployed_later"] == 0


def test_what_a_person_does_is_marked(policy, tmp_path):
    plan = SessionPlan(policy, "base", seed=1, training=TRAINING)
    session = SimulatedSession(plan, tmp_path)
    bench = Bench(plan, "base", session.policy)
    grasps = [bench.grasp(by_hand=True) for _ in range(3)]
    assert all(grasp.interventions == len(grasp.steps) and grasp.policy_version == 5 for grasp in grasps)
    assert bench.grasp().interventions == 0


@given(st.integers(1, 200), st.data())
def test_take_overs_are_as_many_as_asked_for_and_spread_evenly(grasps, data):
    wanted = data.draw(st.integers(0, grasps))
    places = [grasp for grasp in range(grasps) if interventions.taken_over(grasp, grasps, wanted)]
    assert len(places) == wanted
    gaps = np.diff(places)
    assert not len(gaps) or gaps.max() - gaps.min() <= 1


def test_take_overs_are_summed_up_by_variation():
    def cell(variation, take_overs, successes):
        return {"variation": variation, "take_overs": take_overs, "result": {"successes": successes, "episodes": 100}}

    rows = interventions.summarise([cell("v", 0, 50), cell("v", 20, 70), cell("w", 0, 40), cell("w", 20, 60)])
    assert rows["v"] == {"0": "50 % [40, 60]", "20": "70 % [60, 78]"} and rows["all"]["20"].startswith("65 %")
