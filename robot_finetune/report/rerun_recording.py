"""A logged grasp as a recording for Rerun: images, tool and commands in the cell, curves, and what is said of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from robot_finetune.data.step_arrays import to_png
from robot_finetune.perception.camera_model import CameraModel
from robot_finetune.perception.drawing import jaw
from robot_finetune.report.grasp_pictures import CLOSING, COMMANDED, HERE, decision
from robot_finetune.robot.action_space import ActionSpace
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.robot.workspace import box_edges
from robot_finetune.types import Episode, Step, tool_quaternion

if TYPE_CHECKING:
    from rerun import RecordingStream
    from rerun.blueprint import Blueprint

APPLICATION = "robot_finetune"
CAMERA, TOOL, TARGET, WORKSPACE = (f"base/{name}" for name in ("camera", "tool", "target", "workspace"))
IMAGE_AT = 0.3
"""Distance from the camera at which its image is shown [m]."""
_WORKSPACE_COLOUR = (255, 64, 64)


def rerun_recording(episode: Episode, profile: RobotProfile, lines: Sequence[str]) -> bytes:
    """A file for `rerun FILE.rrd`. lines: what is said of the grasp. Lengths in metres in the base frame; timelines:
    `step`, and `time` since the first image [s]."""
    import rerun as rr

    stream = rr.RecordingStream(APPLICATION, recording_id=episode.episode_id)
    memory = stream.memory_recording()
    stream.send_blueprint(_layout())
    stream.log("grasp", rr.TextDocument("\n".join(lines)), static=True)
    stream.log("base", rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
    edges = box_edges(profile.workspace.low, profile.workspace.high)
    stream.log(WORKSPACE, rr.LineStrips3D(edges, colors=[_WORKSPACE_COLOUR]), static=True)
    if episode.steps:
        _log_camera(stream, profile, episode.steps[0].observation.image.shape[0])
    for index, step in enumerate(episode.steps):
        stream.set_time("step", sequence=index)
        stream.set_time("time", duration=step.observation.stamp - episode.steps[0].observation.stamp)
        _log_step(stream, step, profile)
    stream.flush()
    return bytes(memory.drain_as_bytes())


def _log_camera(stream: RecordingStream, profile: RobotProfile, size: int) -> None:
    import rerun as rr

    camera = CameraModel.from_config(profile.camera).seen_by_policy(size)
    pinhole = rr.Pinhole(
        image_from_camera=camera.matrix,
        resolution=(size, size),
        camera_xyz=rr.ViewCoordinates.RDF,
        image_plane_distance=IMAGE_AT,
    )
    stream.log(CAMERA, rr.Transform3D(translation=camera.position, mat3x3=camera.rotation), pinhole, static=True)


def _log_step(stream: RecordingStream, step: Step, profile: RobotProfile) -> None:
    import rerun as rr

    seen, action = step.observation, step.commanded
    stream.log(f"{CAMERA}/image", rr.EncodedImage(contents=to_png(seen.image), media_type="image/png"))
    turn = rr.Quaternion(xyzw=tool_quaternion(seen.pose[3]))
    stream.log(TOOL, rr.Transform3D(translation=seen.pose[:3], quaternion=turn), rr.TransformAxes3D(0.03))
    target = ActionSpace(profile.workspace).target(seen.pose, action)
    colour = CLOSING if action.closes or action.terminates else COMMANDED
    lines = [jaw(seen.pose), jaw(target), np.stack([seen.pose[:3], target[:3]])]
    stream.log(TARGET, rr.LineStrips3D(lines, colors=[HERE, colour, colour]))
    stream.log("decision", rr.TextLog(decision(step)))
    for name, value in (("q", step.q), ("opening", seen.opening)):
        if np.isfinite(value):
            stream.log(f"curves/{name}", rr.Scalars(value))
    for number, position in enumerate(step.joint_positions, 1):
        stream.log(f"joints/joint_{number}", rr.Scalars(position))


def _layout() -> Blueprint:
    import rerun.blueprint as rrb

    seen = rrb.Spatial2DView(origin=CAMERA, contents="/base/**", name="what the policy saw")
    cell = rrb.Spatial3DView(origin="base", name="cell")
    said = rrb.Vertical(rrb.TextDocumentView(origin="grasp"), rrb.TextLogView(origin="decision"))
    curves = rrb.Vertical(rrb.TimeSeriesView(origin="curves"), rrb.TimeSeriesView(origin="joints"))
    return rrb.Blueprint(rrb.Vertical(rrb.Horizontal(seen, cell), rrb.Horizontal(said, curves)), collapse_panels=True)
