"""What a robot felt itself speaks against a version that was taught something else, whatever its trainer says."""

import numpy as np
import pytest
from test_offline_score import Certain

from robot_finetune.data.promotion_log import Decision
from robot_finetune.learning.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from robot_finetune.learning.networks.build import build_network
from robot_finetune.learning.networks.interface import NetworkConfig
from robot_finetune.learning.own_grasps import FEWEST, KEPT, OwnGrasps
from robot_finetune.learning.promotion.gate import Gate, PromotionConfig
from robot_finetune.learning.q_policy import QPolicy
from robot_finetune.learning.version_switch import SwitchingPolicy, version_id
from robot_finetune.robot.interfaces import Decision as ActionDecision
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.types import Action, Observation

POSE = np.array([0.6, 0.0, 0.2, 0.0])


def seen():
    return Observation(np.full((64, 64, 3), 90, np.uint8), POSE, 1.0, 3)


def grasp(own, success, action=None):
    own.begin_episode()
    own.decided(seen(), ActionDecision(Action.move((0.01, 0.0, 0.0), 0.0)))
    own.decided(seen(), ActionDecision(action or Action.close()))
    own.judged(success)


def test_nothing_is_said_of_a_few_grasps_and_the_oldest_are_forgotten():
    own = OwnGrasps()
    for _ in range(FEWEST - 1):
        grasp(own, success=False)
    assert own.score(Certain(5.0), Certain(-5.0)) is None
    grasp(own, success=False)
    found = own.score(Certain(5.0), Certain(-5.0))
    assert found.own_grasps == FEWEST and found.own_log_loss > 5 > 0.1 > found.own_incumbent
    for _ in range(KEPT):
        grasp(own, success=True)
    found = own.score(Certain(5.0), Certain(-5.0))
    assert found.own_grasps == KEPT and found.own_log_loss < 0.1


def test_only_what_the_policy_closed_on_itself_and_was_judged_counts():
    own = OwnGrasps()
    for _ in range(FEWEST):
        grasp(own, True, Action.move((0.0, 0.0, -0.01), 0.0))  # ended by the step limit, or a person went on
        own.decided(seen(), ActionDecision(Action.close()))
        own.begin_episode()  # was discarded, never judged
        own.judged(True)
    assert own.score(Certain(0.0), Certain(0.0)) is None


@pytest.fixture
def policies(tmp_path, monkeypatch):
    """A policy that closes at once and is sure of success, and a folder of a version that is as sure of failure."""
    network = build_network(NetworkConfig(), 0)
    bias = [tensor for name, tensor in network.named_parameters() if tensor.shape == (1,)][-1]
    for version, sure in ((0, 4.0), (1, -4.0)):
        bias.data.fill_(sure)
        save_checkpoint(tmp_path / f"v{version}", network, version, 0, {})
    first = load_checkpoint(tmp_path / "v0")
    acting = QPolicy(first, RobotProfile())
    monkeypatch.setattr(acting, "act", lambda observation: ActionDecision(Action.close()))
    return acting, first, tmp_path / "v1"


@pytest.mark.parametrize(("success", "rejected"), [(True, True), (False, False)])
def test_a_version_that_contradicts_the_robots_own_grasps_never_acts(policies, success, rejected):
    acting, first, folder = policies
    told = []
    policy = SwitchingPolicy(acting, Gate(version_id(first), PromotionConfig()), told.append)
    for index in range(FEWEST):
        policy.begin_episode("explore")
        policy.act(seen())
        policy.judged(f"e{index}", success and index > 0)
    assert policy.offer(folder, 1, scores={"worse": -1.0})
    decisions = [entry for entry in told if isinstance(entry, Decision)]
    assert [made.decision for made in decisions] == ["rejected"] * rejected
    if rejected:
        assert "this robot's own grasps" in decisions[0].reason and decisions[0].evidence["own_grasps"] == FEWEST
        with pytest.raises(CheckpointError, match="rejected"):
            policy.offer(folder, 1)
    else:
        assert policy.gate.waiting.version == 1
