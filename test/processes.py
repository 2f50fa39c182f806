"""Nodes in processes of their own, and a node in the test's own process that talks to them, over real DDS.

`spawner` gives a function that starts an executable as launch would; all of them are ended with it.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from robot_finetune.ros.environment import executable, node_environment

PATIENCE = 180.0
"""Wall seconds after which a test gives up waiting: five nodes that start beside ten busy processes need 60."""


class NodeProcess:
    """A node in its own process; what it prints goes to a file."""

    def __init__(self, command: list[str], environment: Mapping[str, str], log: Path) -> None:
        self._log = log
        environment = {**environment, "PYTHONFAULTHANDLER": "1"}  # it prints where it stands when it is aborted
        with log.open("w") as output:
            self._process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)

    @property
    def name(self) -> str:
        return self._log.stem

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
            self._process.send_signal(signal.SIGABRT)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(10.0)
            self.kill()
            pytest.fail(f"process did not end; it printed, and stood at:\n{self.output}")


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
        self._clients: dict[str, Any] = {}

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
        if service not in self._clients:
            self._clients[service] = self.node.create_client(kind, service)
            self.wait_until(self._clients[service].service_is_ready, f"service {service}")
            self.spin_for(0.3)  # a server that has not found its client within 0.1 s drops the response
        self.wait_until(self._clients[service].service_is_ready, f"service {service}")
        future = self._clients[service].call_async(kind.Request(**request))
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

    def spin_for(self, seconds: float) -> None:
        """Handle messages for a while: what should not come has time to."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._executor.spin_once(timeout_sec=0.05)

    def close(self) -> None:
        """End the node, and its actions at once: left to the garbage collector, they would answer the next test."""
        from rclpy.action import ActionClient, ActionServer

        self._executor.shutdown()
        for waitable in list(self.node.waitables):
            if isinstance(waitable, (ActionClient, ActionServer)):
                waitable.destroy()
        self._context.try_shutdown()


@contextmanager
def spawner(domain_id: int, folder: Path) -> Iterator[Callable[..., NodeProcess]]:
    """spawn(executable, params={}, *arguments) starts a node of the package and returns its NodeProcess."""
    processes: list[NodeProcess] = []

    def spawn(name: str, params: Mapping[str, Any] | None = None, *arguments: str) -> NodeProcess:
        words = [word for key, value in (params or {}).items() for word in ("-p", f"{key}:={json.dumps(value)}")]
        command = [sys.executable, str(executable(name)), "--ros-args", *words, *arguments]
        log = folder / f"{name}_{len(processes)}.log"
        processes.append(NodeProcess(command, node_environment(domain_id), log))
        return processes[-1]

    try:
        yield spawn
    except BaseException:  # of the test, or of whoever called
        for process in processes:
            print(f"{process.name} had printed:\n{process.output[-2000:]}")
        raise
    finally:
        try:
            for process in processes:
                if process.running:
                    process.stop()
        finally:  # one that does not end must not meet the next test
            for process in processes:
                process.kill()
