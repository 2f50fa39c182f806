"""The steps of measuring a cell, on any `Robot`. Each asks before it moves and writes what it has measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from robot_finetune.cell_setup.console import Console
from robot_finetune.cell_setup.draft import Draft
from robot_finetune.cell_setup.framing import ENOUGH, SHARE, bin_share, suggest_crop
from robot_finetune.cell_setup.jogging import HELP, jog, pose_text
from robot_finetune.cell_setup.measurements import (
    START_HEIGHT,
    BadMeasurement,
    empty_opening,
    locate_camera,
    measure_bin,
    measure_images,
    tip_error,
)
from robot_finetune.data.atomic_file import atomic_file
from robot_finetune.perception.cell_drawing import draw_cell
from robot_finetune.robot.interfaces import Robot
from robot_finetune.robot.kinematics import Kinematics
from robot_finetune.robot.profile import RobotProfile
from robot_finetune.robot.reach import largest_yaw, out_of_reach

STILL_IMAGES = 20
CLOSURES = 3
LOWEST_TIP = 0.005  # m above the floor
NOISE_MARGIN = 5.0  # standard deviations
LEAST_DIFFERENCE = 10.0  # grey levels, the grasp detector's default
LARGEST_WANDER = 0.05
LARGEST_TIP_ERROR = 0.005  # m
NEEDED_FOR_REACH = ("home_joints", "start_pose", "workspace.low", "workspace.high")
CORNERS = ("near right", "far right", "far left", "near left")


@dataclass(frozen=True)
class Cell:
    """What the wizard works with.

    finger: position of the gripper's joint [m or rad]. image: the newest camera image, uint8 RGB. focal: of
    camera_info [px], 0 if unknown. show: draws the profile's workspace in RViz.
    """

    robot: Robot
    finger: Callable[[], float]
    image: Callable[[], np.ndarray]
    focal: Callable[[], float]
    show: Callable[[RobotProfile], None]


class Wizard:
    """Runs the steps in their order; `unfinished` says what is still wrong at the end."""

    def __init__(self, cell: Cell, draft: Draft, console: Console) -> None:
        self.cell, self.draft, self.console = cell, draft, console
        self.unfinished: list[str] = []
        self._rim: np.ndarray | None = None

    def run(self) -> None:
        """Raises RobotError if a device fails or the input ends; what was measured is written then."""
        self.console.say(HELP.capitalize() + ".")
        steps = (self._posture, self._tip, self._bin, self._reach, self._camera, self._out_of_view, self._gripper)
        for step in (*steps, self._dry_run):
            self._try(step)
        left = self.draft.profile.to_measure
        if left:
            self.unfinished.append(f"still to measure: {', '.join(left)}")

    def _try(self, step: Callable[[], None]) -> None:
        """Again, if the person wants, where values contradict each other."""
        while True:
            try:
                return step()
            except BadMeasurement as error:
                self.console.say(str(error))
                if not self.console.confirm("Measure this again?"):
                    self.unfinished.append(str(error))
                    return

    def _posture(self) -> None:
        """home_joints, from which the inverse kinematics stays near."""
        where = "the middle of the bin, 20 cm above its floor, fingers down, elbow and wrist as in a grasp"
        if jog(self.cell.robot.arm, self.console, where) is not None:
            self.draft.measured(home_joints=self.cell.robot.arm.joint_positions())

    def _tip(self) -> None:
        """tip_frame is where the finger tips meet: one point is touched at two yaws."""
        poses = []
        for where in ("a point that the closed finger tips just touch, such as a screw's head", "it again, yaw 60 on"):
            pose = jog(self.cell.robot.arm, self.console, where)
            if pose is None:
                return
            poses.append(pose)
        beside = tip_error(*poses)
        off = float(np.linalg.norm(beside))
        self.console.say(f"The finger tips are {off * 1000:.1f} mm beside {self.draft.profile.tip_frame}.")
        if off > LARGEST_TIP_ERROR:
            x, y = beside * 1000
            raise BadMeasurement(
                f"tip_frame is {off * 1000:.0f} mm off ({x:.0f} mm in x and {y:.0f} mm in y at yaw 0): correct it in "
                "the robot description, or touch the point again"
            )

    def _bin(self) -> None:
        """bin_center, its half widths, floor_z, workspace and start_pose, from five positions of the tip."""
        points = []
        for name in (
            *(f"the {corner} corner of the bin, seen from the arm, inside" for corner in CORNERS),
            "just above the bin's floor",
        ):
            pose = jog(self.cell.robot.arm, self.console, name)
            if pose is None:
                return
            points.append(pose)
        measured = measure_bin(np.array(points)[:4, :2], float(points[4][2]), LOWEST_TIP)
        self._rim = np.array([[*point[:2], measured.floor] for point in points[:4]])
        yaw = self.draft.profile.start_pose[3]
        self.draft.measured(
            bin_center=measured.center,
            bin_half_width=measured.half[0],
            bin_half_depth=None if measured.half[0] == measured.half[1] else measured.half[1],
            floor_z=measured.floor,
            workspace__low=measured.low,
            workspace__high=measured.high,
            start_pose=[*measured.center, measured.floor + START_HEIGHT, yaw],
        )
        self.cell.show(self.draft.profile)
        self.console.say(
            f"Bin: {200 * measured.half[0]:.1f} by {200 * measured.half[1]:.1f} cm. "
            "The workspace is on workspace_box for RViz."
        )

    def _reach(self) -> None:
        """Whether the arm can take every pose of the workspace, and max_yaw if it cannot."""
        profile = self.draft.profile
        if set(profile.to_measure) & set(NEEDED_FOR_REACH):
            return
        kinematics = Kinematics(profile)
        missed, tried = out_of_reach(profile, kinematics)
        if not missed:
            self.console.say(f"All of {tried} poses over the workspace can be taken.")
            return
        line = f"{len(missed)} of {tried} poses over the workspace cannot be taken, such as: {missed[0]}"
        self.console.say(line)
        yaw = largest_yaw(profile, kinematics)
        if yaw and self.console.confirm(f"Limit the yaw to {yaw:.1f} rad to either side (workspace.max_yaw)?"):
            self.draft.measured(workspace__max_yaw=yaw)
        else:
            self.unfinished.append(f"{line}: make the workspace smaller, or put the bin elsewhere")

    def _camera(self) -> None:
        """Size and focal length, the camera's place, noise; the picture with crop, bin and workspace drawn in."""
        image = self.cell.image()
        height, width = image.shape[:2]
        focal = self.cell.focal()
        self.draft.measured(
            camera__width=width, camera__height=height, **({"camera__focal": focal} if focal > 0 else {})
        )
        if self._rim is not None and self.console.confirm("Find the camera's place from the bin's corners?"):
            self._locate(image)
        self._frame()
        picture = self.draft.path.with_name(f"{self.draft.path.stem}_camera.png")
        _write_png(picture, draw_cell(image, self.draft.profile))
        self.console.say(f"Look at {picture}: yellow the crop, green the bin's floor, red the workspace.")
        if not self.console.confirm("Do the lines lie where they belong?"):
            raise BadMeasurement("the camera's calibration (camera.position, target, focal) or the bin is wrong")
        self._noise()

    def _frame(self) -> None:
        """The crop, where the bin is too small or too large in the square that the policy sees."""
        share = bin_share(self.draft.profile)
        if ENOUGH[0] <= share <= ENOUGH[1]:
            return
        crop = suggest_crop(self.draft.profile)
        self.console.say(f"The bin is {share:.0%} of the square that the policy sees; {SHARE:.0%} in its training.")
        if self.console.confirm(f"Crop to left {crop[0]}, top {crop[1]}, side {crop[2]} (camera.crop)?"):
            self.draft.measured(camera__crop=list(crop))

    def _locate(self, image: np.ndarray) -> None:
        assert self._rim is not None
        plain = self.draft.path.with_name(f"{self.draft.path.stem}_plain.png")
        _write_png(plain, image)
        pixels = []
        for corner in CORNERS:
            words = self.console.ask(f"{plain}: column and row of the {corner} corner at the floor").split()
            try:
                column, row = map(float, words)
            except ValueError:
                raise BadMeasurement(f"{' '.join(words)!r}: expected two numbers, such as 312 207") from None
            pixels.append((column, row))
        size = image.shape[1], image.shape[0]
        place = locate_camera(self._rim, np.array(pixels), self.draft.profile.camera.focal, size)
        self.draft.measured(camera__position=place[0], camera__target=place[1])

    def _noise(self) -> None:
        """Thresholds of the grasp detector, from images in which nothing moves."""
        measured = measure_images([self.cell.image() for _ in range(STILL_IMAGES)])
        self.console.say(f"Brightness {measured.brightness:.0f} of 255, noise {measured.noise:.1f} grey levels.")
        if measured.wander > LARGEST_WANDER:
            self.unfinished.append(
                f"the brightness wandered by {measured.wander:.0%} while nothing moved: switch automatic exposure and "
                "white balance off, keep daylight out"
            )
        difference = max(LEAST_DIFFERENCE, round(NOISE_MARGIN * measured.noise, 1))
        parameters = self.draft.path.with_name(f"{self.draft.path.stem}_params.yaml")
        text = (
            f"# From the noise of this cell's images; give it as params_file:={parameters.name}\n"
            "/**/grasp_detector:\n  ros__parameters:\n    detector:\n      scene_change:\n"
            f"        min_difference: {difference}\n"
        )
        with atomic_file(parameters) as stream:
            stream.write(text.encode())

    def _out_of_view(self) -> None:
        if jog(self.cell.robot.arm, self.console, "where the arm hides nothing of the bin from the camera") is not None:
            self.draft.measured(out_of_view_joints=self.cell.robot.arm.joint_positions())

    def _gripper(self) -> None:
        """Positions of the finger joint when open, closed on nothing, and closed on the thinnest object."""
        if not self.console.confirm("The fingers open and close now, three times. Is there nothing between them?"):
            return
        gripper, config = self.cell.robot.gripper, self.draft.profile.gripper
        opened, closed = [], []
        for _ in range(CLOSURES):
            gripper.command(1.0)
            opened.append(self.cell.finger())
            gripper.command(0.0)
            closed.append(self.cell.finger())
            self.console.say(f"{config.joint} is at {opened[-1]:.4f} opened, {closed[-1]:.4f} closed.")
        stroke = float(np.median(opened) - np.median(closed))
        if abs(stroke) < 1e-4:
            raise BadMeasurement(f"the joint {config.joint} hardly moves: correct gripper.joint, type and action")
        end = float(np.median(closed))
        openings = [abs((position - end) / stroke) for position in closed]
        thinnest = None
        gripper.command(1.0)
        if self.console.confirm("Put the thinnest object that is to be grasped between the fingers. Close on it?"):
            gripper.command(0.0)
            thinnest = float((self.cell.finger() - end) / stroke)
            gripper.command(1.0)
        self.draft.measured(
            gripper__open_command=config.command(1.0),
            gripper__closed_command=config.command(0.0),
            gripper__open_position=float(np.median(opened)),
            gripper__closed_position=end,
            gripper__empty_opening=empty_opening(openings, thinnest),
        )

    def _dry_run(self) -> None:
        """Ten slow motions inside the workspace."""
        profile = self.draft.profile
        for number, pose in enumerate(dry_run_poses(profile), 1):
            if not self.console.confirm(f"Motion {number} of 10, slowly, to {pose_text(pose)}. Go?"):
                self.unfinished.append("the dry run was not done: start setup again before the first session")
                return
            result = self.cell.robot.arm.move(pose)
            off = float(np.linalg.norm(result.pose[:3] - pose[:3]))
            if not result.reached:
                raise BadMeasurement(f"motion {number} was not reached: {result.reason}, {off * 1000:.0f} mm away")
            self.console.say(f"reached, {off * 1000:.1f} mm off")


def dry_run_poses(profile: RobotProfile) -> list[np.ndarray]:
    """Ten poses (4,) [m, rad] inside the workspace: around its top, turned, half down, and back to the start."""
    low, high = np.array(profile.workspace.low), np.array(profile.workspace.high)
    start = np.array(profile.start_pose)
    margin = 0.15 * (high - low)
    left, right = low + margin, high - margin
    height, yaw = start[2], start[3]
    turn = 0.5 * profile.workspace.max_yaw
    around = [(left[0], left[1]), (right[0], left[1]), (right[0], right[1]), (left[0], right[1])]
    middle = (low[2] + height) / 2
    return [
        start,
        *(np.array([x, y, height, yaw]) for x, y in around),
        start + [0, 0, 0, turn],
        start - [0, 0, 0, turn],
        start,
        np.array([start[0], start[1], middle, yaw]),
        start,
    ]


def _write_png(path: Path, image: np.ndarray) -> None:
    if not cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR)):
        raise OSError(f"{path}: cannot be written; choose another --out")
