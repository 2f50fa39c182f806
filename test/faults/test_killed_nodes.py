"""Nodes that were killed leave their shared memory; the next start of a graph gives it back."""

import os
import signal
import time
from pathlib import Path

from robot_finetune.graph.node_spec import NodeSpec
from robot_finetune.graph.process_runner import ProcessRunner
from robot_finetune.ros.node.qos import SENSOR
from robot_finetune.ros.shared_memory import FOLDER, YOUNG, orphans


def segments(pid):
    """Names of the large segments that a process has made, and not merely opened."""
    locks = {os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
    return {Path(lock).name.removesuffix("_el") for lock in locks if "/fastdds_" in lock and lock.endswith("_el")}


def ports(pid):
    """Names of the ports that a process alone hears."""
    return {name for name in segments(pid) if "port" in name}


def test_the_next_start_frees_what_killed_nodes_held_and_touches_no_living_one(spawn_node, ros, tmp_path):
    from sensor_msgs.msg import Image

    images = ros.collect(Image, "image_raw", SENSOR)
    living = spawn_node("sim_cell")
    killed = [spawn_node("camera"), spawn_node("grasp_detector")]
    ros.wait_until(lambda: images and all(segments(node.pid) for node in killed), "the nodes")
    used, left = segments(living.pid), set().union(*(segments(node.pid) for node in killed))
    assert used and left and not used & left
    for node in killed:
        node.kill()
    assert all((FOLDER / name).exists() for name in left if "port" not in name), "nobody else cleans up"
    time.sleep(YOUNG)
    assert left & set(orphans())

    runner = ProcessRunner(tmp_path / "logs", os.environ, print)
    try:
        runner.start([NodeSpec("camera", "camera")])
        assert not any((FOLDER / name).exists() for name in left if "port" not in name)
        assert all((FOLDER / name).exists() for name in used)
        count = len(images)
        ros.wait_until(lambda: len(images) > count + 5, "images of the living node")
        assert living.running
    finally:
        runner.stop()


def test_a_node_that_is_started_again_does_not_take_the_dead_ones_ports(ros, tmp_path):
    """Others may go on writing into those, whose files are gone, and it would never hear them."""
    runner = ProcessRunner(tmp_path / "logs", os.environ, print)
    try:
        runner.start([NodeSpec("camera", "camera", respawn=True)])
        ros.wait_until(lambda: ports(runner.pid("camera")), "its port")
        first = runner.pid("camera")
        before = ports(first)
        os.kill(first, signal.SIGKILL)
        ros.wait_until(lambda: runner.poll() or runner.pid("camera") != first, "the next one")
        ros.wait_until(lambda: ports(runner.pid("camera")), "its port")
        assert not before & ports(runner.pid("camera"))
    finally:
        runner.stop()
