import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from fake_robot import DOWN, FakeCell, ListPolicy, Recorder

from robot_finetune.robot.episode_runner import EpisodeDiscarded, EpisodeRunner, RunnerConfig
from robot_finetune.robot.interfaces import MoveResult, RobotError
from robot_finetune.robot.profile_groups import MotionConfig
from robot_finetune.robot.safety import EmergencyStop
from robot_finetune.types import Action

CONTACTS = MotionConfig().contacts
ALL_PHASES = ["reset", "before", "approach", "lifted", "after_lift", "after_drop", "done"]


@pytest.fixture
def cell():
    return FakeCell()


@pytest.fixture
def recorder():
    return Recorder()


def runner_of(cell, recorder, *actions, robot=None, **config):
    return EpisodeRunner(
        robot or cell.robot, cell.profile, ListPolicy(*actions), recorder, recorder, RunnerConfig(**config)
    )


def test_a_successful_grasp(cell, recorder):
    cell.gripper.width = 0.4
    runner = runner_of(cell, recorder, DOWN, DOWN)
    episode = runner.run("e1", "base", "explore")
    assert recorder.phases == ALL_PHASES
    assert cell.log == [
        "out_of_view",
        "open",
        "move",
        "move",
        "move",
        "close",
        "move",
        "out_of_view",
        "move",
        "open",
        "out_of_view",
    ]
    assert episode.outcome.success and episode.end_reason == "closed"
    assert (episode.episode_id, episode.variation, episode.mode) == ("e1", "base", "explore")
    assert episode.steps == tuple(recorder.steps) and len(episode.steps) == 3
    assert recorder.evidence.opening_closed == recorder.evidence.opening_lifted == 0.4
    assert runner.policy.modes == ["explore"] and cell.arm.stops == 0


def test_images_of_the_judge_are_taken_out_of_view_and_announced(cell, recorder):
    cell.gripper.width = 0.4
    runner_of(cell, recorder).run("e1")
    frames = [recorder.evidence.before, recorder.evidence.after_lift, recorder.evidence.after_drop]
    assert frames == [recorder.frames[phase] for phase in ("before", "after_lift", "after_drop")]
    assert all((frame.image == 255).all() for frame in frames)
    assert frames[0].stamp < frames[1].stamp < frames[2].stamp


def test_observations_are_the_measured_state(cell, recorder):
    episode = runner_of(cell, recorder, DOWN).run("e1")
    first, second = (step.observation for step in episode.steps)
    np.testing.assert_allclose(first.pose, cell.profile.start_pose)
    np.testing.assert_allclose(second.pose, np.array(cell.profile.start_pose) + [0, 0, -0.05, 0.2], atol=1e-6)
    assert first.image.shape == (64, 64, 3) and (first.image == 0).all()
    assert (first.step, second.step) == (0, 1) and first.opening == 1.0 and first.stamp < second.stamp
    assert episode.steps[0].joint_positions == tuple(range(7))
    assert (episode.steps[0].q, episode.policy_version) == (0.5, 3)


def test_the_commanded_action_is_the_clipped_one(cell, recorder):
    sideways = Action.move((1, 1, 0), 0.0)
    steps = runner_of(cell, recorder, *[sideways] * 4).run("e1").steps
    assert steps[0].commanded.translation == pytest.approx([1, 1, 0])
    limit = cell.profile.workspace
    assert steps[2].commanded.translation[0] == pytest.approx(
        (limit.high[0] - 0.6 - 2 * limit.max_step_xy) / limit.max_step_xy, abs=1e-5
    )
    assert steps[3].commanded.translation == pytest.approx([0, 0, 0], abs=1e-6)
    np.testing.assert_array_equal(steps[2].asked.vector, sideways.vector)
    np.testing.assert_array_equal(steps[4].commanded.vector, Action.close().vector)


def test_a_held_object_is_let_go_over_the_bin_at_a_place_that_depends_on_the_episode(cell, recorder):
    cell.gripper.width = 0.4
    places = []
    for episode_id in ("e1", "e1", "e2", "e3"):
        runner_of(cell, recorder).run(episode_id)
        places.append(cell.arm.current.copy())
    x, y = np.array(places)[:, :2].T
    assert (np.abs(x - cell.profile.bin_center[0]) <= 0.08).all() and (
        np.abs(y - cell.profile.bin_center[1]) <= 0.08
    ).all()
    np.testing.assert_array_equal(places[0], places[1])
    assert len(set(x)) == 3


def test_an_empty_gripper_drops_nothing_but_keeps_the_order_of_phases(cell, recorder):
    episode = runner_of(cell, recorder).run("e1")
    assert not episode.outcome.success
    assert recorder.phases == ALL_PHASES and cell.log[-1] == "out_of_view"
    assert recorder.frames["after_drop"] is recorder.frames["after_lift"] is recorder.evidence.after_drop


def test_what_a_discarded_episode_left_in_the_gripper_goes_back_into_the_bin(cell, recorder):
    cell.gripper.measured = 0.4
    runner_of(cell, recorder).run("e1")
    assert cell.log[:4] == ["move", "open", "out_of_view", "open"]


def test_where_a_descent_is_blocked_the_policy_goes_on_from_there(cell, recorder):
    cell.arm.blocked_below = 0.12
    episode = runner_of(cell, recorder, *[DOWN] * (1 + CONTACTS)).run("e1")
    assert episode.end_reason == "closed" and len(episode.steps) == 2 + CONTACTS and "close" in cell.log
    heights = [step.observation.pose[2] for step in episode.steps]
    assert heights[2:] == pytest.approx([0.12] * CONTACTS)


def test_a_descent_that_is_blocked_too_often_ends_the_approach_with_the_gripper_open(cell, recorder):
    cell.arm.blocked_below = 0.12
    episode = runner_of(cell, recorder, *[DOWN] * 9).run("e1")
    assert episode.end_reason == "blocked" and len(episode.steps) == 2 + CONTACTS
    assert episode.steps[-1].commanded.translation[2] == pytest.approx(-0.5)
    assert "close" not in cell.log and recorder.phases == ALL_PHASES
    assert recorder.evidence.opening_closed == 1.0 and not episode.outcome.success
    assert cell.arm.current[2] == pytest.approx(cell.profile.start_pose[2])


def test_the_last_step_closes_where_it_is(cell, recorder):
    cell.gripper.width = 0.4
    episode = runner_of(cell, recorder, *[DOWN] * 9, max_steps=3).run("e1")
    assert episode.end_reason == "step_limit" and len(episode.steps) == 3 and episode.outcome.success
    np.testing.assert_array_equal(episode.steps[-1].asked.vector, DOWN.vector)
    np.testing.assert_array_equal(episode.steps[-1].commanded.vector, Action.close().vector)


def test_without_looking_the_gripper_alone_is_judged(cell, recorder):
    cell.gripper.width = 0.4
    episode = runner_of(cell, recorder, DOWN, look=False).run("e1")
    assert episode.outcome.success and recorder.phases == ALL_PHASES
    assert "out_of_view" not in cell.log
    assert recorder.evidence.before is recorder.evidence.after_lift is recorder.evidence.after_drop is None


@pytest.mark.parametrize("frames", [0, 1, 2, 3])
def test_a_camera_failure_discards_the_episode_and_stops_the_arm(cell, recorder, frames):
    cell.camera.frames_left = frames
    with pytest.raises(EpisodeDiscarded, match="no image on image_raw"):
        runner_of(cell, recorder, DOWN).run("e1")
    assert recorder.phases[-1] == "discarded" and cell.arm.stops == 1


@pytest.mark.parametrize("reason", ["timeout", "stopped"])
def test_an_arm_that_does_not_answer_is_no_failed_grasp(cell, recorder, reason):
    cell.arm.answers = reason
    with pytest.raises(EpisodeDiscarded, match=reason):
        runner_of(cell, recorder).run("e1")
    assert recorder.phases[-1] == "discarded" and cell.arm.stops == 1


def test_the_time_budget_ends_an_endless_episode(cell, recorder):
    cell.arm.slow = 8.0
    with pytest.raises(EpisodeDiscarded, match="longer than 20 s .in phase approach"):
        runner_of(cell, recorder, *[DOWN] * 20, max_steps=20, episode_timeout=20.0).run("e1")


def test_an_error_of_the_policy_stops_the_arm_and_is_not_hidden(cell, recorder):
    broken = Action(np.full(8, np.nan, np.float32))
    with pytest.raises(ValueError, match="not finite"):
        runner_of(cell, recorder, broken).run("e1")
    assert recorder.phases[-1] == "discarded" and cell.arm.stops == 1


class StopsInApproach(Recorder):
    def __init__(self, emergency_stop):
        super().__init__()
        self.emergency_stop = emergency_stop

    def on_step(self, step):
        super().on_step(step)
        self.emergency_stop.trip()


def test_an_emergency_stop_discards_the_episode_and_holds_until_reset(cell):
    emergency_stop = EmergencyStop()
    robot = emergency_stop.guard(cell.robot)
    recorder = StopsInApproach(emergency_stop)
    with pytest.raises(EpisodeDiscarded, match="emergency stop"):
        runner_of(cell, recorder, DOWN, robot=robot).run("e1")
    assert recorder.phases[-1] == "discarded" and cell.arm.stops >= 1
    cell.log.clear()
    for refused in (lambda: robot.arm.move(cell.arm.current), lambda: robot.gripper.command(0.0)):
        with pytest.raises(RobotError, match="reset_emergency_stop"):
            refused()
    assert cell.log == []
    emergency_stop.reset()
    runner_of(cell, Recorder(), robot=robot).run("e2")


def test_an_emergency_stop_also_stops_a_motion_that_was_just_beginning(cell):
    emergency_stop = EmergencyStop()
    robot = emergency_stop.guard(cell.robot)
    begun, stopped = threading.Event(), threading.Event()

    def move(pose):
        begun.set()
        assert stopped.wait(5)
        return MoveResult(pose, "stopped")

    def stop():  # the first one comes too early for the motion
        cell.arm.stops += 1
        if cell.arm.stops > 1:
            stopped.set()

    cell.arm.move, cell.arm.stop = move, stop
    with ThreadPoolExecutor(1) as pool:
        motion = pool.submit(robot.arm.move, cell.arm.current)
        assert begun.wait(5)
        emergency_stop.trip("red button")
        with pytest.raises(RobotError, match="red button"):
            motion.result(5)


def test_a_grasp_that_holds_the_bin_lets_it_go_and_failed(cell, recorder):
    class HeldArm(type(cell.arm)):
        """Cannot rise while the gripper is closed on something."""

        def move(self, pose):
            rises = pose[2] > self.current[2] + 1e-6
            if rises and cell.gripper.opening() < 0.9:
                self.log.append("blocked")
                return MoveResult(self.current, "blocked")
            return super().move(pose)

    cell.arm.__class__ = HeldArm
    cell.gripper.width = 0.4
    episode = runner_of(cell, recorder, DOWN).run("e1")
    assert cell.log[-5:] == ["close", "blocked", "open", "move", "out_of_view"]
    assert not episode.outcome.success and recorder.evidence.opening_lifted == 1.0


def test_an_episode_that_begins_low_in_the_bin_rises_before_anything_else(cell, recorder):
    cell.arm.current = np.array([0.6, 0.0, 0.03, 0.0])
    runner_of(cell, recorder).run("e1")
    assert cell.log[:2] == ["move", "out_of_view"]


def test_from_a_posture_without_a_straight_line_the_arm_goes_by_joints_first(cell, recorder):
    line, refusals = cell.arm.move, ["unreachable"]
    cell.arm.move = lambda pose: MoveResult(cell.arm.current, refusals.pop()) if refusals else line(pose)
    cell.gripper.measured = 0.4
    assert runner_of(cell, recorder).run("e1").end_reason == "closed"
    assert cell.log[:5] == ["out_of_view", "move", "open", "out_of_view", "open"]


@pytest.fixture
def under_a_roof(cell):
    """No straight way up but over x > 0.62; refused holds where the arm was refused to go."""
    line, cell.refused = cell.arm.move, []

    def move(pose):
        here = cell.arm.current
        if pose[2] > here[2] and here[0] < 0.62 and here[2] < 0.15:
            cell.refused.append(np.array(pose))
            return MoveResult(here, "unreachable")
        return line(pose)

    cell.arm.move = move
    return cell


def test_what_cannot_be_lifted_straight_is_lifted_by_the_way_it_came(under_a_roof, recorder):
    aside, down = Action.move((1.0, 0, 0), 0.0), Action.move((0, 0, -1.0), 0.0)
    back = Action.move((-1.0, 0, 0), 0.0)
    under_a_roof.gripper.width = 0.4
    episode = runner_of(under_a_roof, recorder, aside, down, back).run("e1")
    assert episode.outcome.success and episode.end_reason == "closed"
    close = under_a_roof.log.index("close")
    here, aside, up = ["move"] * 3
    assert under_a_roof.log[close : close + 5] == ["close", here, aside, up, "out_of_view"]
    assert (np.array(under_a_roof.refused)[:, 0] < 0.62).all()


def test_where_no_way_back_helps_it_is_lifted_by_joints(under_a_roof, recorder):
    under_a_roof.gripper.width = 0.4
    episode = runner_of(under_a_roof, recorder, Action.move((0, 0, -1.0), 0.0)).run("e1")
    assert episode.outcome.success and episode.end_reason == "closed"
    close = under_a_roof.log.index("close")
    assert under_a_roof.log[close : close + 3] == ["close", "move", "out_of_view"], "at last"
    assert len(under_a_roof.refused) == 3, "straight up, up from where it closed, to the start pose"


def test_a_stop_on_the_way_back_ends_the_episode_and_nothing_more_moves(under_a_roof, recorder):
    line = under_a_roof.arm.move

    def move(pose):
        if under_a_roof.refused:
            under_a_roof.log.append("stopped")
            return MoveResult(under_a_roof.arm.current, "stopped")
        return line(pose)

    under_a_roof.arm.move = move
    with pytest.raises(EpisodeDiscarded, match="stopped"):
        runner_of(under_a_roof, recorder, Action.move((0, 0, -1.0), 0.0)).run("e1")
    assert under_a_roof.log[-1] == "stopped"
