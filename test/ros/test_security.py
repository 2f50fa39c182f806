"""The SROS 2 policy names what the nodes really do; where it is switched on, an unsigned participant is refused."""

import itertools
import os
import shutil
import subprocess
import time
from xml.etree import ElementTree

import pytest

from robot_finetune.config import share_path
from robot_finetune.robot.interfaces import RobotError
from robot_finetune.ros.node.qos import SENSOR

POLICY = share_path("config", "security", "policy.xml")
ENCLAVE = "/robot_finetune"
NODES = ("camera", "grasp_detector", "policy", "episode_logger", "trainer", "session", "dashboard")
KINDS = {("topics", "publish"): "publisher", ("topics", "subscribe"): "subscriber"} | {
    ("services", "reply"): "service",
    ("services", "request"): "client",
}
ACTION = [("publisher", f"/_action/{topic}") for topic in ("feedback", "status")]
ACTION += [("service", f"/_action/{service}") for service in ("send_goal", "cancel_goal", "get_result")]
"""What the server of an action has."""
SIMULATED = "/clock"
"""What the nodes hear in simulation only, where security is not for."""
SECURE = {
    "ROS_SECURITY_ENABLE": "true",
    "ROS_SECURITY_STRATEGY": "Enforce",
    "ROS_SECURITY_ENCLAVE_OVERRIDE": ENCLAVE,
}
KEYS = ("identity_ca.cert.pem", "cert.pem", "key.pem", "permissions_ca.cert.pem", "governance.p7s", "permissions.p7s")


def allowed():
    """(node, kind, full name) of everything in the policy; the schema of sros2 is kept on the way."""
    root = ElementTree.parse(POLICY).getroot()
    assert (root.tag, root.attrib, [child.tag for child in root]) == ("policy", {"version": "0.2.0"}, ["enclaves"])
    (enclave,) = root[0]
    assert (enclave.tag, enclave.attrib, [child.tag for child in enclave]) == (
        "enclave",
        {"path": ENCLAVE},
        ["profiles"],
    )
    for profile in enclave[0]:
        assert profile.tag == "profile" and set(profile.attrib) == {"ns", "node"} and profile.get("ns") == "/"
        node = profile.get("node")
        for group in profile:
            ((right, rule),) = group.attrib.items()
            assert rule == "ALLOW" and {item.tag for item in group} == {group.tag.removesuffix("s")}
            for item in group:
                full = f"/{node}{item.text[1:]}" if item.text.startswith("~") else f"/{item.text.lstrip('/')}"
                for kind, ending in ACTION if group.tag == "actions" else ((KINDS[group.tag, right], ""),):
                    yield node, kind, full + ending


def used(node, names):
    """The same, as the graph shows it."""
    there = [name for name in names if name in node.get_node_names()]
    for name, kind in itertools.product(there, ("publisher", "subscriber", "service", "client")):
        for full, _ in getattr(node, f"get_{kind}_names_and_types_by_node")(name, "/"):
            if full != SIMULATED:
                yield name, kind, full


def test_the_policy_names_exactly_what_the_nodes_have(cell, ros, domain_id):
    from rcl_interfaces.srv import SetParameters

    from robot_finetune.session.image_check import ImageCheck
    from robot_finetune.session.monitor import Monitor
    from robot_finetune.web.live import LiveGraph

    cell.logger()
    cell.policy(start_grasping=False)
    cell.spawn("trainer", policy=str(cell.out / "v0"), out=str(cell.out), **{"training.replay_capacity": 1000})
    monitor, page = Monitor(domain_id, lambda: None), LiveGraph(domain_id, "image_raw")
    try:
        page.state()
        ImageCheck(monitor.node, "image_raw")
        for service in ("policy/start", "policy/stop", "trainer/publish"):
            with pytest.raises(RobotError):
                monitor.trigger(service, timeout=-1.0)
        with pytest.raises(RobotError):
            monitor._call(SetParameters, "policy/set_parameters", SetParameters.Request(), -1.0)
        wanted = sorted(allowed())
        assert len(wanted) == len(set(wanted)), "nothing twice"
        deadline = time.monotonic() + 300
        while (seen := sorted(set(used(ros.node, NODES)))) != wanted and time.monotonic() < deadline:
            time.sleep(0.5)
        assert seen == wanted
    finally:
        monitor.close()
        page.close()


@pytest.fixture
def built_in(spawn_node, monkeypatch, tmp_path):
    """Whether the installed Fast DDS has its security libraries: without them a node refuses to start."""
    folder = tmp_path / "none" / "enclaves" / ENCLAVE.strip("/")
    folder.mkdir(parents=True)
    for name in KEYS:
        (folder / name).touch()
    with monkeypatch.context() as patch:
        for name, value in {**SECURE, "ROS_SECURITY_KEYSTORE": str(tmp_path / "none")}.items():
            patch.setenv(name, value)
        camera = spawn_node("camera")
    assert camera.wait() == 1, "no node starts unprotected where security is enforced"
    (line,) = [line for line in camera.output.splitlines() if line.startswith("error: ")]
    return "doesn't have the security libraries" not in line


def test_an_unsigned_participant_is_refused(built_in, spawn_node, ros, monkeypatch, tmp_path):
    from sensor_msgs.msg import Image

    from robot_finetune.msg import GraspOutcome
    from robot_finetune.ros.node.qos import EPISODE

    if not built_in:
        pytest.skip("the installed Fast DDS is built without security")
    if not shutil.which("ros2") or subprocess.run(["ros2", "security", "--help"], capture_output=True).returncode:
        pytest.skip("sros2, which makes the keys, is not installed")
    keys = str(tmp_path / "keys")
    subprocess.run(["ros2", "security", "create_keystore", keys], check=True)
    subprocess.run(["ros2", "security", "generate_artifacts", "-k", keys, "-p", str(POLICY)], check=True)
    for name, value in {**SECURE, "ROS_SECURITY_KEYSTORE": keys}.items():
        monkeypatch.setenv(name, value)
    logger = spawn_node("episode_logger", {"out": str(tmp_path)})
    camera = spawn_node("camera")
    images = ros.collect(Image, "observation", SENSOR)
    outcomes = ros.publisher(GraspOutcome, "grasp_outcome", EPISODE, listened=False)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        ros.wait_until(lambda: True)
        assert outcomes.get_subscription_count() == 0 and not images
    assert logger.running and camera.running and os.environ["ROS_SECURITY_ENABLE"] == "true"
