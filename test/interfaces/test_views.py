"""What the Foxglove layout and the RViz configuration show is what the nodes publish, offer and have as fields."""

import json
import re
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
import yaml
from fuzz.messages import TOPICS
from sensor_msgs.msg import Image
from visualization_msgs.msg import Marker, MarkerArray

from robot_finetune.config import share_path
from robot_finetune.graph.recording import recorded_topics
from robot_finetune.robot.episode_runner import SilentObserver
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.ros.decision_view import DecisionView
from robot_finetune.ros.workspace_marker import workspace_shower

LAYOUT = json.loads(share_path("config", "foxglove", "robot_finetune.json").read_text())
PANELS = LAYOUT["configById"]
DISPLAYS = yaml.safe_load(share_path("config", "finetune.rviz").read_text())["Visualization Manager"]["Displays"]
OF_OTHERS = {*recorded_topics(RobotProfile()), "rosout", "diagnostics"}
"""What drivers, robot_state_publisher and rclpy publish, under the default names."""
DRAWN = {
    "rviz_default_plugins/Image": Image,
    "rviz_default_plugins/Marker": Marker,
    "rviz_default_plugins/MarkerArray": MarkerArray,
}
"""Message type that a display of RViz draws; the others have none of ours."""


def named(kind):
    """Topics that our nodes publish, or services that they offer: the security policy, which is compared with them."""
    group, right = {"topic": ("topics", "publish"), "service": ("services", "reply")}[kind]
    for profile in ElementTree.parse(share_path("config", "security", "policy.xml")).getroot().iter("profile"):
        for items in profile.iter(group):
            if items.get(right):
                yield from (item.text.lstrip("/").replace("~", profile.get("node")) for item in items)


def texts(value):
    """All strings in a panel's settings, keys included."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, str):
        yield value


def panels_of(place):
    return [place] if isinstance(place, str) else [*panels_of(place["first"]), *panels_of(place["second"])]


def test_every_panel_has_its_place():
    assert sorted(panels_of(LAYOUT["layout"])) == sorted(PANELS)


@pytest.mark.parametrize("panel", PANELS)
def test_topics_and_fields_of_the_layout_are_there(panel):
    topics = {*named("topic"), *OF_OTHERS}
    for text in texts({key: value for key, value in PANELS[panel].items() if key != "serviceName"}):
        if match := re.fullmatch(r"/([a-z_/]+)(?:\.(.*))?", text):
            topic, path = match.groups()
            assert topic in topics
            if path:
                assert path in TOPICS[topic].kind.get_fields_and_field_types()


def test_services_of_the_layout_are_there():
    called = {panel["serviceName"].lstrip("/") for panel in PANELS.values() if "serviceName" in panel}
    assert called and called <= set(named("service"))


def test_rviz_shows_topics_that_are_there_as_what_they_are(ros):
    shown = {}
    for display in DISPLAYS:
        for key, group in display.items():
            if key.endswith("Topic"):
                shown[group["Value"]] = DRAWN.get(display["Class"])
    assert {"robot_description", "workspace_box", "image_raw", "observation"} < set(shown)
    assert set(shown) <= {*named("topic"), *OF_OTHERS}
    types = {name: kind.kind for name, kind in TOPICS.items()} | published_as(ros.node, "policy")
    assert all(types[name] is kind for name, kind in shown.items() if kind is not None)


def published_as(node, name):
    """The types of what people look at, as a node of another name publishes it."""
    DecisionView(node, RobotProfile(), SimpleNamespace(), SilentObserver())
    workspace_shower(node)
    return {
        publisher.topic_name.replace(f"/{node.get_name()}/", f"/{name}/").lstrip("/"): publisher.msg_type
        for publisher in node.publishers
    }
