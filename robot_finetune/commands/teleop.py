"""`robot-finetune teleop`"""

from __future__ import annotations

import click

from robot_finetune.commands.ros import require


@click.command(
    epilog="""\b
Examples:
  robot-finetune teleop
  robot-finetune teleop --topic /left/policy/joy"""
)
@click.option("--topic", default="/policy/joy", help="sensor_msgs/Joy that the policy node hears.")
def command(topic: str) -> None:
    """Move the gripper by the keys of this terminal, while the policy works; see docs/by_hand.md."""
    require("rclpy", "sensor_msgs")
    from robot_finetune.teleop.terminal import teleoperate

    teleoperate(topic)
