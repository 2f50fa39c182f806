"""Node `grasp_detector`: judges each grasp from joint states and camera images, told by the policy where to look."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from sensor_msgs.msg import Image, JointState

from robot_finetune.config import setting
from robot_finetune.msg import GraspOutcome, PolicyStatus
from robot_finetune.perception.frame_buffer import FrameBuffer
from robot_finetune.perception.grasp_success import GraspDetector, GraspDetectorConfig
from robot_finetune.robot.interfaces import Frame, GraspEvidence, RobotError
from robot_finetune.robot.profile import GripperConfig, load_robot
from robot_finetune.ros.conversions import outcome_to_message
from robot_finetune.ros.images import image_to_rgb
from robot_finetune.ros.node.diagnostics import Health, Level
from robot_finetune.ros.node.managed_node import ManagedNode, run_managed_node
from robot_finetune.ros.node.parameters import read_parameters
from robot_finetune.ros.node.qos import EPISODE, SENSOR
from robot_finetune.ros.node.stamps import to_seconds

IMAGES = ("before", "after_lift", "after_drop")
FRAMES = 30
"""Camera images that are kept until a phase refers to one of them."""
JUDGED = 64
"""Episodes that are remembered as judged: a restarted policy repeats its last phases."""


@dataclass(frozen=True)
class GraspDetectorParameters:
    """Parameters of the node."""

    robot: str = setting("sim", "robot: a name in config/robots or a YAML file")
    history: float = setting(120.0, "joint states that are kept", unit="s", low=1.0, high=3600.0)
    patience: int = setting(5, "newer images after which an awaited one counts as lost", low=1, high=100)
    detector: GraspDetectorConfig = setting(GraspDetectorConfig)


class OpeningHistory:
    """The gripper's opening, 0 closed to 1 open, at the times of the joint states."""

    def __init__(self, gripper: GripperConfig, duration: float) -> None:
        self._gripper, self._duration = gripper, duration
        self._stamps: deque[float] = deque()
        self._openings: deque[float] = deque()

    def add(self, stamp: float, position: float) -> None:
        """Store the gripper joint's position at `stamp` [s]; a clock that was set back forgets all before."""
        if self._stamps and stamp < self._stamps[-1]:
            self._stamps.clear()
            self._openings.clear()
        stroke = self._gripper.open_position - self._gripper.closed_position
        self._stamps.append(stamp)
        self._openings.append(min(max((position - self._gripper.closed_position) / stroke, 0.0), 1.0))
        while self._stamps[0] < stamp - self._duration:
            self._stamps.popleft()
            self._openings.popleft()

    def at(self, stamp: float) -> float | None:
        """The opening at `stamp`: the first measured since, else the last; None before the first measurement."""
        if not self._stamps or stamp < self._stamps[0]:
            return None
        return self._openings[min(bisect_left(self._stamps, stamp), len(self._stamps) - 1)]


@dataclass
class _Episode:
    """What is known of the running episode. entered: times of its phases. frames: None for a lost image."""

    entered: dict[str, float] = field(default_factory=dict)
    wanted: dict[str, float] = field(default_factory=dict)
    frames: dict[str, Frame | None] = field(default_factory=dict)
    last: PolicyStatus | None = None


class GraspDetectorNode(ManagedNode):
    """Collects the evidence of the running episode; judges it when the phase after_drop has its image."""

    NAME, PARAMETERS = "grasp_detector", GraspDetectorParameters

    def configure(self) -> None:
        self._config = read_parameters(self, GraspDetectorParameters)
        profile = load_robot(self._config.robot)
        self._gripper_joint = profile.gripper.joint
        self._detect = GraspDetector(profile, self._config.detector)
        self._openings = OpeningHistory(profile.gripper, self._config.history)
        self._frames = FrameBuffer(FRAMES)
        self._episodes: dict[str, _Episode] = {}
        self._judged: deque[str] = deque(maxlen=JUDGED)
        self._contradictions = self._successes = self._count = 0
        self._received = {"images": 0, "joint_states": 0}
        self._error = ""
        self._outcomes = self.create_publisher(GraspOutcome, "grasp_outcome", EPISODE)
        self.create_subscription(PolicyStatus, "policy_status", self.while_active(self._on_status), EPISODE)
        self.create_subscription(JointState, "joint_states", self._on_joint_states, SENSOR)
        self.create_subscription(Image, "image_raw", self._on_image, SENSOR)

    def deactivate(self) -> None:
        """Forget the running episode: its next phases are not heard."""
        self._episodes.clear()

    def _on_joint_states(self, message: JointState) -> None:
        if self._gripper_joint in message.name:
            position = message.position[list(message.name).index(self._gripper_joint)]
            self._openings.add(to_seconds(message.header.stamp), position)
        self._received["joint_states"] += 1

    def _on_image(self, message: Image) -> None:
        try:
            frame = Frame(image_to_rgb(message), to_seconds(message.header.stamp))
        except ValueError as error:
            self._error = str(error)
            return
        newest = self._frames.latest()
        if newest is not None and frame.stamp < newest.stamp:
            self._frames.clear()
        self._frames.add(frame)
        self._received["images"] += 1
        self._look()

    def _on_status(self, message: PolicyStatus) -> None:
        if not message.episode_id or message.episode_id in self._judged:
            return
        if message.phase in ("done", "discarded"):
            self._episodes.pop(message.episode_id, None)
            return
        if message.phase in ("reset", "before") and message.episode_id not in self._episodes:
            self._episodes = {message.episode_id: _Episode()}
        episode = self._episodes.get(message.episode_id)
        if episode is None or message.phase in episode.entered:
            return
        episode.entered[message.phase] = to_seconds(message.header.stamp)
        if message.phase in IMAGES:
            episode.wanted[message.phase] = to_seconds(message.image_stamp)
        episode.last = message
        self._look()

    def _look(self) -> None:
        """Take the images that the phases refer to; judge what is complete."""
        for episode_id, episode in list(self._episodes.items()):
            for phase in [phase for phase in episode.wanted if phase not in episode.frames]:
                frame = self._frames.at(episode.wanted[phase])
                if frame is not None or self._frames.newer_than(episode.wanted[phase]) >= self._config.patience:
                    episode.frames[phase] = frame
            if "after_drop" in episode.frames and len(episode.frames) == len(episode.wanted):
                self._judge(episode_id, episode)

    def _judge(self, episode_id: str, episode: _Episode) -> None:
        del self._episodes[episode_id]
        status = episode.last
        closed = self._openings.at(episode.entered.get("lifted", -1.0))
        lifted = self._openings.at(episode.entered.get("after_lift", -1.0))
        if status is None or closed is None or lifted is None:
            self._error = f"episode {episode_id} is not judged: no joint state of {self._gripper_joint} at its grasp"
            self.get_logger().warning(f"{self._error}; is joint_states published?")
            return
        for phase in [phase for phase in IMAGES if episode.frames.get(phase) is None]:
            self.get_logger().warning(f"episode {episode_id}: the image {phase} was lost; it is judged without")
        try:
            outcome = self._detect(GraspEvidence(closed, lifted, **{p: episode.frames.get(p) for p in IMAGES}))
        except RobotError as error:
            self._error = f"episode {episode_id} is not judged: {error}"
            self.get_logger().error(self._error)
            return
        self._error = ""
        self._judged.append(episode_id)
        self._count += 1
        self._successes += outcome.success
        self._contradictions += outcome.contradiction
        names = ("episode_id", "policy_version", "variation", "mode", "steps", "end_reason")
        context = {name: getattr(status, name) for name in names}
        self._outcomes.publish(outcome_to_message(outcome, status.header.stamp, **context))

    def health(self) -> Health:
        judged = {"judged": self._count, "successes": self._successes, "contradictions": self._contradictions}
        level = Level.ERROR if self._error else Level.OK
        return Health(level, self._error or "ok", judged | self._received)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until it is stopped. Returns the exit code."""
    return run_managed_node(GraspDetectorNode, args)
