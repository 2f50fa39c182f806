"""Somebody who prepares the scene between grasps: a simulator, a shaking table, a person with a button."""

from __future__ import annotations

from rclpy.node import Node
from std_srvs.srv import Trigger

from robot_finetune.robot.interfaces import RobotError
from robot_finetune.robot.profile_groups import SceneConfig
from robot_finetune.ros.node.service_client import ServiceCaller
from robot_finetune.ros.node.waiting import Check


class SceneReset:
    """Calls the profile's service and waits until it says that the scene is ready; nothing where there is none."""

    def __init__(self, node: Node, config: SceneConfig, check: Check) -> None:
        """check: raises to interrupt the wait."""
        self._timeout, self._check = config.reset_timeout, check
        cure = "start what offers it, or empty scene.reset_service in the robot profile"
        self._service = ServiceCaller(node, Trigger, config.reset_service, cure) if config.reset_service else None

    def __call__(self) -> None:
        """Raises RobotError if the service is not there, does not answer in time, or refuses."""
        if self._service is None:
            return
        response = self._service.call(self._check, self._timeout)
        if not response.success:
            raise RobotError(f"service {self._service.name} refuses: {response.message or 'it gives no reason'}")
