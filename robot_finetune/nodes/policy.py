"""Node `policy`: grasps with the newest good version of the Q-network.

The executor's thread only answers services and stores messages. Episodes run in a worker thread, announced versions are
loaded and probed in another.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import rclpy
from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.parameter import Parameter
from sensor_msgs.msg import Joy
from std_srvs.srv import Trigger

from robot_finetune.config import ConfigError, policy_folder, resolve
from robot_finetune.learning.checkpoint import CheckpointError, load_checkpoint
from robot_finetune.learning.device import describe, prepare_device
from robot_finetune.learning.q_policy import QPolicy, probe
from robot_finetune.learning.resumed_policy import resumed_policy
from robot_finetune.msg import EpisodeSummary
from robot_finetune.perception.frame_watch import ImageFault
from robot_finetune.perception.scripted_policy import ScriptedPolicy
from robot_finetune.robot.episode_runner import EpisodeDiscarded, EpisodeRunner, RunnerConfig
from robot_finetune.robot.interfaces import RobotError
from robot_finetune.robot.joystick import Joystick
from robot_finetune.robot.profile import load_robot
from robot_finetune.robot.run_control import ERROR, IDLE, STOPPED, RequestRefused, RunControl
from robot_finetune.robot.safety import EmergencyStop
from robot_finetune.robot.take_over import TakeOver
from robot_finetune.ros.arms.moveit_arm import MoveItArm
from robot_finetune.ros.decision_view import DecisionView
from robot_finetune.ros.emergency_signal import watch_emergency_stop
from robot_finetune.ros.episode_topics import EpisodePublisher, MessagesByEpisode, OutcomeJudge, new_episode_id
from robot_finetune.ros.grasp_actions import GraspActions
from robot_finetune.ros.node.diagnostics import Health, Level
from robot_finetune.ros.node.guarded import listen
from robot_finetune.ros.node.managed_node import NOT_ACTIVE, ManagedNode, run_managed_node
from robot_finetune.ros.node.parameters import read_parameters
from robot_finetune.ros.node.qos import NEWEST
from robot_finetune.ros.node.signals import end_with_parent
from robot_finetune.ros.node.spin import START_ERRORS, fail
from robot_finetune.ros.policy_parameters import PolicyParameters
from robot_finetune.ros.promotion_topic import PromotionPublisher, hear_fleet
from robot_finetune.ros.ros_robot import ros_robot, wait_until_ready
from robot_finetune.ros.scene_reset import SceneReset
from robot_finetune.ros.version_intake import VersionIntake
from robot_finetune.ros.workspace_marker import workspace_shower
from robot_finetune.types import DEMONSTRATE, SCRIPTED

PERSON_POLL = 0.5
"""Wall seconds between two looks at the state while a person has not taken the joystick yet."""
NO_PERSON = "waiting for a person: the next grasp begins when the button on ~/joy is held"
OLD_NAME = "autostart"
"""Of the parameter start_grasping, for one more release: unheard, it would let an arm move that should wait."""


class PolicyNode(ManagedNode):
    """Runs episodes while its state is running; see RunControl for the services."""

    NAME, PARAMETERS = "policy", PolicyParameters
    MUTABLE = ("variation", "mode", "accept_updates", "max_episodes")
    ERRORS = (*START_ERRORS, CheckpointError)

    def __init__(self) -> None:
        super().__init__()
        self.add_on_set_parameters_callback(self._check_parameters)
        self.declare_parameter(
            OLD_NAME, None, ParameterDescriptor(dynamic_typing=True, description="old name of start_grasping")
        )

    def configure(self) -> None:
        self._config = parameters = read_parameters(self, PolicyParameters)
        resolve("variations", parameters.variation)
        profile = load_robot(parameters.robot)
        folder = policy_folder(parameters.policy)
        checkpoint = load_checkpoint(folder)
        checkpoint.network.to(prepare_device(parameters.device, acting=checkpoint.network.config))
        probe(checkpoint, profile)
        out = Path(parameters.out).expanduser().absolute() if parameters.out else None
        network = QPolicy(checkpoint, profile, parameters.actions, parameters.seed)
        self.get_logger().info(
            f"version {checkpoint.version} decides by {network.views}, on {describe(network.device)}"
        )
        scripted = ScriptedPolicy(profile, parameters.scripted, parameters.seed)
        self._policy = resumed_policy(
            network, folder, out, parameters.promotion, self._complain, scripted, parameters.auto
        )
        self._stop = stop = EmergencyStop()
        self._control = RunControl(stop, self._publish_state)
        shape = checkpoint.network.config
        robot = ros_robot(self, profile, self._control.check, shape.image_size)
        if isinstance(robot.arm, MoveItArm):
            self.at_close(robot.arm.close)
        self._robot = stop.guard(robot)
        watch_emergency_stop(self, profile.emergency_stop, self._control.emergency_stop, lambda: stop.tripped)
        self._reset_scene = SceneReset(self, profile.scene, self._control.check)
        self._publisher = EpisodePublisher(self, profile.base_frame, self._policy, self._robot.clock)
        self._promotion = PromotionPublisher(self, self._policy, self._robot.clock, self._variation)
        hear_fleet(self, self._policy, parameters.fleet, self._variation)
        self._judge = OutcomeJudge(self, parameters.outcome_timeout, self._control.check, self._hold_until)
        self._summaries = MessagesByEpisode(self, EpisodeSummary, "episode_summary", "episode_logger")
        self._joystick = joystick = Joystick(parameters.joystick)
        listen(self, Joy, "~/joy", self._hear_person, NEWEST)
        patience = parameters.joystick.patience
        acting = TakeOver(self._policy, joystick, self._robot, profile, patience, lambda: self._policy.version)
        config = RunnerConfig(shape.max_steps, shape.image_size, episode_timeout=parameters.episode_timeout)
        view = DecisionView(self, profile, network, self._publisher)
        self._actions = GraspActions(self, self._control, self._start_goal, view)
        self._runner = EpisodeRunner(self._robot, profile, acting, self._judge, self._actions, config)
        self._intake = VersionIntake(self, self._policy, parameters.versions, out, self._control.hint)
        self._offer("start", self._start)
        for name in ("stop", "pause", "emergency_stop", "reset_emergency_stop"):
            self._offer(name, getattr(self._control, name))
        self._offer("rollback", lambda: self._control.hint(self._policy.rollback().told))
        self._offer("promote", lambda: self._control.hint(self._policy.promote().told))
        workspace_shower(self)(profile)
        self._previous = ""  # the episode whose summary has not been seen yet
        self._ready = self._held = False
        self._episodes = self._failures = 0
        self.start_thread(lambda: self._guarded(self._intake.run), self._intake.close)
        self.start_thread(lambda: self._guarded(self._work), self._control.close)

    def activate(self) -> None:
        self._control.ready()
        if self._starts_by_itself() and self._control.state == IDLE:
            self._control.start()

    def _starts_by_itself(self) -> bool:
        old = self.get_parameter(OLD_NAME).value
        if old is None:
            return self._config.start_grasping
        self.get_logger().warning(f"the parameter {OLD_NAME} is now start_grasping: correct its file or the call")
        return bool(old)

    def deactivate(self) -> None:
        """As ~/stop does; an arm that does not answer is no reason to stay active."""
        try:
            self._control.stop("stopped: the node is inactive")
        except RobotError as error:
            self.get_logger().error(str(error))

    def halt(self) -> None:
        """The arm holds where it is before the process ends, and no motion begins any more."""
        if stop := getattr(self, "_stop", None):
            stop.end()

    # Worker threads

    def _guarded(self, work: Callable[[], None]) -> None:
        """An error that nobody expected ends the process; one that the shutdown itself causes is none."""
        try:
            work()
        except Exception as error:
            if rclpy.ok():
                self.get_logger().error(traceback.format_exc())
                fail(self, f"policy: {type(error).__name__}: {error}")

    def _work(self) -> None:
        """Run episodes while the state is running."""
        while self._control.wait_running():
            try:
                self._run_episode()
                self._failures = 0
            except RobotError as error:
                self._ready = False
                if isinstance(error, EpisodeDiscarded):
                    self._publisher.discard(str(error))
                    self._actions.discarded(str(error))
                if self._control.interrupted:
                    self._episodes = 0
                    continue
                if isinstance(error, ImageFault) or isinstance(error.__cause__, ImageFault):
                    self._hold_until(f"{error}. Grasping goes on when images are sound", self._images_are_sound)
                    continue
                self._failures += 1
                self.get_logger().error(str(error))
                hopeless = not isinstance(error, EpisodeDiscarded) or self._failures >= self._config.max_failures
                (self._control.fail if hopeless else self._control.hint)(str(error))

    def _run_episode(self) -> None:
        if not self._ready:
            needed = self._judge.require_detector, self._summaries.require_sender
            wait_until_ready(self._robot, self._config.ready_timeout, self._control.check, self._wait_for, *needed)
            self._ready = True
            self._control.hint("")
        parameters = read_parameters(self, PolicyParameters)
        waits = parameters.mode == DEMONSTRATE and not self._joystick.wait(PERSON_POLL)
        if waits != (NO_PERSON in self._control.message):
            self._control.hint(NO_PERSON if waits else "")
        if waits:
            return
        episode_id = self._judge.episode_id = new_episode_id()
        self._policy.accept_updates = parameters.accept_updates
        self._summaries.expect(self._previous, episode_id)
        self._reset_scene()
        mode = self._policy.chosen_mode(parameters.mode)
        self._publisher.begin(episode_id, parameters.variation, mode)
        self._actions.begun(episode_id)
        made = self._runner.run(episode_id, parameters.variation, mode)
        how, took = "success" if made.outcome.success else f"no success ({made.end_reason})", made.meta["seconds"]
        who = made.mode if made.mode in (SCRIPTED, DEMONSTRATE) else f"version {made.policy_version}"
        by_hand = f", {made.interventions} steps by hand" if made.interventions else ""
        self.get_logger().info(f"grasp {self._publisher.episode}: {how}, {who}{by_hand}, {took:.1f} s")
        self._actions.judged(made)
        if not made.interventions:  # else it says nothing about the version
            self._policy.judged(episode_id, made.outcome.success)
        self._promotion.publish()
        previous, self._previous = self._previous, episode_id
        self._wait_for_summary(previous)
        self._episodes += 1
        last = self._actions.attempts if self._actions.busy else parameters.max_episodes
        if last and self._episodes >= last:
            self._wait_for_summary(episode_id)
            self._control.finish(f"{self._episodes} episodes are done; ~/start runs as many again")
            self._episodes = 0

    def _wait_for(self, missing: str) -> None:
        self.get_logger().warning(missing)
        self._control.hint(missing)

    def _wait_for_summary(self, episode_id: str) -> None:
        """Go on only when the logger has the episode safely on disk: no grasp is lost."""
        check = self._control.check
        if not episode_id or self._summaries.wait(episode_id, self._config.summary_timeout, check):
            return
        message = (
            f"no {self._summaries.topic} of episode {episode_id} yet: is episode_logger running, with room on its disk?"
        )
        message += " Grasping goes on when it answers"
        self._hold_until(message, lambda: bool(self._summaries.wait(episode_id, 1.0, check)))

    def _images_are_sound(self) -> bool:
        try:
            self._robot.camera.frame()
        except RobotError:
            return self._control.interrupted
        return True

    def _hold_until(self, message: str, come: Callable[[], bool]) -> None:
        """Pause with `message` until what it waits for has come, unless an operator decides otherwise."""
        self._held = self._control.hold(message)
        try:
            if self._held:
                self.get_logger().error(message)
            while self._control.held(message) and not come():
                pass
        finally:
            self._control.release(message)
            self._held = False

    # Callbacks on the executor's thread

    def _check_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        try:
            for parameter in parameters:
                if parameter.name == "variation":
                    resolve("variations", parameter.value)
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _hear_person(self, message: Joy) -> None:
        self._joystick.hear(message.axes, message.buttons)
        button = self._config.joystick.hold
        self.get_logger().info(f"a joystick is heard; who holds its button {button} acts", once=True)

    def _offer(self, name: str, action: Callable[[], None]) -> None:
        def handle(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            try:
                action()
                response.success, response.message = True, self._control.message or self._control.state
            except (RequestRefused, CheckpointError, RobotError) as error:
                response.success, response.message = False, str(error)
            self.get_logger().info(f"{name}: {response.message}")
            return response

        self.create_service(Trigger, f"~/{name}", handle)

    def _start(self) -> None:
        if not self.active:
            raise RequestRefused(NOT_ACTIVE)
        self._joystick.forget()
        self._control.start()

    def _start_goal(self) -> None:
        self._episodes = 0
        self._start()

    def _variation(self) -> str:
        return str(self.get_parameter("variation").value)

    def _complain(self, line: str) -> None:
        self.get_logger().warning(line)

    def _publish_state(self) -> None:
        self._publisher.describe(self._control.state, self._control.message)
        if actions := getattr(self, "_actions", None):
            actions.state_changed()

    def health(self) -> Health:
        late = self._intake.late
        known = {ERROR: Level.ERROR, STOPPED: Level.WARN}.get(self._control.state, Level.WARN if late else Level.OK)
        level = Level.ERROR if self._held else known
        values = {"state": self._control.state, "version": self._policy.version, "discarded": self._publisher.discarded}
        values["decision_ms"] = f"{self._policy.decision_ms:.1f}"
        look = self._policy.autonomy.look
        values["scene_looks_different"] = f"evidence {look.evidence:.3g} of {look.limit:.3g}"
        return Health(level, self._control.message or late or self._control.state, values)


def main(args: Sequence[str] | None = None) -> int:
    end_with_parent()  # a launch that is killed must not leave the arm moving
    return run_managed_node(PolicyNode, args)
