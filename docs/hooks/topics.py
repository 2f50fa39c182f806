"""The page of topics, services and actions: who has them says config/security/policy.xml, which a test holds against
the running nodes; types and quality of service say the nodes' own sources."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from xml.etree import ElementTree

from robot_finetune.config import SHARE
from robot_finetune.robot.profile import load_robot

PACKAGE = SHARE / "robot_finetune"
MEANING = {
    "image_raw": "images of the camera's driver, or of `sim_cell`",
    "camera_info": "their calibration",
    "observation": "what the Q-network sees, with the stamp of the image that it was made of",
    "observation/camera_info": "its calibration",
    "joint_states": "of arm and gripper; `joint_states_topic` of the profile",
    "arm_controller/joint_trajectory": "commands to the arm; `arm_topic` of the profile, or what its backend has",
    "gripper_controller/command": "commands to the gripper; `gripper_topic` of the profile, or the action it names",
    "workspace_box": "the workspace, for RViz",
    "policy/overlay": "the newest decision, drawn into what the network saw",
    "policy/markers": "the newest decision, for RViz and Foxglove",
    "policy/joy": "a joystick, by which a person takes over",
    "/clock": "the simulated cell's time",
    "/diagnostics": "how each node is, in one line",
}
"""Of topics whose type is not one of our messages, which say it themselves."""
SERVICES = {
    "policy/start": "grasp, or go on; also after an error",
    "policy/pause": "rest after the running grasp; `~/start` goes on",
    "policy/stop": "stop now; the running grasp is discarded",
    "policy/promote": "the version on trial is promoted at once",
    "policy/rollback": "the version on trial is taken back, or else the version that was promoted before acts again",
    "policy/emergency_stop": "stop now, and latch",
    "policy/reset_emergency_stop": "release the latch; `~/start` goes on",
    "trainer/publish": "announce the present weights as a version after the running gradient step",
    "trainer/read_version": "a piece of a version, for a policy elsewhere (robot_finetune/srv/ReadVersion)",
}
STANDARD = ("/rosout", "/parameter_events", "~/transition_event")
"""Of every node."""
QOS = {
    "SENSOR": "sensor data", "series": "sensor data", "NEWEST": "sensor data", "COMMAND": "reliable",
    "VIEW": "reliable, 1", "CLOCK": "best effort, 1", "LATCHED": "kept, 1", "EPISODE": "kept, 16", "STEP": "kept, 64",
}  # fmt: skip
"""What ros/node/qos.py has; kept: also for those who come late, so many of the newest."""


def page() -> str:
    """Markdown of the page. Raises KeyError for a topic or service that has no type or no meaning here."""
    sources = _sources()
    rows = ["| topic | meaning | type | quality of service | from | to |", "|---|---|---|---|---|---|"]
    for name, (publishers, subscribers) in sorted(_topics().items()):
        kind, qos = sources.get(name) or sources[f"~/{name.rpartition('/')[2]}"]
        shown = kind.replace("/", "/<wbr>")  # a line may end there
        by, to = (", ".join(sorted(nodes)) for nodes in (publishers, subscribers))
        rows.append(f"| `{name}` | {_meaning(name, kind)} | {shown} | {QOS[qos]} | {by} | {to} |")
    services = ["| service (std_srvs/Trigger unless a type is named) | meaning |", "|---|---|"]
    services += [f"| `{name}` | {SERVICES[name]} |" for name in _offered("services", "reply")]
    actions = ["| action | meaning |", "|---|---|"]
    for name in _offered("actions", "execute"):
        file = SHARE / "action" / f"{name.rpartition('/')[2].capitalize()}.action"
        actions.append(f"| `{name}` (robot_finetune/action/{file.stem}) | {_first_comment(file.name)} |")
    return "\n".join([HEAD, *rows, "", FEET, *services, "", ACTIONS, *actions, ""])


HEAD = """# Topics, services, actions

Names are relative to the namespace of the nodes. [Messages, services and actions](messages.md) has the fields.
*kept*: a subscriber that comes late, or again, gets so many of the newest. Who may talk to the nodes:
[security](../security.md).

## Topics
"""
FEET = """Topics of arm, gripper and camera are those of the simulated cell here; a [profile](profile.md) names yours.

## Services
"""
ACTIONS = """Managed nodes have the lifecycle's services besides, and every node those of its parameters.

## Actions

[Grasping from a behaviour tree or a script](../actions.md) shows them in use.
"""


def _profiles() -> Iterator[tuple[str, ElementTree.Element]]:
    for profile in ElementTree.parse(SHARE / "config" / "security" / "policy.xml").getroot().iter("profile"):
        yield profile.attrib["node"], profile


def _topics() -> dict[str, tuple[set[str], set[str]]]:
    """Publishers and subscribers of each topic; the simulated cell, which the policy does not cover, by its source."""
    found: dict[str, tuple[set[str], set[str]]] = {}

    def add(name: str, node: str, side: int) -> None:
        if name not in STANDARD:
            full = "/diagnostics" if name == "diagnostics" else name.replace("~", node, 1)
            found.setdefault(full, (set(), set()))[side].add(node)

    for node, profile in _profiles():
        for group in profile.iter("topics"):
            for topic in group:
                add(str(topic.text), node, 0 if "publish" in group.attrib else 1)
    for name, _, _, side in _calls((PACKAGE / "nodes" / "sim_cell.py").read_text()):
        add(name, "sim_cell", side)
    return found


def _offered(group: str, right: str) -> list[str]:
    """Services or actions, with the node's name; what several nodes have comes with parameters and the lifecycle."""
    items = [
        (node, str(item.text))
        for node, profile in _profiles()
        for one in profile.iter(group)
        if right in one.attrib
        for item in one
    ]
    nodes = Counter(text for _, text in items)
    return [f"{node}{text.removeprefix('~')}" for node, text in items if nodes[text] == 1]


def _sources() -> dict[str, tuple[str, str]]:
    """Type and quality of service of each topic, as the publisher's source names them, or else the subscriber's."""
    calls = [call for file in sorted(PACKAGE.rglob("*.py")) for call in _calls(file.read_text())]
    return {name: (kind, qos) for name, kind, qos, _ in sorted(calls, key=lambda call: -call[3])}


def _calls(source: str) -> Iterator[tuple[str, str, str, int]]:
    """(topic, type, quality of service, 0 for a publisher) of every create_publisher and listen of a module."""
    tree = ast.parse(source)
    imports = {
        alias.asname or alias.name: f"{str(node.module).removesuffix('.msg')}/{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).endswith(".msg")
        for alias in node.names
    }
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    of_profile = {key: value for key, value in vars(load_robot()).items() if key.endswith("_topic")}
    topics = {"topic": "", **of_profile, **constants}
    for node in ast.walk(tree):
        name = getattr(getattr(node, "func", None), "attr", getattr(getattr(node, "func", None), "id", ""))
        if not isinstance(node, ast.Call) or name not in ("create_publisher", "listen"):
            continue
        listens = name == "listen"
        kind, topic, qos = node.args[1:3] + node.args[4:5] if listens else node.args[:3]
        known = (
            topic.value
            if isinstance(topic, ast.Constant)
            else topics.get(getattr(topic, "attr", getattr(topic, "id", "")))
        )
        qos_name = getattr(qos.func if isinstance(qos, ast.Call) else qos, "id", "")
        if known and getattr(kind, "id", "") in imports and qos_name in QOS:
            yield str(known), imports[kind.id], qos_name, int(listens)


def _meaning(name: str, kind: str) -> str:
    package, _, message = kind.partition("/")
    return _first_comment(f"{message}.msg") if package == "robot_finetune" else MEANING[name]


def _first_comment(file: str) -> str:
    folder = "action" if file.endswith(".action") else "msg"
    return (SHARE / folder / file).read_text().partition("\n")[0].lstrip("# ")
