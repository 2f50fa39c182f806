"""The live page of a real graph: what it hears, what it asks for, and that it disturbs nobody."""

import dataclasses
import os
import re
import signal
from pathlib import Path

import pytest
from fuzz.messages import TOPICS, damaged, hostile
from live_page import Page
from small_session import SessionProcess, small_session
from std_srvs.srv import Trigger

from robot_finetune.files import to_json
from robot_finetune.msg import EpisodePhase, PolicyStatus
from robot_finetune.robot.interfaces import RobotError
from robot_finetune.ros.constants import PHASE
from robot_finetune.web.judged_images import PLACES
from robot_finetune.web.live import LiveGraph

HEARD = ("policy_status", "trainer_status", "promotion", "diagnostics", "image_raw", "policy_step", "episode_phase")
HEARD += ("policy/overlay",)


@pytest.fixture
def graph(domain_id):
    graph = LiveGraph(domain_id, "image_raw", ["base", "harsh_lighting"])
    yield graph
    graph.close()


def test_it_hears_the_graph_and_asks_for_what_is_pressed(graph, ros, worker):
    def pause(_, response):
        response.success, response.message = True, "paused by the operator"
        return response

    publishers = {topic: ros.publisher(TOPICS[topic].kind, topic, TOPICS[topic].qos) for topic in HEARD}
    ros.node.create_service(Trigger, "policy/pause", pause)

    def heard(*topics):
        for topic in topics:
            publishers[topic].publish(TOPICS[topic].sound("e1"))
        return graph.state()

    ros.wait_until(lambda: heard(*HEARD[:7]).image and "policy/pause" in graph.state().offered, "an image")
    ros.wait_until(lambda: graph.state().nodes and graph.state().trial and graph.state().trainer, "the other topics")
    state = graph.state()
    assert (state.state, state.overlay, state.trial["candidate"]) == ("running", False, 1)
    assert [(node.name, node.level, node.values) for node in state.nodes] == [("policy", "ok", {"state": "running"})]
    assert graph.jpeg()[:2] == b"\xff\xd8" and graph.losses == [(3, 0.5)]
    ros.wait_until(lambda: heard("policy/overlay").overlay, "the image with the decision")
    assert graph.state().q, "Q of the decisions"
    image = TOPICS["image_raw"].sound("e1")
    for place in PLACES:
        phase = EpisodePhase(episode_id="e7", phase=PHASE.number(place), image_stamp=image.header.stamp)
        publishers["episode_phase"].publish(phase)
    ros.wait_until(lambda: publishers["image_raw"].publish(image) or "e7" in graph.state().judged, "the judged images")
    assert {graph.judged_jpeg("e7", place)[:2] for place in PLACES} == {b"\xff\xd8"}
    assert graph.judged_jpeg("e7", "approach") is graph.judged_jpeg("e8", "before") is None
    with pytest.raises(RobotError, match="no variation 'elsewhere': there are base, harsh_lighting"):
        worker(graph.do, "variation", "elsewhere")
    assert worker(graph.do, "pause") == "paused by the operator"
    with pytest.raises(RobotError, match="policy/rollback"):
        worker(graph.do, "rollback")
    for number in range(60):  # whatever anybody publishes, the page has something to say
        for topic, publisher in publishers.items():
            publisher.publish(hostile(topic, number) if number % 2 else damaged(topic, number))
        ros.spin_for(0.01)
        graph.jpeg()
        assert to_json({**dataclasses.asdict(graph.state()), "offered": []})
    paused = PolicyStatus(state=PolicyStatus.PAUSED)
    ros.wait_until(lambda: publishers["policy_status"].publish(paused) or graph.state().state == "paused", "news")
    graph.close()
    assert "ended" in graph.state().why
    with pytest.raises(RobotError, match="ended"):
        graph.do("pause")


def test_a_session_goes_on_without_its_page(tmp_path, ros):
    words = small_session(tmp_path, before=0, grasps=6, after=0)
    session = SessionProcess(tmp_path / "out", *words, "--web", "--web-port", 0)
    try:
        address = ros.wait_until(
            lambda: re.search(r"http://127\.0\.0\.1:(\d+)/", session.printed) or not session.running, "the address"
        )
        page = Page(int(address[1]))

        def live():
            return page.events("/session/out/events", "live")["live"]

        ros.wait_until(lambda: live()["policy"].get("state") == "running", "a running graph on the page")
        said = page.press("/session/out/do/pause")
        assert said.status == 200 and "paused" in said.text
        ros.wait_until(lambda: live()["policy"]["state"] == "paused", "the pause on the page")
        assert page.press("/session/out/do/variation?value=harsh_lighting").status == 200
        assert page.press("/session/out/do/variation?value=/etc/passwd").status == 409
        assert page.press("/session/out/do/start").status == 200
        ros.wait_until(lambda: live()["policy"]["variation"] == "harsh_lighting", "the variation on the page")
        ros.wait_until(lambda: live()["judged"] and live()["q"], "a judged grasp and Q on the page")
        judged = page(f"/session/out/grasps/{live()['judged'][0]}/after_drop.jpg")
        assert judged.status == 200 and judged.body[:2] == b"\xff\xd8"
        (pid,) = [
            int(pid)
            for pid in Path(f"/proc/{session.popen.pid}/task/{session.popen.pid}/children").read_text().split()
            if "dashboard" in Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        ]
        os.kill(pid, signal.SIGKILL)
        assert session.wait() == 0, session.printed
    finally:
        session.end()
    assert "6 grasps learned from" in session.printed
