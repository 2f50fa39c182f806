"""A person moves the gripper instead of the policy: within all limits, recorded as what was executed."""

import threading

import numpy as np
import pytest
from fake_robot import DOWN, FakeCell, ListPolicy, Recorder
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_finetune.robot.episode_runner import EpisodeDiscarded, EpisodeRunner
from robot_finetune.robot.interfaces import MoveResult, Wish
from robot_finetune.robot.safety import EmergencyStop
from robot_finetune.robot.take_over import PIECE, TakeOver
from robot_finetune.types import Observation

LEFT, RIGHT = Wish(np.array([0.0, 1.0, 0.0, 0.0])), Wish(np.array([0.0, -0.5, -1.0, 0.5]))
STILL, CLOSE, OPEN = Wish(np.zeros(4)), Wish(np.zeros(4), close=True), Wish(np.zeros(4), open=True)
SILENT = Wish(np.zeros(4), silent=True)


class Hand:
    """Wants one thing after the other; the last one on and on."""

    def __init__(self, *wishes):
        self.wishes, self.done = list(wishes), 0

    def wish(self):
        return self.wishes.pop(0) if len(self.wishes) > 1 else self.wishes[0]

    def served(self):
        self.done += 1
        if self.wishes[0] is CLOSE:
            self.wishes[0] = STILL


@pytest.fixture
def cell():
    return FakeCell()


def run(cell, hand, *actions, mode="explore", robot=None, patience=60.0):
    policy, recorder = ListPolicy(*actions), Recorder()
    robot = robot or cell.robot
    acting = TakeOver(policy, hand, robot, cell.profile, patience, lambda: 8)
    episode = EpisodeRunner(robot, cell.profile, acting, recorder, recorder).run("e1", mode=mode)
    return episode, policy, recorder


def test_the_person_acts_while_they_hold_and_the_policy_before_and_after(cell):
    hand = Hand(None, LEFT, LEFT, LEFT, None)
    episode, policy, _ = run(cell, hand, DOWN)
    assert [step.intervention for step in episode.steps] == [False, True, False] and episode.interventions == 1
    before, person, after = episode.steps
    box = cell.profile.workspace
    moved = after.observation.pose - person.observation.pose
    np.testing.assert_allclose(moved, [0, 2 * PIECE * box.max_step_xy, 0, 0], atol=1e-7)  # the first look moves nothing
    np.testing.assert_allclose(person.commanded.translation, [0, 2 * PIECE, 0], atol=1e-6)
    assert np.isnan(person.q) and person.policy_version == 8 and before.policy_version == 3
    assert len(policy.observations) == 2, "the policy is not asked while a person acts"


def test_a_decision_ends_where_one_action_may_lead_and_closing_ends_the_approach(cell):
    hand = Hand(*[LEFT] * 6, CLOSE)
    episode, policy, _ = run(cell, hand, DOWN)
    first, last = episode.steps[0], episode.steps[-1]
    assert first.commanded.translation[1] == pytest.approx(1.0, abs=1e-6)
    assert last.commanded.closes and last.intervention and episode.end_reason == "closed"
    assert not policy.observations and hand.done


def test_after_standing_still_the_scene_is_looked_at_again_before_anybody_acts(cell):
    episode, policy, _ = run(cell, Hand(STILL, STILL, STILL, None))
    assert episode.interventions == 0 and [step.observation.step for step in episode.steps] == [0]
    assert policy.observations[0].stamp > 0 and cell.camera.frames_left == 1000 - 2 - 2, "two looks for one decision"


def test_the_fingers_open_when_the_person_wants_it(cell):
    run(cell, Hand(STILL, OPEN, STILL, None))
    assert cell.log.count("open") == 2, "at the beginning, and by hand"


@pytest.mark.parametrize(("wish", "why"), [(STILL, "let go"), (SILENT, "joystick is silent")])
def test_somebody_who_holds_and_does_nothing_loses_the_grasp_and_the_policy_does_not_act(cell, wish, why):
    with pytest.raises(EpisodeDiscarded, match=why):
        run(cell, Hand(wish), DOWN, patience=0.02)


def test_in_demonstrations_the_policy_never_acts(cell):
    episode, policy, _ = run(
        cell, Hand(None, None, LEFT, LEFT, LEFT, None, None, None, RIGHT, RIGHT, RIGHT, CLOSE), mode="demonstrate"
    )
    assert episode.interventions == len(episode.steps) >= 2 and not policy.observations
    with pytest.raises(EpisodeDiscarded, match="nobody moved the gripper"):
        run(cell, Hand(None), mode="demonstrate", patience=0.02)


def test_a_person_may_take_longer_than_an_episode(cell):
    cell.arm.slow, cell.gripper.width = 8.0, 0.5  # s a motion
    begun = cell.clock.now()
    assert run(cell, Hand(*[LEFT] * 5, CLOSE))[0].outcome.success
    assert cell.clock.now() - begun > 60.0, "the time budget of what is not done by hand"


def test_what_stands_in_the_way_ends_the_approach_as_it_does_for_the_policy(cell):
    cell.arm.blocked_below = 0.19
    episode, _, recorder = run(cell, Hand(*[RIGHT] * 9, None))
    assert episode.end_reason == "blocked" and recorder.steps[-1].intervention


def test_an_emergency_stop_ends_a_persons_motion_too(cell):
    stop = EmergencyStop()
    robot = stop.guard(cell.robot)
    moves = cell.arm.move

    def move(pose):
        if len(cell.log) > 4:
            threading.Thread(target=stop.trip).start()
            stop._tripped.wait(10.0)
        return moves(pose)

    cell.arm.move = move
    with pytest.raises(EpisodeDiscarded, match="emergency stop"):
        run(cell, Hand(LEFT), robot=robot)
    count = cell.log.count("move")
    with pytest.raises(EpisodeDiscarded, match="emergency stop"):
        run(cell, Hand(LEFT), robot=robot)
    assert cell.log.count("move") == count and cell.arm.stops


axis = st.sampled_from([-1.0, 0.0, 1.0]) | st.floats(-1, 1)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(axis, axis, axis, axis), min_size=1, max_size=30),
    st.tuples(st.floats(0.43, 0.765), st.floats(-0.23, 0.23), st.floats(0.005, 0.25), st.floats(-1.6, 1.6)),
)
def test_no_hand_leads_out_of_the_workspace_nor_faster_or_further_than_allowed(motions, start):
    cell, sent = FakeCell(), [np.array(start)]

    def move(pose):
        sent.append(np.array(pose))
        return MoveResult(pose)

    cell.arm.move = move
    hand = Hand(*(Wish(np.array(motion)) for motion in motions), None)
    policy = ListPolicy(DOWN)
    acting = TakeOver(policy, hand, cell.robot, cell.profile)
    acting.begin_episode("explore")
    decision = acting.act(Observation(np.zeros((4, 4, 3), np.uint8), sent[0], 1.0, 0))
    box = cell.profile.workspace
    largest = np.array([box.max_step_xy, box.max_step_xy, box.max_step_z, box.max_step_yaw])
    for before, target in zip(sent, sent[1:], strict=False):
        assert (target[:3] >= box.low).all() and (target[:3] <= box.high).all()
        assert (np.abs(target - before) <= PIECE * largest + 1e-9).all()
        assert (np.abs(target - sent[0]) <= largest + 1e-9).all()
    if decision is not None and decision.intervention:
        np.testing.assert_allclose(acting._space.target(sent[0], decision.action), sent[-1], atol=1e-6)
