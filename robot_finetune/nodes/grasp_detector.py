"""Node `grasp_detector`: judges each grasp from joint states and camera images, told by the policy where to look."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import Image, JointState

from robot_finetune.config import setting
from robot_finetune.msg import EpisodeLost, EpisodePhase, GraspOutcome
from robot_finetune.perception.frame_buffer import FrameBuffer
from robot_finetune.perception.grasp_success import GraspDetector, GraspDetectorConfig
from robot_finetune.perception.opening_history import OpeningHistory
from robot_finetune.robot.interfaces import Frame, GraspEvidence, RobotError
from robot_finetune.robot.joint_intake import check_message
from robot_finetune.robot.joint_limits import measured_limits
from robot_finetune.robot.profile import load_robot
from robot_finetune.ros.constants import PHASE
from robot_finetune.ros.conversions import check_context, outcome_to_message
from robot_finetune.ros.images import image_to_rgb
from robot_finetune.ros.node.diagnostics import Health, Level
from robot_finetune.ros.node.guarded import listen
from robot_finetune.ros.node.managed_node import ManagedNode, run_managed_node
from robot_finetune.ros.node.parameters import read_parameters
from robot_finetune.ros.node.qos import EPISODE, series
from robot_finetune.ros.node.stamps import to_seconds
from robot_finetune.ros.node.waiting import RosClock

IMAGES = ("before", "after_lift", "after_drop")
MEASURED = ("lifted", "after_lift")
"""Phases at whose beginning the gripper's opening counts."""
STATES_LATE = 2.0
"""Wall seconds for which joint states are waited for after the last image."""
IMAGES_LATE = 10.0
"""Wall seconds after which an awaited image counts as lost although no newer ones come."""
LOOK_EVERY = 0.5
"""Wall seconds between two looks at what is complete: after the last grasp there may be no more images."""
FRAMES = 30
"""Camera images that are kept until a phase refers to one of them."""
STATES = 200
"""Joint states that wait while the node is busy."""
OPEN = 16
"""Episodes that are followed at a time; the policy makes one, the others are remains or of somebody else."""
SETTLED = 64
"""Episodes that are remembered as judged or refused: a restarted policy repeats its last phases."""
AHEAD = 5.0
"""Stamps this far [s] ahead of the node's own clock are none, where that clock is not simulated."""


@dataclass(frozen=True)
class GraspDetectorParameters:
    """Parameters of the node."""

    robot: str = setting("sim", "robot: a name in config/robots or a YAML file")
    history: float = setting(120.0, "joint states that are kept", unit="s", low=1.0, high=3600.0)
    patience: int = setting(5, "newer images after which an awaited one counts as lost", low=1, high=100)
    detector: GraspDetectorConfig = setting(GraspDetectorConfig)


@dataclass
class _Episode:
    """What is known of the running episode. entered: times of its phases. wanted: stamps of its images.

    asked: wall times at which they were first wanted. frames: None for a lost one. seen: wall time at which all of them
    were there."""

    entered: dict[str, float] = field(default_factory=dict)
    wanted: dict[str, float] = field(default_factory=dict)
    asked: dict[str, float] = field(default_factory=dict)
    frames: dict[str, Frame | None] = field(default_factory=dict)
    last: EpisodePhase | None = None
    seen: float = 0.0


class GraspDetectorNode(ManagedNode):
    """Collects the evidence of the running episode; judges it when the phase after_drop has its image."""

    NAME, PARAMETERS = "grasp_detector", GraspDetectorParameters

    def configure(self) -> None:
        self._config = read_parameters(self, GraspDetectorParameters)
        profile = load_robot(self._config.robot)
        self._gripper_joint = joint = profile.gripper.joint
        self._limits = {joint: measured_limits(profile)[joint]}
        self._detect = GraspDetector(profile, self._config.detector)
        self._openings = OpeningHistory(profile.gripper, self._config.history)
        self._frames = FrameBuffer(FRAMES)
        self._episodes: dict[str, _Episode] = {}
        self._settled: deque[str] = deque(maxlen=SETTLED)
        self._contradictions = self._successes = self._count = self._refused = 0
        self._robot_clock = RosClock(self)
        self._received = {"images": 0, "joint_states": 0}
        self._error = self._image_error = ""
        self._outcomes = self.create_publisher(GraspOutcome, "grasp_outcome", EPISODE)
        self._losses = self.create_publisher(EpisodeLost, "episode_lost", EPISODE)
        listen(self, EpisodePhase, "episode_phase", self.while_active(self._on_phase), EPISODE)
        listen(self, JointState, "joint_states", self._on_joint_states_of, series(STATES))
        listen(self, Image, "image_raw", self._on_image, series(FRAMES))
        self.create_timer(LOOK_EVERY, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def deactivate(self) -> None:
        """Forget the running episode: its next phases are not heard."""
        self._episodes.clear()

    def _on_joint_states_of(self, message: JointState, info: Mapping[str, Any]) -> None:
        self._on_joint_states(message, str(info.get("publisher_gid")))

    def _on_joint_states(self, message: JointState, publisher: str = "") -> None:
        stamp = self._stamp(message) or self._robot_clock.now()  # of a publisher that does not stamp: of now
        for position in check_message(self._limits, message.name, message.position).values():
            self._openings.add(stamp, position, publisher, time.monotonic())
        self._received["joint_states"] += 1

    def _on_image(self, message: Image) -> None:
        try:
            frame = Frame(image_to_rgb(message), self._stamp(message))
            self._detect.check_image(frame.image)
        except (ValueError, RobotError) as error:
            self._image_error = str(error)
            self._give_up_waiting(str(error))
            raise
        self._image_error = ""
        newest = self._frames.latest()
        if newest is not None and frame.stamp < newest.stamp:
            self._frames.clear()
        self._frames.add(frame)
        self._received["images"] += 1
        self._look()

    def _stamp(self, message: Any) -> float:
        """Time of a message [s]. Raises ValueError for one that has not come yet."""
        stamp, now = to_seconds(message.header.stamp), self._robot_clock.now()
        if not self._robot_clock.simulated and stamp > now + AHEAD:
            raise ValueError(f"stamped {stamp - now:.1f} s ahead of the clock of this node: synchronise the clocks")
        return stamp

    def _on_phase(self, message: EpisodePhase) -> None:
        if not message.episode_id or message.episode_id in self._settled:
            return
        check_context(message)
        phase = PHASE.name(message.phase)
        if phase in ("done", "discarded"):
            self._episodes.pop(message.episode_id, None)
            return
        if phase in ("reset", "before") and message.episode_id not in self._episodes:
            self._begin(message.episode_id)
        episode = self._episodes.get(message.episode_id)
        if episode is None or phase in episode.entered:
            return
        episode.entered[phase] = to_seconds(message.header.stamp)
        if phase in IMAGES:
            episode.wanted[phase] = to_seconds(message.image_stamp)
            episode.asked[phase] = time.monotonic()
        episode.last = message
        self._look()

    def _begin(self, episode_id: str) -> None:
        """Follow an episode; where there are too many, the one that came least far goes, the oldest of those."""
        while len(self._episodes) >= OPEN:
            del self._episodes[min(self._episodes, key=lambda known: len(self._episodes[known].entered))]
        self._episodes[episode_id] = _Episode()

    def _look(self) -> None:
        """Take the images that the phases refer to; judge what is complete."""
        for episode_id, episode in list(self._episodes.items()):
            for phase in [phase for phase in episode.wanted if phase not in episode.frames]:
                frame = self._frames.at(episode.wanted[phase])
                if frame is not None or self._is_lost(episode.wanted[phase], episode.asked[phase]):
                    episode.frames[phase] = frame
            if "after_drop" in episode.frames and len(episode.frames) == len(episode.wanted):
                episode.seen = episode.seen or time.monotonic()
                if self._is_measured(episode) or time.monotonic() - episode.seen > STATES_LATE:
                    self._judge(episode_id, episode)

    def _is_lost(self, stamp: float, asked: float) -> bool:
        """Whether an image will not come any more."""
        late = time.monotonic() - asked > IMAGES_LATE
        return late or self._frames.newer_than(stamp) >= self._config.patience

    def _is_measured(self, episode: _Episode) -> bool:
        """Whether the joint states of the grasp have come; on a busy computer they can be later than its images."""
        try:
            return all(self._openings.at(episode.entered.get(phase, math.inf)) is not None for phase in MEASURED)
        except RobotError:
            return True  # they contradict each other: nothing to wait for

    def _judge(self, episode_id: str, episode: _Episode) -> None:
        status = episode.last
        assert status is not None
        for phase in [phase for phase in IMAGES if episode.frames.get(phase) is None]:
            self.get_logger().warning(f"episode {episode_id}: the image {phase} was lost; it is judged without")
        try:
            closed, lifted = (self._opening(episode, phase) for phase in MEASURED)
            outcome = self._detect(GraspEvidence(closed, lifted, **{p: episode.frames.get(p) for p in IMAGES}))
        except (RobotError, ValueError) as error:
            self._refuse(episode_id, str(error))
            return
        self._error = ""
        self._settle(episode_id)
        self._count += 1
        self._successes += outcome.success
        self._contradictions += outcome.contradiction
        names = ("episode_id", "policy_version", "variation", "mode", "steps", "end_reason")
        context = {name: getattr(status, name) for name in names}
        self._outcomes.publish(outcome_to_message(outcome, status.header.stamp, **context))

    def _opening(self, episode: _Episode, phase: str) -> float:
        """The gripper's opening when the arm entered a phase. Raises RobotError if it is not known."""
        opening = self._openings.at(episode.entered[phase]) if phase in episode.entered else None
        if opening is None:
            raise RobotError(f"no joint state of {self._gripper_joint} at its grasp; is joint_states published?")
        return opening

    def _give_up_waiting(self, why: str) -> None:
        """An image that cannot be used may be the one that is waited for: say so, for the policy waits as well."""
        waiting = [name for name, episode in self._episodes.items() if "after_drop" in episode.wanted]
        for episode_id in waiting:
            self._refuse(episode_id, why)

    def _refuse(self, episode_id: str, why: str) -> None:
        self._settle(episode_id)
        self._refused += 1
        self._error = f"episode {episode_id} is not judged: {why}"
        self.get_logger().error(self._error)
        lost = EpisodeLost(episode_id=episode_id, reason=f"not judged: {why}")
        lost.header.stamp = self.get_clock().now().to_msg()
        self._losses.publish(lost)

    def _settle(self, episode_id: str) -> None:
        del self._episodes[episode_id]
        self._settled.append(episode_id)

    def health(self) -> Health:
        judged = {
            "judged": self._count,
            "refused": self._refused,
            "successes": self._successes,
            "contradictions": self._contradictions,
        }
        error = self._image_error or self._error
        return Health(Level.ERROR if error else Level.OK, error or "ok", judged | self._received)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until it is stopped. Returns the exit code."""
    return run_managed_node(GraspDetectorNode, args)
