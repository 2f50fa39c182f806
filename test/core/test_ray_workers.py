"""A Ray cluster gives what processes of one computer give, also while its computers die; a real one of two nodes."""

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from robot_finetune.cli import main
from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.data.replay_file import pack
from robot_finetune.experiments.adaptation import AdaptConfig, explore
from robot_finetune.experiments.benchmarks.adaptation import Plan, run
from robot_finetune.experiments.pool import open_workers
from robot_finetune.experiments.rollouts import RolloutConfig, rollouts
from robot_finetune.learning.checkpoint import save_checkpoint
from robot_finetune.learning.finetuner import FineTuneConfig
from robot_finetune.learning.networks.build import build_network
from robot_finetune.learning.networks.interface import NetworkConfig

ray = pytest.importorskip("ray", reason="ray is not installed (requirements-ray.txt)")
PATIENCE = 30.0


def left_over(word):
    """Command lines with a word in them of processes that are still there after a while."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):  # it has ended meanwhile
                found.append(path.read_text().replace("\0", " "))
        left = [line for line in found if word in line]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.1)


@pytest.fixture
def cluster():
    """A head without processors of its own, which is this computer, and nodes that a test adds."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    session = made.head_node.get_session_dir_path()
    yield made
    ray.shutdown()
    made.shutdown()
    assert not left_over(session)


@pytest.fixture
def policy(tmp_path):
    """A small untrained policy with a replay, beside a variation of its own file."""
    network = NetworkConfig(channels=4, hidden=8, max_steps=3)
    save_checkpoint(tmp_path / "base", build_network(network, 0), 3, 2, {})
    replay = ReplayBuffer(None, 20)
    explore(str(tmp_path / "base"), "base", 2, 1, replay)
    pack(replay, tmp_path / "base" / "replay.bin")
    (tmp_path / "own.yaml").write_text("name: own\nscene: {floor: {color: [0.2, 0.3, 0.6]}}\n")
    return tmp_path / "base"


def digest(episode):
    """A hash of what was seen, done and judged in an episode (not when, by the cell's clock)."""
    told = hashlib.sha256(f"{episode.episode_id} {episode.outcome} {episode.end_reason}".encode())
    for step in episode.steps:
        for array in (step.observation.image, step.observation.pose, step.asked.vector, step.commanded.vector):
            told.update(np.ascontiguousarray(array).tobytes())
        told.update(f"{step.q} {step.policy_version}".encode())
    return told.hexdigest()


def wait_until_dead(count):
    """A cluster finds out after a while that a node does not answer, on a busy computer after the work is done."""
    deadline = time.monotonic() + 120
    while sum(not node["Alive"] for node in ray.nodes()) != count:
        assert time.monotonic() < deadline, f"{count} nodes should be dead: {ray.nodes()}"
        time.sleep(0.2)


def digests(config, seeds, workers):
    return [digest(episode) for episode in rollouts(config, seeds, workers)]


def test_episodes_are_those_of_this_computer_also_when_a_node_is_killed_meanwhile(cluster, policy):
    config = RolloutConfig(str(policy), str(policy.parent / "own.yaml"), mode="explore")
    seeds = range(500, 540)
    here = digests(config, seeds, open_workers(1))
    assert len(set(here)) == len(seeds)
    doomed, other = (cluster.add_node(num_cpus=1) for _ in range(2))
    with open_workers(1, cluster.address) as workers:
        episodes = rollouts(config, seeds, workers)
        there = [digest(next(episodes)) for _ in range(3)]
        killer = threading.Thread(target=cluster.remove_node, args=(doomed, False))
        killer.start()
        there += map(digest, episodes)
        killer.join()
        assert there == here
        wait_until_dead(1)
        assert digests(config, seeds[:4], workers) == here[:4], "with one node less"


def test_jobs_of_a_benchmark_leave_their_results_here_and_nothing_is_done_twice(cluster, policy, tmp_path):
    cluster.add_node(num_cpus=2)
    quick = AdaptConfig(min_updates=2, max_updates=2, fine_tune=FineTuneConfig(batch_size=4))

    def adaptation(name, workers):
        plan = Plan(str(policy), tmp_path / name, (1, 2), 1, 1, (str(policy.parent / "own.yaml"),), 0, quick)
        with workers:
            cells = run(plan, workers)["cells"]
        return {(cell["kind"], cell["variation"], cell["grasps"]): cell["after"] for cell in cells}

    there = adaptation("there", open_workers(1, cluster.address))
    assert there == adaptation("here", open_workers(1))
    assert set(there) == {("base", "base", 0), ("base", "own", 0), ("adapt", "own", 1), ("adapt", "own", 2)}
    kept, lost = (tmp_path / "there" / "cells" / f"adapt-own-{grasps}-0.json" for grasps in (1, 2))
    lost.unlink()
    before = kept.read_text()
    assert adaptation("there", open_workers(1, cluster.address)) == there
    assert kept.read_text() == before, "it went along and was not made anew, which takes other seconds"


def test_what_the_work_raises_is_raised_here(cluster, policy):
    cluster.add_node(num_cpus=1)
    config = RolloutConfig(str(policy), robot="no such robot")
    with pytest.raises(ValueError, match="unknown robot 'no such robot'"):
        digests(config, [1], open_workers(1, cluster.address))


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import sys\nsys.modules['robot_finetune'] = None\n", "robot_finetune"),
        ("import robot_finetune\nrobot_finetune.__version__ = '0.0.9'\n", "robot_finetune 0.0.9"),
    ],
    ids=["lacks the package", "has another version"],
)
def test_a_node_with_other_software_is_one_line(cluster, tmp_path, capsys, program, reason):
    (tmp_path / "sitecustomize.py").write_text(program)
    cluster.add_node(num_cpus=1, env_vars={"PYTHONPATH": str(tmp_path)})
    assert main(["evaluate", "--policy", "teacher", "--episodes", "1", "--quiet", "--ray", cluster.address]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert reason in line and "bring the same checkout to every computer" in line


@pytest.mark.parametrize(
    ("words", "given", "reason"),
    [
        (["--ray", "127.0.0.1:1"], "", "refused"),
        (["--ray", "nonsense"], "", "HOST:PORT"),
        (["--ray", "auto"], "127.0.0.1:1", "refused"),
    ],
)
def test_where_nobody_answers_is_one_line(words, given, reason, monkeypatch, capsys):
    monkeypatch.setenv("RAY_ADDRESS", given)
    assert main(["evaluate", "--policy", "teacher", "--episodes", "1", "--quiet", *words]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert reason in line and "ray start --head" in line


def test_a_laptop_without_a_cluster_begins_one_that_ends_with_the_command():
    words = ["evaluate", "--policy", "teacher", "--episodes", "3", "--ray", "auto", "--json", "--quiet"]
    command = [sys.executable, "-m", "robot_finetune.cli", *words]
    with TemporaryDirectory(prefix="ray-") as folder:  # Ray's sockets do not bear pytest's long names
        environment = {**os.environ, "RAY_TMPDIR": folder, "TMPDIR": folder}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout.splitlines()[-1])["episodes"] == 3
        assert not list(Path(folder).glob("robot_finetune-*")), "files that went along are left"
        assert not left_over(folder)
