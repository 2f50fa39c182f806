"""Gripper drivers with their real message types, as rclpy action servers in the test's own node.

`GripperController` ends its goals as ros2_controllers 6.9.0 (commit 94e74de) does, parallel_gripper_controller/include/
parallel_gripper_controller/parallel_gripper_action_controller_impl.hpp, check_for_success and goal_callback: within
`goal_tolerance` it succeeds with reached_goal; fingers that stand still elsewhere for `stall_timeout` end it with
stalled, aborted unless `allow_stalling`; a goal without exactly one position is rejected. The controller for
GripperCommand, of the older gripper_controllers, ends its goals in the same way. `FrankaHand` does as franka_ros2 2.5.0
(commit 43357d1), franka_gripper/src/gripper_action_server.cpp: grasp succeeds if the width at which the fingers stop is
within its epsilons, and an exception of libfranka comes back as `error`. Neither does more than that.
"""

from rclpy.action import ActionServer, GoalResponse
from rclpy.task import Future
from sensor_msgs.msg import JointState

from robot_finetune.ros.node.qos import COMMAND

PERIOD = 0.01


class Fingers:
    """One finger joint at 100 Hz, open at first: it goes to `target` at `speed` a second, closing only up to `stop`."""

    def __init__(self, ros, joint, position, speed):
        self.joint, self.position, self.target, self.speed, self.stop = joint, position, position, speed, None
        self._open = position
        self._node = ros.node
        self._states = ros.node.create_publisher(JointState, "joint_states", COMMAND)
        self._active = None
        ros.node.create_timer(PERIOD, self._tick)

    def _tick(self):
        goal = self.target
        if self.stop is not None and (goal - self.stop) * (self._open - self.stop) < 0:
            goal = self.stop
        step = min(abs(goal - self.position), self.speed * PERIOD)
        self.position += step if goal > self.position else -step
        message = JointState(name=[self.joint], position=[self.position])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._states.publish(message)
        if self._active and (ended := self._ended(moved=step > 1e-9)):
            self._active.set_result(ended)
            self._active = None

    async def _end_of_motion(self, target):
        self.target = target
        self._active = Future()
        return await self._active

    def _ended(self, moved):
        raise NotImplementedError


class GripperController(Fingers):
    """Serves `gripper_cmd` with control_msgs/GripperCommand or ParallelGripperCommand."""

    def __init__(self, ros, kind, joint="finger", position=0.0, speed=2.0):
        super().__init__(ros, joint, position, speed)
        self.kind, self.goals, self.still = kind, [], 0.0
        self.active, self.allow_stalling, self.goal_tolerance, self.stall_timeout = True, False, 0.01, 0.3
        self.parallel = hasattr(kind.Result(), "state")
        ActionServer(ros.node, kind, "gripper_cmd", self._execute, goal_callback=self._accept)

    def _accept(self, goal):
        wrong = self.parallel and len(goal.command.position) != 1
        return GoalResponse.REJECT if wrong or not self.active else GoalResponse.ACCEPT

    async def _execute(self, handle):
        command = handle.request.command
        self.goals.append(command)
        self.still = 0.0
        stalled = await self._end_of_motion(command.position[0] if self.parallel else command.position) == "stalled"
        (handle.abort if stalled and not self.allow_stalling else handle.succeed)()
        result = self.kind.Result(stalled=stalled, reached_goal=not stalled)
        if self.parallel:
            result.state.position = [self.position]
        else:
            result.position = self.position
        return result

    def _ended(self, moved):
        if abs(self.target - self.position) < self.goal_tolerance:
            return "reached"
        self.still = 0.0 if moved else self.still + PERIOD
        return "stalled" if self.still > self.stall_timeout else None


class FrankaHand(Fingers):
    """Serves `hand/grasp` and `hand/move`; its joint is half of the width."""

    def __init__(self, ros, joint="finger"):
        from franka_msgs.action import Grasp, Move

        super().__init__(ros, joint, position=0.04, speed=0.2)
        self.error, self.goals = "", []
        self._kinds = Grasp, Move
        ActionServer(ros.node, Grasp, "hand/grasp", self._grasp)
        ActionServer(ros.node, Move, "hand/move", self._move)

    async def _grasp(self, handle):
        await self._moved(handle)
        goal, width = handle.request, 2 * self.position
        within = goal.width - goal.epsilon.inner < width < goal.width + goal.epsilon.outer
        return self._end(handle, self._kinds[0].Result(), within)

    async def _move(self, handle):
        await self._moved(handle)
        return self._end(handle, self._kinds[1].Result(), True)

    async def _moved(self, handle):
        self.goals.append(handle.request)
        if not self.error:
            await self._end_of_motion(handle.request.width / 2)

    def _end(self, handle, result, success):
        result.success, result.error = success and not self.error, self.error
        (handle.succeed if result.success else handle.abort)()
        return result

    def _ended(self, moved):
        return None if moved else "stopped"
