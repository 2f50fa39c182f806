"""Sessions beside each other: the figures, what is left out by name, and LaTeX that prints any name."""

import json
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from session_folder import write_head_of, write_session

from robot_finetune import cli
from robot_finetune.report.comparison import LATEX, latex_text, read_sessions
from robot_finetune.stats import Proportion


@pytest.fixture
def folders(tmp_path):
    """A good session, another one, one that is not complete, one whose metrics are damaged, and none at all."""
    good = write_session(tmp_path / "a_1", (2, 10), 30, (8, 10))
    other = write_session(tmp_path / "50%", (5, 10), 6, (4, 10))
    (other / "episodes" / "e0101.mcap").write_bytes(b"damaged")
    write_head_of(tmp_path / "cut")
    broken = write_session(tmp_path / "broken", (1, 1), 1, (1, 1))
    (broken / "metrics.json").write_text("{")
    return [good, other, tmp_path / "cut", broken, tmp_path / "nothing"]


def test_sessions_are_compared_and_others_are_named_and_left_out(folders, tmp_path, capsys):
    out = tmp_path / "out"
    assert cli.main(["compare", *map(str, folders), "--out", str(out), "--json"]) == 0
    printed = capsys.readouterr()
    for said in ("cut: not complete", "broken/metrics.json", "nothing: no session there", "e0101.mcap: damaged"):
        assert said in printed.err
    table, line = printed.out, printed.out.splitlines()[-1]
    assert "20 [6, 51]" in table and "80 [49, 94]" in table and "+60 [16, 80]" in table
    first, second = json.loads(line)["sessions"]
    assert (first["session"], first["grasps"], first["versions"], first["contradictions"]) == ("a_1", 30, 3, 1)
    assert first["minutes"] == pytest.approx(100 / 60) and first["images_lost"] == 0 and second["damaged"] == 1
    assert second["gain"] == pytest.approx(-0.1) and second["gain_ci95"][0] < -0.1 < second["gain_ci95"][1]
    magic = {"pdf": b"%PDF", "svg": b"<?xml", "png": b"\x89PNG"}
    assert all((out / f"compare.{kind}").read_bytes().startswith(start) for kind, start in magic.items())
    tex = (out / "compare.tex").read_text()
    assert r"a\_1 & moved & 20 [6, 51]" in tex and r"50\% & moved" in tex and "$-$10 [$-$45, 29]" in tex
    assert {row.count(" & ") for row in tex.splitlines() if row.endswith(r"\\")} == {9}
    assert json.loads((out / "compare.json").read_text()) == json.loads(line)


def test_nothing_left_to_compare_is_one_line(folders, capsys):
    assert cli.main(["compare", *map(str, folders[2:])]) == 1
    assert "error: no session to compare: " in capsys.readouterr().err.splitlines()[-1]


def test_two_folders_of_one_name_are_told_apart(tmp_path):
    folders = [write_session(tmp_path / place / "run", (1, 2), 2, (1, 2)) for place in "ab"]
    assert [session.name for session in read_sessions(folders)[0]] == list(map(str, folders))


PRINTED = {command: character for character, command in ((chr(key), value) for key, value in LATEX.items())}


@given(st.text(alphabet=st.characters(codec="ascii", exclude_categories=("Cc",)) | st.sampled_from("äß–")))
def test_latex_prints_what_the_text_says(text):
    escaped = latex_text(text)
    commands = "|".join(map(re.escape, sorted(PRINTED, key=len, reverse=True)))
    plain = re.sub(commands, "", escaped.replace("$-$", ""))
    assert not set(plain) & set(map(chr, LATEX)), "no character is left that means something to LaTeX"
    shown = re.sub(commands, lambda found: PRINTED[found[0]], escaped.replace("$-$", "-"))
    assert shown == " ".join(text.split())


@given(st.integers(1, 300), st.integers(1, 300), st.data())
def test_the_interval_of_a_gain_holds_it_and_turns_with_its_sign(one, other, data):
    before = Proportion(data.draw(st.integers(0, one)), one)
    after = Proportion(data.draw(st.integers(0, other)), other)
    low, high = after.gain_over(before)
    assert -1 - 1e-9 <= low <= after.rate - before.rate + 1e-9 and after.rate - before.rate <= high + 1e-9 <= 1 + 2e-9
    assert (-high, -low) == pytest.approx(before.gain_over(after))


def test_the_interval_of_a_gain_is_newcombes():
    low, high = Proportion(56, 70).gain_over(Proportion(48, 80))  # example (a) of Newcombe 1998, table II, method 10
    assert (round(low, 4), round(high, 4)) == (0.0524, 0.3339)
    assert Proportion(1, 2).gain_over(Proportion(0, 0)) == (-1.0, 1.0) and math.isnan(Proportion(0, 0).rate)
