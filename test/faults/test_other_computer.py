"""A simulated cell is for this computer alone. Two network namespaces are two computers, joined by a cable."""

import os
import shutil
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from robot_finetune.config import share_path
from robot_finetune.ros.environment import executable, graph_environment, node_environment
from robot_finetune.ros.node.fast_dds import profiles_variable

HERE, THERE = "10.77.0.1", "10.77.0.2"
LISTENER = """
import sys, time, rclpy
from sensor_msgs.msg import Image
from robot_finetune.msg import GraspOutcome
from robot_finetune.ros.node.qos import EPISODE, SENSOR
rclpy.init()
node = rclpy.create_node("listener")
heard = []
node.create_subscription(Image, "image_raw", heard.append, SENSOR)
outcome = node.create_publisher(GraspOutcome, "grasp_outcome", EPISODE)
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end and not (heard and outcome.get_subscription_count()):
    rclpy.spin_once(node, timeout_sec=0.1)
print(len(heard) > 0, outcome.get_subscription_count())
"""


def run(*words):
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


class Computers:
    """Two network namespaces with a virtual cable between them; the machine's own network is not touched."""

    def __init__(self):
        self.here, self.there = f"rf{os.getpid()}a", f"rf{os.getpid()}b"
        self._processes = []

    def join(self):
        for name in (self.here, self.there):
            run("ip", "netns", "add", name)
        peer = ("type", "veth", "peer", "name", "cable", "netns", self.there)
        run("ip", "link", "add", "cable", "netns", self.here, *peer)
        for name, address in ((self.here, HERE), (self.there, THERE)):
            run("ip", "-n", name, "address", "add", f"{address}/24", "dev", "cable")
            for device in ("cable", "lo"):
                run("ip", "-n", name, "link", "set", device, "up")

    def start(self, environment, *words):
        """A process on the first computer."""
        command = ["ip", "netns", "exec", self.here, *map(str, words)]
        self._processes.append(subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL))

    def listen(self, where, environment, seconds):
        """Whether a participant hears images, and how many subscribe to the outcomes that it could write."""
        program = [sys.executable, "-c", LISTENER, str(seconds)]
        own_memory = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /dev/shm && exec "$@"', "sh"]
        words = ["ip", "netns", "exec", where, *(own_memory if where == self.there else []), *program]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=seconds + 60)
        assert done.returncode == 0, done.stderr
        heard, subscribers = done.stdout.split()
        return heard == "True", int(subscribers)

    def close(self):
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait(30)
        for name in (self.here, self.there):
            subprocess.run(["ip", "netns", "del", name], capture_output=True)

    def sockets(self):
        """Addresses that UDP and TCP sockets of the first computer are bound to."""
        tables = run("ip", "netns", "exec", self.here, "cat", "/proc/net/udp", "/proc/net/tcp")
        words = [line.split()[1] for line in tables.splitlines() if "local_address" not in line]
        return {socket.inet_ntoa(struct.pack("<I", int(word.split(":")[0], 16))) for word in words}


@pytest.fixture
def computers():
    if not shutil.which("ip") or not shutil.which("unshare"):
        pytest.skip("needs ip of iproute2 and unshare of util-linux")
    two = Computers()
    try:
        try:
            two.join()
            run("unshare", "--mount", "true")
        except subprocess.CalledProcessError as error:
            pytest.skip(f"network namespaces may not be made here: {error.stderr.strip()}")
        yield two
    finally:
        two.close()


def plain(environment):
    """The environment without what concerns discovery."""
    dropped = ("ROS_AUTOMATIC_DISCOVERY_RANGE", "ROS_STATIC_PEERS", profiles_variable(environment))
    return {name: value for name, value in environment.items() if name not in dropped}


def start_cell(computers, environment):
    for name in ("sim_cell", "grasp_detector", "episode_logger"):
        computers.start(environment, sys.executable, executable(name), "--ros-args", "--log-level", "error")


@pytest.fixture
def other(monkeypatch):
    """The environment of the other computer, whose user knows this one's address."""
    monkeypatch.setenv("ROS_DOMAIN_ID", "77")
    return plain(os.environ) | {"ROS_STATIC_PEERS": HERE, "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}


def test_another_computer_neither_hears_nor_reaches_a_simulated_cell(computers, other, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in os.environ.keys() - plain(os.environ).keys():
        monkeypatch.delenv(name)
    environment = graph_environment(simulated=True)
    start_cell(computers, environment)
    assert computers.listen(computers.here, environment, 60.0) == (True, 1), "it works on this computer"
    assert computers.listen(computers.here, plain(os.environ), 60.0) == (True, 1), "so do the tools of ROS 2"
    assert computers.sockets() <= {"127.0.0.1", "239.255.0.1"}, "multicast is joined on the loopback card"
    assert computers.listen(computers.there, other, 15.0) == (False, 0)


def test_the_two_computers_of_this_test_can_reach_each_other(computers, other, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    profile = {profiles_variable(os.environ): str(share_path("config", "fastdds_shm.xml"))}
    start_cell(computers, {**node_environment(), **profile, "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"})
    deadline, reached = time.monotonic() + 90, (False, 0)
    while not any(reached) and time.monotonic() < deadline:
        reached = computers.listen(computers.there, other, 10.0)
    assert any(reached), "by ROS 2's LOCALHOST alone: what the loopback profile is for"


def test_the_profile_differs_from_the_one_for_an_arm_in_its_addresses_only():
    arm, alone = (share_path("config", f"fastdds_{name}.xml").read_text() for name in ("shm", "loopback"))
    addresses = """
        <interfaceWhiteList>
          <address>127.0.0.1</address>
        </interfaceWhiteList>"""
    assert addresses in alone
    same = alone.replace(addresses, "").replace("<transport_id>loopback<", "<transport_id>udp<").split("\n")
    assert same[3:] == arm.split("\n")[3:], f"see {Path(__file__).name}"
