"""The live page in a real browser: in light and dark, on a desk and on a phone."""

import json
import os
import shutil

import cv2
import numpy as np
import pytest
from live_page import served
from session_folder import BASE, write_grasp, write_promotion, write_session

from robot_finetune.data.folder_lock import folder_lock
from robot_finetune.session.place import write_place
from robot_finetune.web import source
from robot_finetune.web.judged_images import PLACES
from robot_finetune.web.live_state import SERVICES, LiveState, NodeHealth

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (requirements-dev.txt)")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium (apt: chromium)")
PATIENCE = 60_000
"""Longest wait [ms] for what the page shows."""
ALL = {
    "emergency_stop",
    "start",
    "pause",
    "stop",
    "reset_emergency_stop",
    "promote",
    "rollback",
    "explore",
    "evaluate",
    "auto",
    "variation",
}


class Graph:
    """What the page is given of a running graph."""

    losses = ((1, 0.6), (100, 0.3))
    variations = ("base", "harsh_lighting", "moved")

    def __init__(self):
        self.pressed = []
        image = cv2.imencode(".jpg", np.full((30, 40, 3), 200, np.uint8))[1].tobytes()
        self.shown = {("e0909", place): image for place in PLACES}
        self.policy = {"state": "running", "mode": "explore", "message": "", "version": 4, "episode": 7, "steps": 2}
        self.policy |= {"phase": "approach", "decision_ms": 12.5, "discarded": 0, "variation": "moved"}

    def state(self):
        node = NodeHealth("policy", "warn", "<b>late</b>", {"state": "running"}, 0.5)
        seen = {"q": (0.3, None, 0.9), "judged": ("e0909",)}
        return LiveState(policy=dict(self.policy), nodes=(node,), offered=frozenset(SERVICES), **seen)

    def do(self, name, value=""):
        self.pressed.append(f"{name} {value}".strip())
        if name == "variation":
            return f"{value} from the next grasp on"
        self.policy["state"] = "stopped"
        return "the arm holds"

    def judged_jpeg(self, episode_id, place):
        return self.shown.get((episode_id, place))

    def jpeg(self):
        return None

    def close(self):
        pass


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as runner:
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = runner.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = write_session(tmp_path_factory.mktemp("sessions") / "one")
    write_grasp(folder, 20261126045833293890, "evaluate", BASE + 2)  # an id as long as real ones
    write_promotion(folder, rates=(0.3, 0.9, 0.1))
    return folder


@pytest.fixture
def look(browser):
    """look(server, path) opens a page; afterwards nothing may have gone wrong on it but a server that ended."""
    wrong, pages = [], []

    def open_page(server, path, **options):
        page = browser.new_page(**options)
        pages.append(page)
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(f"http://127.0.0.1:{server.port}{path}")
        return page

    yield open_page
    for page in pages:
        page.close()
    assert [line for line in wrong if "net::ERR_CONNECTION" not in line and "net::ERR_INCOMPLETE" not in line] == []


def off(page):
    """The buttons that cannot be pressed."""
    return {name for name in ALL if page.locator(f"#{name}").is_disabled()}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)], ids=["desk", "phone"])
def test_a_finished_session_is_shown_whole(look, folder, width, height, scheme):
    with served(folder) as server:
        page = look(server, "/", viewport={"width": width, "height": height}, color_scheme=scheme)
        page.wait_for_selector("#curve polyline.line")
        page.wait_for_selector("#grasps figure:nth-child(12)")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert len(page.locator("#curve polyline.line").get_attribute("points").split()) == 30
        assert page.locator("#curve circle").count() == 2 and page.locator("#likely polyline").count() == 2
        assert page.locator("#headline").inner_text().startswith("Grasp success rose from 20 % to 82 %")
        assert "<elsewhere>" in page.locator("#notes").inner_text()
        assert off(page) == ALL and "no session runs" in page.locator("#reasons").inner_text()
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        box = page.locator("#emergency_stop").bounding_box()
        assert 0 <= box["y"] < 60 and box["x"] + box["width"] <= width, "always in sight"
        red, *_ = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
        assert (red < 60) == (scheme == "dark")


def test_buttons_of_a_running_graph(look, folder, monkeypatch):
    graph = Graph()
    monkeypatch.setattr(source, "connected", lambda *_: graph)
    write_place(folder, 7)
    with folder_lock(folder, "session", "robot-finetune session"), served(folder) as server:
        page = look(server, "/")
        page.wait_for_selector("#pause:enabled")
        assert off(page) == {"start", "reset_emergency_stop", "promote", "explore"}
        assert "no version is on trial" in page.locator("#reasons").inner_text()
        assert "▲ warn policy: <b>late</b>" in page.locator("#nodes summary").inner_text()
        page.wait_for_selector("#grasps .triple img:nth-child(3)")
        sizes = page.evaluate(
            "[...document.querySelectorAll('.triple img')].map((one) => one.complete && one.naturalWidth)"
        )
        assert page.locator(".triple").count() == 1 and sizes == [40, 40, 40], "the three images that were judged"
        assert page.locator("#q polyline").count() == 2, "Q in pieces where a person acted"
        assert page.locator("#variations").input_value() == "moved"
        page.locator("#variations").select_option("harsh_lighting")
        page.locator("#variation").click()
        page.wait_for_selector("#said:has-text('from the next grasp on')")
        assert graph.pressed.pop() == "variation harsh_lighting"
        page.locator("#emergency_stop").click()
        page.wait_for_selector("#start:enabled")
        assert graph.pressed == ["emergency_stop"]
        assert page.locator("#said").inner_text() == "emergency stop: the arm holds"
        page.once("dialog", lambda dialog: dialog.dismiss())
        page.locator("#rollback").click()
        assert graph.pressed == ["emergency_stop"], "it is asked first"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_lineages_keep_is_a_heat_map(look, tmp_path, scheme):
    kept = {"tasks": ["base", "light", "bottles"], "matrix": [[0.9, 0.75, 0.5], [0.85, 0.7, 0.8]]}
    for name, data in (("one", {"retention": kept}), ("two", {"steps": []})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "lineage.json").write_text(json.dumps(data))
    with served(tmp_path) as server:
        page = look(server, "/", color_scheme=scheme)
        page.wait_for_selector("#matrices table")
        assert page.locator(".heat td").all_inner_texts() == ["90", "75", "50", "85", "70", "80"]
        assert "two cannot be read" in page.locator("#matrices").inner_text()
        colours = page.evaluate(
            "[...document.querySelectorAll('.heat td')].map((one) => getComputedStyle(one).backgroundColor)"
        )
        assert len(set(colours)) == 6, "each success has its colour"


def test_a_judgement_is_overruled_and_a_dead_server_is_told(look, folder):
    with served(folder) as server:
        page = look(server, "/")
        first = page.locator("#grasps figure").first
        first.locator("button[data-verdict=discard]").click()
        page.wait_for_selector("#grasps figure:first-child button[data-verdict=discard][aria-pressed=true]")
        assert "discarded" in first.inner_text()
    page.wait_for_selector("#banner:visible")
    assert "cannot stop the arm" in page.locator("#banner").inner_text()
    assert page.locator("#grasps button:enabled").count() == 0
