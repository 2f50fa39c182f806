"""The report of a session, from its folder alone."""

import base64
import json
from html.parser import HTMLParser

import numpy as np
import pytest
from session_folder import BASE, write_grasp, write_head_of, write_promotion, write_session, write_version

from robot_finetune import cli
from robot_finetune.data.promotion_log import ADAPTING, LOOKS, Decision, PromotionLog, read_promotion
from robot_finetune.report import plots
from robot_finetune.report.page import write_report
from robot_finetune.report.story import story_of

VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Text, images (alternative text to source), and table rows of a page whose tags are balanced."""

    def __init__(self, text):
        super().__init__()
        self.words, self.images, self.rows, self.open = [], {}, [], []
        self.outside = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag == "img":
            self.images.setdefault(values["alt"], []).append(values["src"])
        self.outside += [value for key, value in attrs if key in ("src", "href") and not value.startswith("data:")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1].append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def page_of(folder):
    return Page((folder / "report.html").read_text())


def test_summary_has_the_figures_under_their_agreed_names(tmp_path):
    summary = write_report(write_session(tmp_path)).summary
    assert summary == json.loads((tmp_path / "summary.json").read_text())
    assert (summary["variation"], summary["seed"], summary["grasps"]) == ("moved", 4, 30)
    assert summary["before"] == {"episodes": 10, "successes": 2, "ci95": [0.0567, 0.5098]}
    assert summary["after"] == {"episodes": 10, "successes": 8, "ci95": [0.4902, 0.9433]}
    assert summary["grasps_per_minute"] == 60.0 and summary["decision_ms"] == {"p50": 15.0, "p95": 20.0}
    assert summary["image"] == {"hz": 30.0, "lost": 0, "p50_ms": 3.0, "p95_ms": 4.0}
    assert summary["swap_ms"] == {"p50": 0.2, "max": 0.3}
    assert (summary["set_up_s"], summary["wall_s"]) == (6.5, 100.0)
    versions = [(row["version"], row["parent"], row["state"], row["episodes"]) for row in summary["versions"]]
    assert versions == [(3, 2, "replaced", 20), (4, 3, "replaced", 10), (5, 4, "in use", 20)]
    assert summary["versions"][0]["sha256"] == "ab" * 32


def test_the_page_says_what_happened_and_needs_nothing_from_outside(tmp_path):
    report = write_report(write_session(tmp_path))
    page = page_of(tmp_path)
    assert not page.outside
    assert "Grasp success went from 20 % to 80 % after 30 grasps" in page.text
    assert "6 to 51 % before and 49 to 94 % after; the intervals overlap" in page.text
    assert report.lines[0] in page.text
    assert "The gripper sits <elsewhere>." in page.text and "Move it & tell nobody." in page.text
    assert "contradicted each other in 1 of 50 grasps: e0105." in page.text
    assert "trainer was started again 1 time(s)" in page.text
    assert ["step_limit", "8", "0", "0"] in page.rows and ["closed", "0", "15", "2"] in page.rows
    assert any(row[:2] == ["5", "4"] and row[3:] == ["in use", "20", "13"] for row in page.rows)
    assert ["images", "30.0 Hz, 0 lost"] in page.rows


def test_plots_and_samples_are_embedded(tmp_path):
    write_report(write_session(tmp_path))
    images = page_of(tmp_path).images
    plots = [alt for alt in images if alt != "observation"]
    assert len(plots) == 3 and any("before 20 % [6, 51]" in alt for alt in plots)
    assert len(images["observation"]) == 2 * 12  # first and last of six successes and six failures
    for sources in images.values():
        for source in sources:
            assert base64.b64decode(source.removeprefix("data:image/png;base64,"), validate=True)[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ((10, 100), (60, 100), "the intervals are apart: the policy became better"),
        ((60, 100), (10, 100), "the intervals are apart: the policy became worse"),
        ((50, 100), (50, 100), "stayed at 50 %"),
        ((4, 10), (2, 10), "went from 40 % to 20 %"),
    ],
)
def test_the_verdict_follows_the_intervals(tmp_path, before, after, verdict):
    write_report(write_session(tmp_path, before, 3, after))
    assert verdict in page_of(tmp_path).text


def test_a_session_that_was_cut_off_has_a_report_of_what_was_done(tmp_path):
    write_head_of(tmp_path)
    assert "No grasp was made" in write_report(tmp_path).lines[0]
    for number in range(4):
        write_grasp(tmp_path, number, "evaluate", success=number == 0)
    assert "First policy measured: 25 %" in write_report(tmp_path).lines[0]
    write_grasp(tmp_path, 5)
    (tmp_path / "metrics.json").write_text(json.dumps({"ended": "policy was killed by SIGKILL"}))
    report = write_report(tmp_path)
    assert "1 grasps learned from" in report.lines[0] and "not complete: policy was killed" in report.lines[1]
    assert report.summary["after"] == {"episodes": 0, "successes": 0, "ci95": [0.0, 1.0]}
    assert report.summary["swap_ms"] == {"p50": None, "max": None} and report.summary["image"]["hz"] is None


def test_discarded_episodes_are_in_summary_and_report_and_too_many_are_said(tmp_path):
    folder = write_session(tmp_path)
    metrics = json.loads((folder / "metrics.json").read_text())
    for black, said in ((4, False), (40, True)):
        counts = {"images are black": black, "no judgement": 1}
        (folder / "metrics.json").write_text(json.dumps(metrics | {"discarded": counts}))
        report = write_report(folder)
        lost = {"episodes": black + 1, "share": round((black + 1) / (black + 51), 4), "reasons": counts}
        assert report.summary["discarded"] == lost
        text = page_of(folder).text
        assert f"{black} episode(s) discarded: images are black" in text
        line = f"{black + 1} of {black + 51} episodes were discarded"
        assert (line in text) == said == any(line in part for part in report.lines)


def test_damaged_files_are_named_and_left_out(tmp_path):
    folder = write_session(tmp_path)
    path = write_grasp(folder, 500)
    path.write_bytes(path.read_bytes()[:-100])
    write_version(folder, BASE + 3, sha256="00")
    summary = write_report(folder).summary
    assert summary["grasps"] == 30 and summary["versions"][-1]["state"] == "damaged"
    assert "e0500.mcap: damaged" in page_of(folder).text


def test_the_command_writes_the_report_again(tmp_path, capsys):
    write_session(tmp_path)
    assert cli.main(["report", str(tmp_path)]) == 0
    assert "went from 20 % to 80 %" in capsys.readouterr().out and (tmp_path / "report.html").is_file()


def test_no_session_there_is_one_line(tmp_path, capsys):
    assert cli.main(["report", str(tmp_path / "nothing")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "no session there" in line and "--out folder" in line


def test_a_trial_is_told_with_its_evidence_and_its_end(tmp_path):
    folder = write_session(tmp_path)
    decisions = write_promotion(folder, rates=(0.3, 0.9, 0.1))
    assert [(made.decision, made.version) for made in decisions[:2]] == [("trial", BASE + 1), ("promoted", BASE + 1)]
    report = write_report(folder)
    states = {row["version"]: row["state"] for row in report.summary["versions"]}
    assert states == {BASE: "replaced", BASE + 1: "in use", BASE + 2: "rejected"}
    told = report.summary["promotion"][1]
    assert told["reason"] == decisions[1].reason and told["evidence"]["better"] >= 20
    page = report.path.read_text()
    assert "Versions on trial" in page and f"version {BASE + 2} rejected" in page
    assert decisions[1].reason in page and f"v{BASE + 1}" in page


def test_the_counts_of_a_trial_go_on_beyond_a_version_that_takes_over_and_begin_anew_with_the_next_trial(tmp_path):
    write_promotion(tmp_path, rates=(0.5, 0.5, 0.5))
    story = story_of(read_promotion(tmp_path)[0])
    assert [made.decision for _, made in story.decisions][:2] == ["trial", "succeeded"]
    assert len(story.success) == len(story.probability) == 120
    begun, taken_over = (grasp for grasp, _ in story.decisions[:2])
    assert begun == 30 and np.isnan(story.probability[:begun]).all() and np.isfinite(story.probability[begun:]).all()
    evidence = story.decisions[1][1].evidence
    assert story.probability[taken_over - 1] == pytest.approx(evidence["probability"])


def test_turns_of_a_trial_are_no_swaps_in_the_plot_of_success(tmp_path, monkeypatch):
    folder = write_session(tmp_path, before=(0, 0), learning=0, after=(0, 0))
    for number in range(120):
        write_grasp(folder, number, version=BASE + number % 2)
    decisions = write_promotion(folder, rates=(0.3, 0.9, 0.9))
    drawn = []
    monkeypatch.setattr(plots, "success_over_grasps", lambda _, versions: drawn.extend(versions) or b"")
    write_report(folder)
    promoted = [made.grasp for made in decisions if made.decision == "promoted"]
    assert [number for number in range(1, 120) if drawn[number] != drawn[number - 1]] == [
        grasp for grasp in promoted if grasp < 120
    ]


def test_a_session_without_a_network_says_how_to_learn_from_it(tmp_path):
    write_head_of(tmp_path, policy="scripted", before=0, after=0)
    for number in range(4):
        write_grasp(tmp_path, number, "scripted", version=0, success=number == 0)
    headline, verdict, *_ = write_report(tmp_path).lines
    assert headline.startswith("4 grasps without a network, 25 %")
    assert f"robot-finetune pretrain --episodes {tmp_path}" in verdict


def test_a_session_in_mode_auto_tells_when_it_learned_and_why(tmp_path):
    write_head_of(tmp_path, mode="auto", before=0, after=0)
    for number in range(4):
        write_grasp(tmp_path, number, "evaluate", success=number < 3)
    assert "nothing to learn" in write_report(tmp_path).lines[1]
    PromotionLog(tmp_path).add(Decision(ADAPTING, 0, 0, "success has fallen below the usual 84 %", grasp=112))
    headline, verdict, *_ = write_report(tmp_path).lines
    assert headline == "4 grasps in mode auto, 75 % [30, 95] of them successful"
    assert verdict == "After 112 grasps it adapts: success has fallen below the usual 84 %."
    PromotionLog(tmp_path).add(Decision(LOOKS, 0, 0, "the scene looks different", grasp=300))
    assert write_report(tmp_path).lines[1].endswith("; after 300 grasps it goes on: the scene looks different.")
