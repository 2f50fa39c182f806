"""The cell's own stop signal: a std_msgs/Bool that ends all motion until a person resets it."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from std_msgs.msg import Bool

from robot_finetune.robot.interfaces import RobotError
from robot_finetune.robot.profile_groups import EmergencyStopConfig
from robot_finetune.ros.node.guarded import listen
from robot_finetune.ros.node.qos import COMMAND, LATCHED


def watch_emergency_stop(
    node: Node, config: EmergencyStopConfig, stop: Callable[[], None], stopped: Callable[[], bool]
) -> None:
    """Call `stop` on every message that means stop, unless `stopped()` already. Without a topic nothing is watched."""
    if not config.topic:
        return

    def hear(message: Bool) -> None:
        if message.data == config.stopped_when and not stopped():
            node.get_logger().error(f"{config.topic} is {message.data}: emergency stop")
            try:
                stop()
            except RobotError as error:  # the latch holds, even if the arm does not answer
                node.get_logger().error(str(error))

    silent = SubscriptionEventCallbacks(use_default_callbacks=False)  # no warning that only one of the two fits
    for qos in (COMMAND, LATCHED):  # hears any publisher, and from one that keeps it, the value from before
        listen(node, Bool, config.topic, hear, qos, event_callbacks=silent)
