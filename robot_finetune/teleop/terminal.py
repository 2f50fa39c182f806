"""The keyboard of this terminal, published as sensor_msgs/Joy."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

import rclpy
from rclpy.duration import Duration
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Joy

from robot_finetune.config import ConfigError
from robot_finetune.ros.node.fast_dds import own_port
from robot_finetune.ros.node.qos import COMMAND
from robot_finetune.teleop.keys import HELP, LEAVE, Keys

PERIOD = 0.05
"""Wall seconds between two messages."""
END_OF_TRANSMISSION = "\x04"


def teleoperate(topic: str) -> None:
    """Publish the keys on `topic` until somebody leaves; the last message lets go. Raises ConfigError where there is no
    terminal."""
    if not sys.stdin.isatty():
        raise ConfigError("teleop reads the keys of a terminal, and this is none: call it in one")
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)  # Ctrl-C has to let go first
    try:
        with own_port():
            node = rclpy.create_node("teleop")
        publisher = node.create_publisher(Joy, topic, COMMAND)
        print(HELP, flush=True)
        keys = Keys()

        def publish() -> None:
            axes, buttons = keys.state()
            message = Joy(axes=axes, buttons=buttons)
            message.header.stamp = node.get_clock().now().to_msg()
            publisher.publish(message)

        try:
            with _single_keys() as descriptor:
                while (typed := _typed(descriptor)) is not None:
                    for key in typed:
                        keys.press(key)
                    _show(keys, publisher.get_subscription_count())
                    publish()
        finally:
            print()
            keys.holds = False
            publish()
            publisher.wait_for_all_acked(Duration(seconds=1.0))
    finally:
        rclpy.try_shutdown()


def _typed(descriptor: int) -> str | None:
    """The keys of the next PERIOD; None if somebody leaves."""
    ready, _, _ = select.select([descriptor], [], [], PERIOD)
    if not ready:
        return ""
    typed = os.read(descriptor, 64).decode(errors="ignore").lower()
    return None if not typed or {LEAVE, END_OF_TRANSMISSION} & set(typed) else typed


def _show(keys: Keys, listeners: int) -> None:
    who = "YOU move the gripper" if keys.holds else "the policy acts     "
    print(f"\r{who}   {'' if listeners else 'nobody listens: is the policy node running?'}\033[K", end="", flush=True)


@contextmanager
def _single_keys() -> Iterator[int]:
    """The terminal gives each key as it is pressed, and shows none; Ctrl-C interrupts as ever."""
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield descriptor
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
