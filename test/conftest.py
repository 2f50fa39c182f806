"""Real node processes over real DDS, in a domain of their own, and a node in the test itself that talks to them.

`spawn_node("camera", {"image_size": 32})` starts an executable as launch would; all of them are ended with the test.
`ros` is the test's own node: `ros.wait_until(lambda: ...)` handles messages until a condition holds.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cell_graph import cell  # noqa: F401 - a fixture
from managed import manage  # noqa: F401 - a fixture

from robot_finetune.ros.environment import executable, node_environment, unused_domain
from robot_finetune.ros.shared_memory import remove_orphans

os.environ.setdefault("OMP_NUM_THREADS", "1")  # torch's threads spin while other processes use the cores

PATIENCE = 60.0
"""Wall seconds after which a test gives up waiting: far more than anything takes on a busy computer."""


class NodeProcess:
    """A node in its own process; what it prints goes to a file."""

    def __init__(self, command: list[str], environment: Mapping[str, str], log: Path) -> None:
        self._log = log
        with log.open("w") as output:
            self._process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)

    @property
    def output(self) -> str:
        return self._log.read_text()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """As the kernel would: no clean-up."""
        self._process.kill()
        self._process.wait()

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Ask it to end, as Ctrl-C does. Returns its exit code."""
        if self.running:
            self._process.send_signal(number)
        return self.wait()

    def wait(self, timeout: float = PATIENCE) -> int:
        """Wait for its end. Returns its exit code; a failed test shows what a process that failed has printed."""
        try:
            code = self._process.wait(timeout)
            if code:
                print(f"process ended with {code}; it printed:\n{self.output}")
            return code
        except subprocess.TimeoutExpired:
            self.kill()
            pytest.fail(f"process did not end; it printed:\n{self.output}")


class TestNode:
    """The test's own rclpy node (`node`) in the domain of the test."""

    __test__ = False

    def __init__(self, domain_id: int) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor

        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain_id)
        self.node = rclpy.create_node("test", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)

    def collect(self, kind: Any, topic: str, qos: Any) -> list[Any]:
        """A list to which each message of `topic` is added as it comes."""
        messages: list[Any] = []
        self.node.create_subscription(kind, topic, messages.append, qos)
        return messages

    def publisher(self, kind: Any, topic: str, qos: Any, listened: bool = True) -> Any:
        """A publisher, that somebody already listens to if `listened`."""
        publisher = self.node.create_publisher(kind, topic, qos)
        if listened:
            self.wait_until(lambda: publisher.get_subscription_count() > 0, f"a subscriber of {topic}")
        return publisher

    def call(self, kind: Any, service: str, **request: Any) -> Any:
        """The response of a service."""
        client = self.node.create_client(kind, service)
        self.wait_until(client.service_is_ready, f"service {service}")
        future = client.call_async(kind.Request(**request))
        self.wait_until(future.done, f"the response of {service}")
        return future.result()

    def set_parameter(self, node: str, name: str, value: Any) -> Any:
        """Set a parameter of a running node; returns its SetParametersResult."""
        from rcl_interfaces.srv import SetParameters
        from rclpy.parameter import Parameter

        parameter = Parameter(name, value=value).to_parameter_msg()
        (result,) = self.call(SetParameters, f"{node}/set_parameters", parameters=[parameter]).results
        return result

    def wait_until(self, condition: Callable[[], Any], what: str = "condition") -> Any:
        """Handle messages until `condition()` is true; returns its value."""
        deadline = time.monotonic() + PATIENCE
        while not (value := condition()):
            if time.monotonic() > deadline:
                pytest.fail(f"waited in vain for {what}")
            self._executor.spin_once(timeout_sec=0.05)
        return value

    def close(self) -> None:
        """End the node, and its actions at once: left to the garbage collector, they would answer the next test."""
        from rclpy.action import ActionClient, ActionServer

        self._executor.shutdown()
        for waitable in list(self.node.waitables):
            if isinstance(waitable, (ActionClient, ActionServer)):
                waitable.destroy()
        self._context.try_shutdown()


@pytest.fixture(scope="session")
def domain_id() -> int:
    """A ROS domain of this test run; its processes see nobody else's."""
    return unused_domain()


@pytest.fixture(scope="session", autouse=True)
def ros_environment(domain_id: int) -> None:
    remove_orphans()  # of a test run that was killed
    os.environ.update(node_environment(domain_id))


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
    """spawn_node(executable, params={}, *arguments) starts a node of the package and returns its NodeProcess."""
    processes: list[NodeProcess] = []

    def spawn(name: str, params: Mapping[str, Any] | None = None, *arguments: str) -> NodeProcess:
        words = [word for key, value in (params or {}).items() for word in ("-p", f"{key}:={json.dumps(value)}")]
        command = [sys.executable, str(executable(name)), "--ros-args", *words, *arguments]
        log = tmp_path / f"{name}_{len(processes)}.log"
        processes.append(NodeProcess(command, node_environment(domain_id), log))
        return processes[-1]

    yield spawn
    try:
        for process in processes:
            if process.running:
                process.stop()
    finally:  # one that does not end must not meet the next test
        for process in processes:
            process.kill()
