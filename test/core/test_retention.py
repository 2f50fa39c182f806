"""The retention matrix of a lineage: each step on the base task and on every variation that was measured after it."""

import numpy as np

from robot_finetune.experiments.retention import draw_retention, retention


def result(successes):
    return {"successes": successes, "episodes": 100}


def steps(shift=0):
    made = [("light", 40, 70, {"base": 90}), ("offset", 50, 80, {"base": 88, "light": 60})]
    return [
        {
            "variation": name,
            "before": result(before + shift),
            "after": result(after + shift),
            "earlier": {task: result(rate + shift) for task, rate in earlier.items()},
        }
        for name, before, after, earlier in made
    ]


def test_each_step_is_seen_on_all_that_was_measured_after_it():
    tasks, matrix = retention([steps(), steps(10)])
    assert tasks == ["base", "light", "offset"]
    np.testing.assert_allclose(matrix, [[0.95, 0.75, 0.55], [0.93, 0.65, 0.85]])


def test_what_was_not_measured_is_left_open_and_drawn(tmp_path):
    third = {"variation": "floor", "before": result(1), "after": result(2), "earlier": {}}
    third["earlier"] = {task: result(50) for task in ("base", "light", "offset")}
    tasks, matrix = retention([[*steps(), third]])
    assert np.isnan(matrix[0, 3]) and matrix[1, 3] == 0.01 and matrix[2, 3] == 0.02
    draw_retention(tasks, matrix, tmp_path / "retention.png")
    assert (tmp_path / "retention.png").read_bytes().startswith(b"\x89PNG")
