"""Messages that anybody in the graph could publish: random in every field, or sound ones with a few fields spoiled.

`stream(topic, seed)` yields them without end; TOPICS has the type and quality of service of each topic that a node of
ours hears. Everything follows from the seed.
"""

from __future__ import annotations

import copy
import importlib
import itertools
import math
import random
import re
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState, Joy
from std_msgs.msg import Float64
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from robot_finetune.msg import (
    EpisodeLost,
    EpisodePhase,
    EpisodeSummary,
    GraspOutcome,
    GraspVerdict,
    ModelUpdate,
    PolicyStatus,
    PolicyStep,
    Promotion,
    TrainerStatus,
)
from robot_finetune.perception.camera_model import CameraModel
from robot_finetune.robot.profile import load_robot
from robot_finetune.ros.conversions import outcome_to_message, step_to_message
from robot_finetune.ros.images import ENCODINGS, camera_info, numpy_to_image
from robot_finetune.ros.node.qos import COMMAND, EPISODE, LATCHED, SENSOR, STEP
from robot_finetune.ros.node.stamps import to_stamp
from robot_finetune.types import Action, Observation, Step
from robot_finetune.types import GraspOutcome as Outcome

PROFILE = load_robot("sim")
TEXTS = (
    "",
    "e1",
    "../../x",
    "/etc/passwd",
    "a\n\x1b[31mred",
    "\0",
    "é" * 100,
    "x" * 5000,
    "explore",
    "evaluate",
    "base",
    "reset",
    "before",
    "after_drop",
    "discarded",
    "jpeg",
    "compressedDepth",
    "1.0e999",
    *ENCODINGS,
)
NUMBERS = (math.nan, math.inf, -math.inf, 1e30, -1e30, 1e6, -1.0, -0.0, 0.0, 1e-30, 0.5, 1.0)
INTEGERS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}
LONGEST, LARGEST = 40, 40_000
"""Elements of a random sequence, and bytes of random data."""


def value_of(kind: str, rng: random.Random) -> Any:
    """A random value of a field by the name of its type, as messages tell it."""
    if match := re.fullmatch(r"sequence<(.+?)(, \d+)?>", kind):
        if match[1] in ("uint8", "octet"):
            return array("B", rng.randbytes(rng.choice((0, 1, 7, rng.randrange(LARGEST)))))
        return [value_of(match[1], rng) for _ in range(rng.choice((0, 1, 2, 3, 7, 8, rng.randrange(LONGEST))))]
    if match := re.fullmatch(r"(.+)\[(\d+)\]", kind):
        return [value_of(match[1], rng) for _ in range(int(match[2]))]
    if kind.startswith(("string", "wstring")):
        return rng.choice(
            (*TEXTS, "".join(chr(rng.choice((rng.randrange(0x20), rng.randrange(0xD800)))) for _ in range(9)))
        )
    if kind == "octet":
        return rng.randbytes(1)
    if kind == "boolean":
        return rng.random() < 0.5
    if kind in ("float", "double"):
        return rng.choice((*NUMBERS, rng.uniform(-4, 4)))
    if (bits := INTEGERS.get(kind.removeprefix("u"))) is not None:
        low, high = (0, 2**bits - 1) if kind.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        return rng.choice(
            (low, high, 0, 1, 3, 64, rng.randint(low, high)) if bits > 8 else (0, 1, rng.randint(low, high))
        )
    return random_message(_kind_of(kind), rng)


def _kind_of(name: str) -> Any:
    package, _, kind = name.partition("/")
    return getattr(importlib.import_module(f"{package}.msg"), kind)


def random_message(kind: Any, rng: random.Random) -> Any:
    """A message with random values in every field."""
    message = kind()
    for name, field in kind.get_fields_and_field_types().items():
        value = value_of(field, rng)
        if name == "nanosec":
            value %= 10**9  # as every publisher's library sees to
        setattr(message, name, value)
    return message


def spoiled(sound: Any, rng: random.Random) -> Any:
    """A copy of a sound message with one to three fields, of any depth, set to random values."""
    message = copy.deepcopy(sound)
    for _ in range(rng.randint(1, 3)):
        part = message
        while True:
            name, kind = rng.choice(list(part.get_fields_and_field_types().items()))
            value = getattr(part, name)
            if hasattr(value, "get_fields_and_field_types") and rng.random() < 0.8:
                part = value
                continue
            if name != "nanosec":
                setattr(part, name, value_of(kind, rng))
            break
    return message


@dataclass(frozen=True)
class Topic:
    """A topic, and what is sound on it, for the episode `episode_id`."""

    kind: Any
    qos: Any
    sound: Callable[[str], Any]


def _image(height: int, width: int) -> Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return numpy_to_image(pixels, "rgb8", to_stamp(10.0), "lens")


def _step(episode_id: str, index: int = 0) -> PolicyStep:
    image = np.random.default_rng(index).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    seen = Observation(image, np.array([0.5, 0.1, 0.2, 0.3]), 0.9, index, 10.0 + index)
    step = Step(seen, Action.move((0.5, -0.5, 0.1), 0.2), Action.close(), 0.75, 3, (0.1,) * 7)
    return step_to_message(step, episode_id=episode_id, variation="base", mode="explore", frame_id="base_link")


def _outcome(episode_id: str) -> GraspOutcome:
    context = {"episode_id": episode_id, "policy_version": 3, "variation": "base", "mode": 1, "steps": 1}
    return outcome_to_message(
        Outcome(True, 0.9, False, {"opening": 0.4}), to_stamp(20.0), end_reason="closed", **context
    )


def _states(_: str) -> JointState:
    names = [*PROFILE.joints, PROFILE.gripper.joint]
    message = JointState(name=names, position=[0.1] * len(names), velocity=[0.0] * len(names))
    message.header.stamp = to_stamp(10.0)
    return message


def _trajectory(_: str) -> JointTrajectory:
    points = [JointTrajectoryPoint(positions=[0.1] * len(PROFILE.joints)) for _ in range(2)]
    for index, point in enumerate(points):
        point.time_from_start.sec = index + 1
    return JointTrajectory(joint_names=list(PROFILE.joints), points=points)


def _phase(episode_id: str) -> EpisodePhase:
    message = EpisodePhase(episode_id=episode_id, phase=EpisodePhase.BEFORE, variation="base", mode=PolicyStep.EXPLORE)
    message.header.stamp = message.image_stamp = to_stamp(10.0)
    message.steps = 1
    return message


def _status(episode_id: str) -> PolicyStatus:
    return PolicyStatus(
        state=PolicyStatus.RUNNING, episode_id=episode_id, phase=2, variation="base", mode=PolicyStep.EXPLORE
    )


def _summary(episode_id: str) -> EpisodeSummary:
    return EpisodeSummary(
        episode_id=episode_id, variation="base", mode=PolicyStep.EXPLORE, steps=1, confidence=0.9, path="/x.mcap"
    )


def _health(_: str) -> DiagnosticArray:
    values = [KeyValue(key="state", value="running")]
    return DiagnosticArray(status=[DiagnosticStatus(name="policy", message="running", values=values)])


def _compressed(_: str) -> CompressedImage:
    return CompressedImage(format="jpeg", data=b"\xff\xd8\xff\xe0" + bytes(200))


TOPICS = {
    "image_raw": Topic(Image, SENSOR, lambda _: _image(PROFILE.camera.height, PROFILE.camera.width)),
    "image_raw/compressed": Topic(CompressedImage, SENSOR, _compressed),
    "camera_info": Topic(CameraInfo, SENSOR, lambda _: camera_info(CameraModel.from_config(PROFILE.camera), "lens")),
    "observation": Topic(Image, SENSOR, lambda _: _image(64, 64)),
    "joint_states": Topic(JointState, COMMAND, _states),
    "policy_step": Topic(PolicyStep, STEP, _step),
    "policy_status": Topic(PolicyStatus, LATCHED, _status),
    "episode_phase": Topic(EpisodePhase, EPISODE, _phase),
    "grasp_outcome": Topic(GraspOutcome, EPISODE, _outcome),
    "grasp_verdict": Topic(
        GraspVerdict, COMMAND, lambda name: GraspVerdict(episode_id=name, verdict=1, source="scale")
    ),
    "episode_summary": Topic(EpisodeSummary, EPISODE, _summary),
    "episode_lost": Topic(EpisodeLost, EPISODE, lambda name: EpisodeLost(episode_id=name, reason="x; y")),
    "model_update": Topic(ModelUpdate, LATCHED, lambda _: ModelUpdate(version=1, path="/x/v0001", sha256="ab" * 32)),
    "promotion": Topic(Promotion, LATCHED, lambda _: Promotion(state=Promotion.TRIAL, candidate=1, decision="trial")),
    "trainer_status": Topic(TrainerStatus, LATCHED, lambda _: TrainerStatus(state=3, updates=3, loss=0.5)),
    "diagnostics": Topic(DiagnosticArray, COMMAND, _health),
    "policy/overlay": Topic(Image, SENSOR, lambda _: _image(64, 64)),
    "policy/joy": Topic(Joy, SENSOR, lambda _: Joy(axes=[0.0] * 6, buttons=[0] * 10)),
    PROFILE.arm_topic: Topic(JointTrajectory, COMMAND, _trajectory),
    PROFILE.gripper_topic: Topic(Float64, COMMAND, lambda _: Float64(data=0.01)),
}


def hostile(topic: str, seed: int, episode_id: str = "e1") -> Any:
    """One hostile message of a topic: random as a whole, or a sound one that is spoiled."""
    rng = random.Random(f"{topic} {seed}")
    known = TOPICS[topic]
    return random_message(known.kind, rng) if rng.random() < 0.4 else spoiled(known.sound(episode_id), rng)


def damaged(topic: str, seed: int, episode_id: str = "e1") -> bytes:
    """The bytes of a sound message with some of them changed and perhaps cut off; to be published as they are."""
    rng = random.Random(f"{topic} {seed}")
    data = bytearray(serialize_message(TOPICS[topic].sound(episode_id)))
    for _ in range(3):
        data[rng.randrange(4, min(len(data), 300))] = rng.randrange(256)
    return bytes(data[: rng.choice((len(data), rng.randrange(4, len(data))))])


def stream(topic: str, seed: int = 0) -> Iterator[Any]:
    """Hostile messages of a topic, of ever new episodes and now and then of one that there is."""
    return (hostile(topic, number, f"e{number % 50}") for number in itertools.count(seed))
