"""The life of a node process: start, spin, end.

Exit code DONE on a signal that ends it, MISCONFIGURED and one line where its configuration is wrong, FAILED and one
line on any other error that a user can cure.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from robot_finetune.config import ConfigError
from robot_finetune.exit_codes import DONE, FAILED, MISCONFIGURED
from robot_finetune.files import one_line
from robot_finetune.robot.interfaces import RobotError
from robot_finetune.ros.node.fast_dds import own_port
from robot_finetune.ros.node.shared_memory import remove_dead
from robot_finetune.ros.node.signals import end_signals
from robot_finetune.ros.node.sim_time import take_sound_times_only

PASSING_ERRORS: tuple[type[Exception], ...] = (RobotError, OSError)
"""What another start may not meet again. Any other error that a user can cure is one of the configuration."""
START_ERRORS: tuple[type[Exception], ...] = (ConfigError, ParameterException, *PASSING_ERRORS)
"""What a user can cure: reported in one line. Anything else is a defect of the program and keeps its traceback."""

LOOK_EVERY = 0.5
"""Wall seconds between two looks: at whether to end, for a node that waits for messages sometimes sleeps over the
signal, and at what killed processes have left. Fast DDS finds out after a second that one is dead, and then waits for
ever for a lock of its own in whoever sends to it, if the dead one's lock files are still there (its issue 6485)."""

RCLError: Any = rclpy_implementation.RCLError
InvalidHandle: Any = rclpy_implementation.InvalidHandle

_failures: list[str] = []


def run_node(
    factory: Callable[[], Node],
    args: Sequence[str] | None = None,
    errors: tuple[type[Exception], ...] = (),
    start: Callable[[Any], object] = lambda node: None,
) -> int:
    """Create a node and spin it until it ends. Returns the exit code of the process.

    factory: creates the node. Its method `halt()`, if it has one, is called first, however the process ends, and
    `close()` last: threads are joined there. errors: exceptions of the factory and of `start`, which is given the node
    before it is spun, that are, besides START_ERRORS, reported in one line.
    """
    node: Node | None = None
    executor: SingleThreadedExecutor | None = None
    ending = threading.Event()

    def end() -> None:
        ending.set()
        _call(node, "halt")
        if executor is not None:
            executor.wake()

    # Once it spins, an exception that a signal raises would come up in whatever Python code runs, and inside rclpy's
    # message conversion turn into a RuntimeError.
    with end_signals(end, interrupts=lambda: executor is None):
        try:
            rclpy.init(args=list(args) if args is not None else None, signal_handler_options=SignalHandlerOptions.NO)
        except Exception as error:  # arguments, or a parameter file, that rcl cannot parse
            return _report(error, MISCONFIGURED)
        take_sound_times_only()
        try:
            with own_port():
                node = factory()
            start(node)
            executor = SingleThreadedExecutor()
            executor.add_node(node)
            looked = time.monotonic()
            while rclpy.ok() and not ending.is_set():
                executor.spin_once(timeout_sec=LOOK_EVERY)
                if time.monotonic() - looked > LOOK_EVERY:
                    remove_dead()
                    looked = time.monotonic()
        except (KeyboardInterrupt, ExternalShutdownException):
            pass
        except (*START_ERRORS, *errors) as error:
            passing = isinstance(error, PASSING_ERRORS) or isinstance(error.__cause__, OSError)
            return _report(error, FAILED if passing else MISCONFIGURED)
        except (RCLError, InvalidHandle) as error:
            if node is None:
                return _report(error)
            if rclpy.ok():  # not merely what a shutdown in another thread has just invalidated
                raise
        finally:
            _call(node, "halt")
            _call(node, "close")
            rclpy.try_shutdown()
    return FAILED if _failures else DONE


@contextmanager
def until_shutdown() -> Iterator[None]:
    """For publishing in worker threads: a publisher that the shutdown has just invalidated is no error."""
    try:
        yield
    except RCLError:
        if rclpy.ok():
            raise


def fail(node: Node, error: BaseException | str) -> None:
    """End the process with exit code 1 and one line that says why; for worker threads of a node."""
    _failures.append(str(error))
    node.get_logger().fatal(str(error))
    _call(node, "halt")
    rclpy.try_shutdown()


def _call(node: Node | None, name: str) -> None:
    if method := getattr(node, name, None):
        method()


def _report(error: BaseException, code: int = 1) -> int:
    print(f"error: {one_line(error)}", file=sys.stderr, flush=True)
    return code
