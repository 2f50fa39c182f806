"""Real node processes over real DDS, in a domain of their own, and a node in the test itself that talks to them.

`spawn_node("camera", {"image_size": 32})` starts an executable as launch would; all of them are ended with the test.
`ros` is the test's own node: `ros.wait_until(lambda: ...)` handles messages until a condition holds.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cell_graph import cell, slow_cell  # noqa: F401 - fixtures
from hypothesis import HealthCheck, settings
from managed import manage  # noqa: F401 - a fixture
from processes import NodeProcess, TestNode, spawner
from s3_server import s3  # noqa: F401 - a fixture

from robot_finetune.data.replay_cache import CACHE_FOLDER
from robot_finetune.ros.environment import node_environment, unused_domain
from robot_finetune.ros.node.shared_memory import remove_orphans

settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")  # on a busy computer everything takes longer: no property depends on it

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # of a shell's `&`: every process here would begin deaf to it
    signal.signal(signal.SIGINT, signal.default_int_handler)

os.environ.setdefault("OMP_NUM_THREADS", "1")  # torch's threads spin while other processes use the cores


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """What the nodes of a failed test had printed."""
    report = yield
    folder = getattr(item, "funcargs", {}).get("tmp_path")
    if report.failed and folder:
        report.sections += [(log.stem, log.read_text()[-2000:]) for log in sorted(folder.glob("*.log"))]
    return report


@pytest.fixture(scope="session")
def domain_id() -> int:
    """A ROS domain of this test run; its processes see nobody else's."""
    return unused_domain()


@pytest.fixture(scope="session", autouse=True)
def ros_environment(domain_id: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    remove_orphans()  # of a test run that was killed
    os.environ.update(node_environment(domain_id))
    os.environ[CACHE_FOLDER] = str(tmp_path_factory.mktemp("cache"))  # not the user's


@pytest.fixture
def ros(domain_id: int) -> Iterator[TestNode]:
    node = TestNode(domain_id)
    yield node
    node.close()


@pytest.fixture
def worker(ros: TestNode) -> Iterator[Any]:
    """worker(function, *args) runs a function in another thread while the test handles messages; returns its result."""
    with ThreadPoolExecutor(1) as pool:

        def run(function: Callable[..., Any], *args: Any) -> Any:
            future = pool.submit(function, *args)
            ros.wait_until(future.done, "the worker")
            return future.result()

        run.submit = pool.submit  # type: ignore[attr-defined]
        yield run


@pytest.fixture
def spawn_node(domain_id: int, tmp_path: Path) -> Iterator[Callable[..., NodeProcess]]:
    """As `processes.spawner`."""
    with spawner(domain_id, tmp_path) as spawn:
        yield spawn
