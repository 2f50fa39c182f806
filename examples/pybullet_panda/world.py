"""A Panda with its hand, a grey tray and a camera in PyBullet. No ROS: simulator.py gives it its topics."""

from __future__ import annotations

import itertools

import numpy as np
import pybullet
import pybullet_data
from pybullet_utils.bullet_client import BulletClient

from robot_finetune.robot.joint_trajectory import JointTrajectory
from robot_finetune.robot.kinematics import Kinematics
from robot_finetune.robot.profile import RobotProfile

STEP = 1 / 240  # s of physics
STIFFNESS = 0.6  # share of a joint's error that its motor makes up for in one step
FINGER_FORCE, FINGER_SPEED = 25.0, 0.15  # N, m/s
OBJECTS, SHAPES, SCALE = 5, 1000, 0.6  # in the tray; random_urdfs has so many, made for a wider hand
SPREAD = 0.09  # m, of the places where they are dropped around the tray's centre
HEIGHTS, FALL = 0.05, 1.0  # m between the objects when they are let go together, s until they lie
WALL, WALL_HEIGHT = 0.008, 0.05  # m
HELD_HEIGHT = 0.05  # m above the floor, of an object's lowest point
GREY, TABLE = (0.62, 0.62, 0.64, 1.0), (0.36, 0.28, 0.22, 1.0)
LIGHT = (0.6, -0.4, 1.5)  # where it comes from


class World:
    """One cell as `profile` describes it. Times in s, joints in rad, lengths in m, all in the arm's base frame."""

    def __init__(self, profile: RobotProfile, seed: int = 0, gui: bool = False) -> None:
        self._profile, self._rng = profile, np.random.default_rng(seed)
        self._bullet = bullet = BulletClient(pybullet.GUI if gui else pybullet.DIRECT)
        bullet.setAdditionalSearchPath(pybullet_data.getDataPath())
        bullet.setGravity(0, 0, -9.81)
        bullet.setTimeStep(STEP)
        self._robot = bullet.loadURDF("franka_panda/panda.urdf", useFixedBase=True)
        joints = {bullet.getJointInfo(self._robot, i)[1].decode(): i for i in range(bullet.getNumJoints(self._robot))}
        self._arm = [joints[name] for name in profile.joints]
        self._fingers = [joints["panda_finger_joint1"], joints["panda_finger_joint2"]]
        self._forces = [bullet.getJointInfo(self._robot, joint)[10] for joint in self._arm]
        self._objects: list[int] = []
        self._put_tray()
        for finger in self._fingers:
            bullet.changeDynamics(
                self._robot, finger, lateralFriction=1.2, spinningFriction=0.01, rollingFriction=0.001
            )
        self._couple_fingers()
        start = Kinematics(profile).inverse(np.array(profile.start_pose))
        for joint, value in zip(self._arm, start, strict=True):
            bullet.resetJointState(self._robot, joint, value)
        self.time = 0.0
        self._finger_goal = self._finger_target = profile.gripper.open_position
        for finger in self._fingers:
            bullet.resetJointState(self._robot, finger, self._finger_goal)
        self._start = start, np.zeros_like(start)
        self._sent, self._since = JointTrajectory(np.zeros(1), start[None]), 0.0
        camera = profile.camera
        self._view = bullet.computeViewMatrix(camera.position, camera.target, [0, 0, 1])
        opening = float(np.degrees(2 * np.arctan(camera.height / 2 / camera.focal)))
        self._projection = bullet.computeProjectionMatrixFOV(opening, camera.width / camera.height, 0.1, 4.0)
        self.refill()

    def refill(self) -> None:
        """Other objects, dropped into the tray. It takes no time of the world's clock."""
        bullet, (x, y), floor = self._bullet, self._profile.bin_center, self._profile.floor_z
        for body in self._objects:
            bullet.removeBody(body)
        self._objects = []
        for i, number in enumerate(self._rng.choice(SHAPES, OBJECTS, replace=False), 1):
            aside = self._rng.uniform(-SPREAD, SPREAD, 2)
            place = [x + aside[0], y + aside[1], floor + HEIGHTS * i]
            turn = bullet.getQuaternionFromEuler(self._rng.uniform(-np.pi, np.pi, 3).tolist())
            body = bullet.loadURDF(f"random_urdfs/{number:03d}/{number:03d}.urdf", place, turn, globalScaling=SCALE)
            bullet.changeDynamics(body, -1, lateralFriction=0.8, rollingFriction=0.0005, spinningFriction=0.002)
            self._objects.append(body)
        for _ in range(round(FALL / STEP)):
            bullet.stepSimulation()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(round(seconds / STEP)):
            self.time += STEP
            positions, speeds = self._reference()
            self._bullet.setJointMotorControlArray(
                self._robot,
                self._arm,
                pybullet.POSITION_CONTROL,
                targetPositions=positions.tolist(),
                targetVelocities=speeds.tolist(),
                positionGains=[STIFFNESS] * len(self._arm),
                forces=self._forces,
            )
            reach = FINGER_SPEED * STEP
            self._finger_target += float(np.clip(self._finger_goal - self._finger_target, -reach, reach))
            self._bullet.setJointMotorControlArray(
                self._robot,
                self._fingers,
                pybullet.POSITION_CONTROL,
                targetPositions=[self._finger_target] * 2,
                forces=[FINGER_FORCE] * 2,
            )
            self._bullet.stepSimulation()

    def send(self, trajectory: JointTrajectory) -> None:
        """Follow a trajectory from where the arm should be now; it takes the place of any other."""
        self._start, self._sent, self._since = self._reference(), trajectory, self.time

    def drive_fingers(self, position: float) -> None:
        """Drive each finger towards a position [m]."""
        self._finger_goal = float(np.clip(position, 0.0, self._profile.gripper.open_position))

    @property
    def busy(self) -> bool:
        """Whether the arm follows a trajectory or the fingers are on their way."""
        return self.time < self._since + self._sent.times[-1] or self._finger_target != self._finger_goal

    def joints(self) -> tuple[list[float], list[float]]:
        """Positions and velocities of the arm's joints, and of the first finger at the end."""
        states = self._bullet.getJointStates(self._robot, [*self._arm, self._fingers[0]])
        return [state[0] for state in states], [state[1] for state in states]

    def image(self) -> np.ndarray:
        """uint8 RGB (height, width, 3) of the camera."""
        camera = self._profile.camera
        pixels = self._bullet.getCameraImage(
            camera.width,
            camera.height,
            self._view,
            self._projection,
            lightDirection=LIGHT,
            renderer=pybullet.ER_TINY_RENDERER,
        )[2]
        return np.reshape(np.asarray(pixels, np.uint8), (camera.height, camera.width, 4))[..., :3].copy()

    def held(self) -> bool:
        """The truth: whether the hand carries an object, between both fingers or hanging from one."""
        for body in self._objects:
            lowest = self._bullet.getAABB(body)[0][2]
            if lowest > self._profile.floor_z + HELD_HEIGHT and self._bullet.getContactPoints(self._robot, body):
                return True
        return False

    def object_positions(self) -> np.ndarray:
        """The truth: (n, 3) centres of the objects."""
        return np.array([self._bullet.getBasePositionAndOrientation(body)[0] for body in self._objects])

    def close(self) -> None:
        self._bullet.disconnect()

    def _reference(self) -> tuple[np.ndarray, np.ndarray]:
        return self._sent.at(self.time - self._since, *self._start)

    def _couple_fingers(self) -> None:
        """One drive moves both, as in the hand; PyBullet leaves a URDF's <mimic> out."""
        gear = self._bullet.createConstraint(
            self._robot,
            self._fingers[0],
            self._robot,
            self._fingers[1],
            pybullet.JOINT_GEAR,
            [1, 0, 0],
            [0] * 3,
            [0] * 3,
        )
        self._bullet.changeConstraint(gear, gearRatio=-1, erp=0.2, maxForce=200)

    def _put_tray(self) -> None:
        (x, y), half, floor = self._profile.bin_center, self._profile.bin_half_width, self._profile.floor_z
        self._box((0.6, 0.6, 0.01), (x, y, floor - 0.02), TABLE)
        self._box((half, half, 0.005), (x, y, floor - 0.005), GREY)
        for axis, side in itertools.product((0, 1), (-1, 1)):
            size, place = [half + WALL, half + WALL, WALL_HEIGHT / 2], [x, y, floor + WALL_HEIGHT / 2]
            size[axis], place[axis] = WALL / 2, place[axis] + side * (half + WALL / 2)
            self._box(tuple(size), tuple(place), GREY)

    def _box(self, half: tuple[float, ...], place: tuple[float, ...], color: tuple[float, ...]) -> None:
        shape = self._bullet.createCollisionShape(pybullet.GEOM_BOX, halfExtents=half)
        look = self._bullet.createVisualShape(pybullet.GEOM_BOX, halfExtents=half, rgbaColor=color)
        self._bullet.createMultiBody(0, shape, look, place)
