"""`robot-finetune setup` on the simulated cell: the real command, its own node and the cell's over real DDS."""

import subprocess
import sys

import pytest

from robot_finetune.robot.profile import load_robot

PROGRAM = "import sys; from robot_finetune.cli import main; sys.exit(main())"


def test_a_person_walks_through_the_simulated_cell(tmp_path, domain_id):
    profile = load_robot("sim")
    x, y = profile.bin_center
    corners = [(x - 0.12, y - 0.12), (x + 0.12, y - 0.12), (x + 0.12, y + 0.12), (x - 0.12, y + 0.12)]
    answers = [
        "",
        "skip",
        *(line for a, b in corners for line in (f"to {a} {b} 0.05", "")),
        f"to {x} {y} 0.02",
        "z -10",
        "",
    ]
    answers += ["n", "y", "skip", "y", "n", *["y"] * 10]
    out = tmp_path / "cell.yaml"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "setup", "--robot", "sim", "--out", str(out)],
        input="\n".join(answers) + "\n", capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    measured = load_robot(out)
    assert measured.bin_center == pytest.approx(profile.bin_center, abs=0.005)
    assert measured.bin_half_width == pytest.approx(0.12, abs=0.005)
    assert measured.camera.width == profile.camera.width
    assert measured.camera.focal == pytest.approx(profile.camera.focal, rel=0.01)
    assert measured.gripper.open_position == pytest.approx(profile.gripper.open_position, abs=0.002)
    assert "Motion 10 of 10" in done.stdout
