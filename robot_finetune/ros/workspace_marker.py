"""The workspace as RViz draws it: a box of lines on `workspace_box`."""

from __future__ import annotations

from collections.abc import Callable

from geometry_msgs.msg import Point
from rclpy.node import Node
from visualization_msgs.msg import Marker

from robot_finetune.robot.profile import RobotProfile
from robot_finetune.robot.workspace import box_edges
from robot_finetune.ros.node.qos import LATCHED

LINE_WIDTH = 0.003  # m


def workspace_shower(node: Node) -> Callable[[RobotProfile], None]:
    """A function that publishes a profile's workspace; late subscribers get the last one."""
    publisher = node.create_publisher(Marker, "workspace_box", LATCHED)

    def show(profile: RobotProfile) -> None:
        marker = Marker(ns="workspace", type=Marker.LINE_LIST, action=Marker.ADD)
        marker.header.frame_id = profile.base_frame
        marker.header.stamp = node.get_clock().now().to_msg()
        marker.pose.orientation.w = 1.0
        marker.scale.x = LINE_WIDTH
        marker.color.r, marker.color.a = 1.0, 1.0
        ends = box_edges(profile.workspace.low, profile.workspace.high).reshape(-1, 3)
        marker.points = [Point(x=float(x), y=float(y), z=float(z)) for x, y, z in ends]
        publisher.publish(marker)

    return show
