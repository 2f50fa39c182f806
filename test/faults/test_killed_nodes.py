"""What nodes that were killed leave in shared memory is gone before it does harm, and nobody takes it over."""

import os
import time
from pathlib import Path

from robot_finetune.graph.node_spec import NodeSpec
from robot_finetune.graph.process_runner import ProcessRunner
from robot_finetune.ros.node.qos import SENSOR
from robot_finetune.ros.node.shared_memory import FOLDER, YOUNG, orphans


def held(pid):
    """Names of the segments and ports that a process has made, and not merely opened."""
    locks = {os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
    return {Path(lock).name.removesuffix("_el") for lock in locks if "/fastdds_" in lock and lock.endswith("_el")}


def there(names):
    return {name for name in names if (FOLDER / f"{name}_el").exists()}


def test_living_nodes_clear_away_what_killed_ones_held_and_nothing_else(spawn_node, ros):
    """Soon: while the locks of a dead process are there, Fast DDS can stand still for ever in whoever sends to it."""
    from sensor_msgs.msg import Image

    images = ros.collect(Image, "image_raw", SENSOR)
    living = spawn_node("sim_cell")
    killed = [spawn_node("camera"), spawn_node("grasp_detector")]
    ros.wait_until(lambda: images and all(held(node.pid) for node in killed), "the nodes")
    used, left = held(living.pid), set().union(*(held(node.pid) for node in killed))
    assert used and left and not used & left
    ros.spin_for(YOUNG)
    for node in killed:
        node.kill()
    ros.wait_until(lambda: not there(left), "what is left to be cleared away")
    assert there(used) == used
    count = len(images)
    ros.wait_until(lambda: len(images) > count + 5, "images of the living node")
    assert living.running


def test_the_next_start_clears_away_what_nobody_living_did(spawn_node, ros, tmp_path):
    node = spawn_node("camera")
    ros.wait_until(lambda: held(node.pid), "the node")
    left = held(node.pid)
    node.kill()
    time.sleep(YOUNG)
    assert left & set(orphans())
    runner = ProcessRunner(tmp_path / "logs", os.environ, print)
    try:
        runner.start([NodeSpec("camera", "camera")])
        assert not there(left)
    finally:
        runner.stop()


def test_a_node_does_not_take_the_ports_of_one_that_was_killed(spawn_node, ros):
    """Others may go on writing into those, whose files are gone, and it would never hear them."""

    def ports(node):
        return {name for name in held(node.pid) if name.startswith("fastdds_port") and int(name[12:]) > 7400}

    first = spawn_node("camera")
    before = ros.wait_until(lambda: ports(first), "its port")
    ros.spin_for(YOUNG)
    first.kill()
    second = spawn_node("camera")
    assert not before & ros.wait_until(lambda: ports(second), "its port")
