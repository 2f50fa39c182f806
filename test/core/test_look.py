"""The scene's look as a witness of drift: what it is made of, its alarm, and what mode auto does with it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_finetune.data.promotion_log import ADAPTING, JUDGED, LOOKS, STARTED, Fact, VersionId
from robot_finetune.experiments.benchmarks import drift
from robot_finetune.learning.promotion.autonomy import Autonomy, AutonomyConfig, decide, restored
from robot_finetune.learning.promotion.gate import Gate, PromotionConfig
from robot_finetune.learning.promotion.look import FIELDS, SIZE, LookDetector, look_of
from robot_finetune.robot.episode_runner import EpisodeRunner, RunnerConfig
from robot_finetune.robot.profile import load_robot
from robot_finetune.sim.cell import Cell
from robot_finetune.sim.robot import sim_robot
from robot_finetune.sim.variations import load_variation
from robot_finetune.types import EVALUATE, EXPLORE


def looks(rng, count, shift=0.0):
    """Of a scene whose every field is of some colour, and `shift` brighter than usual."""
    return (np.linspace(60, 180, SIZE) + shift + rng.normal(0, 4, (count, SIZE))).tolist()


def run(autonomy, seen, success=True):
    """Grasps at work that began with these looks; returns (decision, reason, grasp)."""
    told = []
    for grasp, look in enumerate(seen, 1):
        fact = Fact(JUDGED, auto=True, success=success, look=look)
        told += [(made.decision, made.reason, grasp) for made in autonomy.apply(fact, 0, grasp)]
    return told


def test_golden_look():
    image = np.zeros((64, 64, 3), np.uint8)
    image[16:32, 48:] = 200, 100, 50
    look = np.array(look_of(image)).reshape(FIELDS, FIELDS, 3)
    assert look[1, 3].tolist() == [200, 100, 50] and look.sum() == 350


@given(st.integers(FIELDS, 90), st.integers(0, 255))
def test_images_of_any_size_have_a_look(size, grey):
    assert look_of(np.full((size, size, 3), grey, np.uint8)) == [grey] * SIZE


def test_golden_evidence():
    """Distances 1, 4 and 9 squared deviations from two looks: p-values 1, 1 / 2 and 1 / 3."""
    detector = LookDetector(2, 0.01)
    for value in (100.0, 102.0):
        detector.add([value] * SIZE)
    sums = np.zeros(2)
    bets = np.array((0.2, 0.5))
    for value, p in ((102.0, 1.0), (104.0, 1 / 2), (106.0, 1 / 3)):
        detector.add([value] * SIZE)
        sums = (sums + 1) * bets * p ** (bets - 1)
    assert detector.evidence == pytest.approx(sums.mean()) and not detector.alarm


def test_false_alarms_are_as_rare_as_was_asked_for():
    """The mean run to a false alarm is 1 / rate at least, whatever the looks are like."""
    rng, grasps, runs = np.random.default_rng(0), 0, 100
    for number in range(runs):
        detector = LookDetector(5, 0.02)
        heavy = rng.standard_t(2, (2000, SIZE)) if number % 2 else rng.exponential(size=(2000, SIZE))
        for look in heavy:
            if detector.alarm:
                break
            detector.add(look)
            grasps += 1
        else:
            grasps += 2000
    assert grasps / runs > 50 * (1 - 3 / np.sqrt(runs))


@pytest.mark.parametrize(("reference", "rate"), [(1, 0.1), (5, 0.0), (5, 1.1)])
def test_impossible_settings_are_refused(reference, rate):
    with pytest.raises(ValueError, match="expected"):
        LookDetector(reference, rate)


def test_a_scene_that_looks_different_is_told_once_and_is_usual_then():
    autonomy, rng = Autonomy(), np.random.default_rng(1)
    assert not run(autonomy, looks(rng, 100))
    told = run(autonomy, looks(rng, 200, shift=30))
    assert [(what, why) for what, why, _ in told] == [(LOOKS, "the scene looks different")] and told[0][2] <= 8
    assert autonomy.mode == EVALUATE
    assert [what for what, *_ in run(autonomy, looks(rng, 20))] == [LOOKS], "and back again"


def test_it_begins_learning_where_that_is_asked_for():
    autonomy, rng = Autonomy(AutonomyConfig(look_begins=True)), np.random.default_rng(1)
    run(autonomy, looks(rng, 100))
    (first, *_), (second, why, _) = run(autonomy, looks(rng, 10, shift=30))[:2]
    assert (first, second) == (LOOKS, ADAPTING) and "looks different" in why and autonomy.mode == EXPLORE


@pytest.mark.parametrize("look", [[], [1.0] * 5])
def test_grasps_without_a_look_say_nothing_of_the_scene(look):
    autonomy = Autonomy()
    assert not run(autonomy, [look] * 300) and autonomy.look.evidence == 0


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 120))
def test_a_restart_goes_on_where_it_was(seed, cut):
    rng, first = np.random.default_rng(seed), VersionId(0)
    gate, autonomy = Gate(first), Autonomy()
    made = [Fact(JUDGED, *first, auto=True, success=True, look=look) for look in looks(rng, 60) + looks(rng, 90, 9)]
    for fact in made[:cut]:
        decide(fact, gate, autonomy)
    again = restored([Fact(STARTED, *first), *made[:cut]], PromotionConfig())
    for fact in made[cut:]:
        assert decide(fact, gate, autonomy) == decide(fact, *again)


def test_the_benchmark_tells_how_long_each_witness_takes():
    rng = np.random.default_rng(2)
    successes = [True] * 100 + [False] * 60
    seen = looks(rng, 100) + looks(rng, 60, shift=30)
    found = drift.witnesses(successes, seen, 100)
    assert found["by_either"] == min(found["by_success"], found["by_look"]) and found["false_alarms"] == 0
    blind = drift.witnesses([True] * 160, looks(rng, 160), 100)
    assert blind == {"by_success": None, "by_look": None, "by_either": None, "false_alarms": 0}


class Begun(Exception):
    """The grasp that is looked at need not be made."""


class Onlooker:
    """A policy that keeps the look where a grasp begins."""

    version = 0

    def begin_episode(self, mode):
        pass

    def act(self, observation):
        self.look = look_of(observation.image)
        raise Begun


def test_the_simulated_cell_looks_different_with_another_floor_or_gripper_and_else_the_same():
    profile, onlooker = load_robot("sim"), Onlooker()
    cell = Cell(profile, load_variation("base"))
    runner = EpisodeRunner(sim_robot(cell), profile, onlooker, None, config=RunnerConfig(look=False))

    def seen(variation, scenes):
        cell.set_variation(load_variation(variation))
        found = []
        for scene in scenes:
            cell.reset(scene, "held_out", at_start=True)
            with pytest.raises(Begun):
                runner.run(f"e{scene}", variation, EVALUATE)
            found.append(onlooker.look)
        return found

    usual = seen("base", range(120))
    assert not run(Autonomy(), usual)
    for variation in ("checkerboard_backing", "offset_gripper_10cm"):
        told = run(Autonomy(), usual + seen(variation, range(120, 135)))
        assert [what for what, *_ in told][:1] == [LOOKS], variation
