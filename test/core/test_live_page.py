"""The live page of what is on disk: what it shows, who may see it, and what its buttons may do."""

import json
import re

import pytest
from live_page import cookie, served
from session_folder import BASE, write_grasp, write_promotion, write_session

from robot_finetune import cli
from robot_finetune.config import ConfigError
from robot_finetune.data.folder_lock import folder_lock, owner_of
from robot_finetune.data.label_log import read_labels
from robot_finetune.report.page import write_report
from robot_finetune.report.style import AFTER, BAND, BEFORE
from robot_finetune.robot.run_control import EMERGENCY
from robot_finetune.session.record import SessionReader, read_record
from robot_finetune.web.app import STATIC
from robot_finetune.web.judged_images import PLACES, JudgedImages
from robot_finetune.web.live_state import SERVICES, LiveState, buttons
from robot_finetune.web.sessions import find_sessions, line_of
from robot_finetune.web.snapshot import POINTS, curve_of, snapshot_of
from robot_finetune.web.source import Source

TOKEN = "a-token-of-letters"


def snapshot(source):
    source.look()
    return json.loads(source.parts()["snapshot"])


# What is shown


def test_the_page_says_what_the_report_says(tmp_path):
    folder = write_session(tmp_path / "s")
    decisions = write_promotion(folder, rates=(0.3, 0.9, 0.1))
    report = write_report(folder)
    shown = snapshot_of(read_record(folder))
    assert (shown.headline, shown.verdict) == report.lines[:2]
    assert shown.phases["before"].text == "20 % [6, 51]" and shown.phases["finetune"].target == 200
    assert [row["version"] for row in shown.versions] == [BASE + 2, BASE + 1, BASE]
    assert shown.versions[1]["reason"] == [made.reason for made in decisions if made.version == BASE + 1][-1]
    assert [row[1] for row in shown.trial.decisions][-1] == f"version {BASE + 1} on trial"
    assert len(shown.trial.probability) == 120 and shown.losses == ((1, 0.6), (50, 0.4))
    assert [grasp.episode_id for grasp in shown.grasps][:2] == ["e0909", "e0908"]
    assert shown.troubles == ("trainer was started again 1 time(s)",)


def test_a_long_curve_is_thinned_and_keeps_its_ends_and_swaps():
    curve = curve_of([i % 3 == 0 for i in range(5000)], [i // 1000 for i in range(5000)])
    assert len(curve.at) == len(curve.rate) == POINTS and (curve.at[0], curve.at[-1]) == (1, 5000)
    assert curve.swaps == ((1000, 1), (2000, 2), (3000, 3), (4000, 4)) and not curve.outcomes
    short = curve_of([True, False], [3, 4], window=1)
    assert (short.rate, short.outcomes, short.swaps) == ((1.0, 0.0), (True, False), ((1, 4),))
    assert curve_of([], []).at == ()


def test_a_folder_that_grows_is_read_file_by_file_and_labels_count_at_once(tmp_path):
    folder = write_session(tmp_path / "s")
    reader = SessionReader(folder)
    reader.record()
    newest = write_grasp(folder, 990, "evaluate", BASE + 2, success=True)
    newest.with_name("e0900.mcap").write_bytes(b"")  # what has been read is not read again
    assert len(reader.record().phases.after) == 11
    assert cli.main(["episodes", "relabel", str(folder), "e0990", "failure"]) == 0
    (grasp,) = [grasp for grasp in reader.record().phases.after if grasp.episode_id == "e0990"]
    assert not grasp.success and grasp.corrected


def test_the_folder_says_whether_a_session_runs_and_a_damaged_one_what_is_wrong(tmp_path):
    folder = write_session(tmp_path / "s")
    with folder_lock(folder, "session", "robot-finetune session"):
        assert "robot-finetune session (process" in snapshot(Source(folder))["running"]
        assert line_of(folder).state == "running"
        left = (folder / "session.lock").read_bytes()
    (folder / "session.lock").write_bytes(left)  # as a killed one leaves it
    assert owner_of(folder, "session") is None and snapshot(Source(folder))["running"] == ""
    (folder / "metrics.json").write_text("{")
    assert "metrics.json" in snapshot(Source(folder))["problem"] and "metrics.json" in line_of(folder).problem
    (folder / "session.yaml").unlink()
    assert "no session there" in snapshot(Source(folder))["problem"]


def test_a_folder_of_sessions_is_listed_with_figures(tmp_path):
    write_report(write_session(tmp_path / "b"))
    write_session(tmp_path / "a")
    (tmp_path / "other").mkdir()
    first, second = (line_of(path) for path in find_sessions(tmp_path).values())
    assert (first.name, first.grasps, first.before, first.state) == ("b", 50, "20 % [6, 51]", "complete")
    assert (second.name, second.versions, second.after) == ("a", 0, "")
    with pytest.raises(ConfigError, match="no session there"):
        find_sessions(tmp_path / "other")


def test_the_page_has_the_colours_of_the_report():
    assert {BEFORE, AFTER, BAND} <= set(re.findall(r"#\w{6}", (STATIC / "style.css").read_text()))


# Buttons


def off(**changes):
    """The buttons that cannot be pressed in a state."""
    policy = {"state": "running", "mode": "explore", "message": ""} | changes.pop("policy", {})
    live = LiveState(policy=policy, offered=frozenset(SERVICES), **changes)
    return {name for name, button in buttons(live).items() if button.reason}


def test_buttons_follow_the_state_of_the_graph():
    assert off() == {"start", "reset_emergency_stop", "promote", "explore"}
    assert off(policy={"state": "paused"}, trial={"candidate": 4}) == {"pause", "reset_emergency_stop", "explore"}
    stopped = {"state": "stopped", "message": EMERGENCY, "mode": "evaluate"}
    assert off(policy=stopped) == {"start", "pause", "promote", "evaluate"}


def test_the_emergency_stop_is_off_only_where_there_is_no_graph():
    unknown = buttons(LiveState())
    assert [name for name, button in unknown.items() if not button.reason] == ["emergency_stop"]
    assert "no node offers policy/pause" in unknown["pause"].reason
    assert {button.reason for button in buttons(LiveState("nothing runs")).values()} == {"nothing runs"}


# The server


@pytest.fixture
def folder(tmp_path):
    return write_session(tmp_path / "my session")


@pytest.fixture
def page(folder):
    with served(folder) as page:
        yield page


HERE = "/session/my%20session"


def test_the_page_and_all_it_needs_come_from_the_server(page):
    home = page("/")
    assert (home.status, home.headers["location"]) == (303, f"{HERE[1:]}/")
    html = page(f"{HERE}/")
    assert html.status == 200 and "frame-ancestors 'none'" in html.headers["content-security-policy"]
    waiting, seen = re.findall(r'(?:src|href)="(/[^"]+)"', html.text), set()
    while waiting:
        path = waiting.pop()
        answer = page(path)
        assert answer.status == 200, path
        seen.add(path)
        waiting += {*re.findall(r'from "(/[^"]+)"', answer.text)} - seen
    assert {path.name for path in STATIC.iterdir()} - {path.rpartition("/")[2] for path in seen} == {
        "session.html",
        "list.html",
        "list.js",
    }
    assert not re.search(r"https?://(?!www.w3.org/2000/svg)", "".join(path.read_text() for path in STATIC.iterdir()))


def test_a_stream_tells_of_folder_and_graph(page):
    told = page.events(f"{HERE}/events", "snapshot", "live", "losses", "alive")
    assert told["snapshot"]["headline"].startswith("Grasp success went") and told["losses"] == []
    assert told["live"]["buttons"]["emergency_stop"] == "no session runs in this folder"


def test_images_of_grasps_and_nothing_else_of_the_disk(page, tmp_path):
    write_grasp(tmp_path, 1)  # outside of the session
    for place in ("first", "last"):
        assert page(f"{HERE}/grasps/e0900/{place}.png").body[:4] == b"\x89PNG"
    for path in (
        f"{HERE}/grasps/e0900/middle.png",
        f"{HERE}/grasps/nothing/first.png",
        f"{HERE}/grasps/..%2F..%2Fepisodes%2Fe0001/first.png",
        "/session/../my%20session/",
        "/session/..%2f..%2fetc/",
        "/session/./events",
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static//etc/passwd",
        f"{HERE}/session.yaml",
    ):
        assert page(path).status == 404, path


def test_the_last_grasp_is_relabelled(page, folder):
    answer = page.press(f"{HERE}/grasps/e0909/label/success", Origin=f"http://127.0.0.1:{page.port}")
    assert answer.status == 200
    (label,), damaged = read_labels(folder / "episodes")
    assert (label.episode_id, label.verdict, damaged) == ("e0909", "success", []) and "live page" in label.who
    assert page.press(f"{HERE}/grasps/e0909/label/maybe").status == 404
    answer = page.press(f"{HERE}/grasps/none/label/success")
    assert answer.status == 409 and "no episode none" in answer.text


def test_images_come_together_with_the_phases_that_refer_to_them():
    images = JudgedImages()
    images.frame(1.0, b"before")
    images.phase("a", "before", 1.0)
    images.phase("a", "approach", 0.0)
    images.phase("a", "after_lift", 2.0)
    images.phase("a", "after_drop", 3.0)
    assert images.known() == () and images.get("a", "after_lift") is None
    images.frame(2.0001, b"lift")
    images.frame(3.0, b"drop")
    assert images.known() == ("a",) and [images.get("a", place) for place in PLACES] == [b"before", b"lift", b"drop"]
    for number in range(100):
        images.phase(f"other {number}", "before", 9.0)
        images.frame(10.0 + number, b"x" * 10)
    assert images.get("a", "before") is None, "the newest grasps alone are kept"


def test_no_other_site_presses_a_button(page, folder):
    label = f"{HERE}/grasps/e0909/label/discard"
    assert page(label).status == 405
    assert page(label, "POST").status == 403, "what a form of any site can send"
    assert page.press(label, Origin="http://evil.example").status == 403
    assert page.press(label, Origin="null").status == 403
    assert page("/", Host="evil.example").status == page.press(label, Host=f"evil.example:{page.port}").status == 421
    assert page(f"{HERE}/do/stop", "OPTIONS", Origin="http://evil.example").status in (403, 405)
    assert not (folder / "episodes" / "labels.jsonl").exists()
    assert page("/sessions.json", Host=f"localhost:{page.port}").status == 200


def test_without_a_graph_a_button_says_why(page):
    answer = page.press(f"{HERE}/do/emergency_stop")
    assert answer.status == 409 and "no session runs" in answer.text
    assert page.press(f"{HERE}/do/format_disk").status == 404


def test_a_token_opens_the_page_once_and_a_cookie_or_header_from_then_on(folder):
    with served(folder, token=TOKEN) as page:
        for wrong in ({}, {"Cookie": "robot_finetune_0=x"}, {"Authorization": "Bearer ä"}):
            assert page("/sessions.json", Host="arm.example", **wrong).status == 401
            assert page.press(f"{HERE}/do/stop", **wrong).status == 401
        assert page("/?token=wrong").status == page.press(f"{HERE}/do/stop?token={TOKEN}").status == 401
        welcome = page(f"{HERE}/?token={TOKEN}", Host="arm.example")
        assert (welcome.status, welcome.headers["location"]) == (303, f"{HERE}/")
        assert {"httponly", "samesite=lax"} <= {*welcome.headers["set-cookie"].lower().split("; ")}
        assert page("/sessions.json", Host="arm.example", **cookie(welcome)).status == 200
        assert page("/sessions.json", Authorization=f"Bearer {TOKEN}").status == 200
        assert page.press(f"{HERE}/do/stop", Origin="http://evil.example", **cookie(welcome)).status == 403
        assert page.press(f"{HERE}/do/stop", Authorization=f"Bearer {TOKEN}").status == 409
        assert page(f"//evil.example/?token={TOKEN}").headers["location"] == "/evil.example/"


def test_a_folder_of_sessions_has_a_page_each(folder):
    write_session(folder.parent / "second")
    with served(folder.parent) as page:
        assert "Sessions" in page("/").text
        assert [line["name"] for line in json.loads(page("/sessions.json").text)] == ["second", "my session"]
        assert page("/session/second/").status == page(f"{HERE}/").status == 200


def test_a_wrong_folder_and_a_taken_port_are_one_line(folder, page, capsys):
    assert cli.main(["dashboard", str(folder / "episodes")]) == 1
    assert cli.main(["dashboard", str(folder), "--port", str(page.port)]) == 1
    nothing, taken = capsys.readouterr().err.splitlines()
    assert "no session there" in nothing and f"127.0.0.1:{page.port}: cannot be listened on" in taken
