"""Curves for TensorBoard: what is on them, and that one which cannot be written is no matter."""

import subprocess
from dataclasses import replace

import pytest
from session_folder import write_grasp
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from test_trainer import CONFIG, base, log  # noqa: F401 - a fixture

from robot_finetune.data.scalar_log import ScalarLog
from robot_finetune.learning.trainer import Trainer
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.session.curves import GraspCurves
from robot_finetune.session.record import SessionReader


def curves(folder):
    """{name: [(step, value), ...]} as TensorBoard reads them."""
    read = EventAccumulator(str(folder)).Reload()
    return {tag: [(event.step, event.value) for event in read.Scalars(tag)] for tag in read.Tags()["scalars"]}


def test_the_trainer_draws_losses_sizes_and_scores_and_goes_on_after_a_kill(tmp_path, base):  # noqa: F811
    config = replace(CONFIG, hold_out=0.3, publish_every=10, save_every=10)
    log(tmp_path / "out", range(14))
    for updates in (10, 20):
        trainer = Trainer(base, tmp_path / "out", RobotProfile(), config)
        trainer.collect()
        while trainer.updates < updates:
            trainer.update()
        trainer.save()
    drawn = curves(tmp_path / "out" / "tensorboard" / "trainer")
    assert [step for step, _ in drawn["train/loss"]] == [10, 20]
    assert drawn["train/learning_rate"][0][1] == pytest.approx(config.fine_tune.bellman.learning_rate)
    assert drawn["replay/grasps"][-1] == (20, 14.0) and 0 < drawn["replay/held_out"][-1][1] < 14
    assert [value for _, value in drawn["version"]] == [8.0, 9.0] and len(drawn["held_out/log_loss"]) == 2


def test_no_curves_where_none_are_wanted(tmp_path, base):  # noqa: F811
    log(tmp_path / "out", range(4))
    trainer = Trainer(base, tmp_path / "out", RobotProfile(), replace(CONFIG, tensorboard=False))
    trainer.collect()
    trainer.update()
    GraspCurves(tmp_path / "out", False, (), print).draw(SessionReader(tmp_path / "out").grasps()[0])
    assert not (tmp_path / "out" / "tensorboard").exists()


def test_each_grasp_is_drawn_once_with_its_q(tmp_path):
    for number in range(1, 5):
        write_grasp(tmp_path, number, success=number > 2)
    write_grasp(tmp_path, 5, mode="evaluate", version=4)
    grasps = [replace(grasp, number=number) for number, grasp in enumerate(SessionReader(tmp_path).grasps()[0], 1)]
    for known, told in (((), grasps[:3]), (grasps[:3], grasps)):  # the second run goes on
        drawing = GraspCurves(tmp_path, True, known, print)
        drawing.draw(told)
        drawing.draw(told)
        drawing.flush()
    drawn = curves(tmp_path / "tensorboard" / "grasps")
    assert drawn["explore/success_last_40"] == [(1, 0.0), (2, 0.0), (3, pytest.approx(1 / 3)), (4, 0.5)]
    assert drawn["explore/q_at_closing"][0] == (1, 0.5) and drawn["evaluate/version"] == [(5, 4.0)]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_full_disk_ends_the_curves_with_one_line_and_nothing_else(tmp_path):
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", tmp_path], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        said = []
        drawing = ScalarLog(tmp_path / "curves", said.append)
        drawing.add(1, {"a": 1.0})
        drawing.flush()
        with pytest.raises(OSError, match="No space"):
            (tmp_path / "filler").write_bytes(bytes(100_000))
        for step in range(2000):
            drawing.add(step, {"a": 1.0})
        drawing.flush()
    finally:
        subprocess.run(["umount", "-l", tmp_path], check=True)
    (line,) = said
    assert "no more curves are written (No space left on device); free disk space" in line


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    said = []
    drawing = ScalarLog(tmp_path / "file" / "curves", said.append)
    drawing.add(1, {"a": 1.0})
    assert len(said) == 1
