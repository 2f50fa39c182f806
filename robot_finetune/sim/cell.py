"""The simulated cell: arm, gripper, bin, objects and camera in MuJoCo, commanded as ros2_control commands an arm.

Nothing here knows what a grasp is. `held`, `objects` and `object_positions` are the truth: for tests, measurements and
the scripted policy, never for a learning policy or a trainer.
"""

from __future__ import annotations

import mujoco
import numpy as np

from robot_finetune.config import ConfigError
from robot_finetune.robot.joint_trajectory import JointTrajectory
from robot_finetune.robot.kinematics import Kinematics, Unreachable
from robot_finetune.robot.profile import CameraConfig, RobotProfile
from robot_finetune.sim import object_slots, scene
from robot_finetune.sim.appearance import VISUAL_GROUP
from robot_finetune.sim.imaging import photograph
from robot_finetune.sim.objects import PlacedObject, random_scene
from robot_finetune.sim.robot_model import ARM_DAMPING_RATIO, robot_model
from robot_finetune.sim.variations import Variation

CHUNK = 0.02  # s between new set-points
FINGER_SPEED = 0.2  # m/s
PATH_TOLERANCE = 0.03  # rad; an arm that falls behind its set-points by more is stopped, as ros2_control does
SETTLE, LONGEST_SETTLE = 0.1, 1.5  # s in which newly placed objects come to rest: at least, at most
AT_REST = 0.03  # m/s or rad/s
SEEN = 8  # grey levels by which a pixel differs that shows an object
HELD_HEIGHT = 0.05  # m above the bin's floor
NOT_DRAWN = (mujoco.mjtRndFlag.mjRND_REFLECTION, mujoco.mjtRndFlag.mjRND_SKYBOX, mujoco.mjtRndFlag.mjRND_HAZE)


class Cell:
    """One simulated robot cell. Times in s, joints in rad, lengths in m, all in the arm's base frame.

    notes: what of the robot is simulated by something else, a sentence each. A cell belongs to one thread; the
    rendering context too.
    """

    def __init__(self, profile: RobotProfile, variation: Variation = Variation(), seed: int = 0) -> None:
        """Raises ConfigError for a robot for which no cell can be built."""
        self.profile = profile
        self.start_joints = _start_joints(profile)
        self._robot = robot_model(profile)
        self.notes = self._robot.urdf.notes
        self._renderers: dict[tuple[int, int], mujoco.Renderer] = {}
        self._time = self._finger_target = 0.0
        self._seed, self._family = seed, "training"
        self._build(variation, profile.camera)
        self.reset(seed, at_start=True)

    def reset(self, seed: int, family: str = "training", at_start: bool = False) -> None:
        """New objects, settled, from `seed` and `family` (training or held_out).

        Arm, fingers and time stay as they are, unless `at_start` puts the arm at the start pose, open and at rest; then
        all that follows depends on the seed alone.
        """
        self._seed, self._family = seed, family
        if at_start:
            self._home()
        wanted = self.variation.scene.objects
        number = sum(family.encode())
        rng, self._image_rng = np.random.default_rng([seed, number]), np.random.default_rng([seed, number, 1])
        profile = self.profile
        self._objects = random_scene(rng, family, wanted, profile.bin_center, profile.bin_half, profile.floor_z)
        object_slots.place_objects(self._model, self._data, self._objects, wanted.alpha)
        kept = self._data.qpos[self._robot_qpos].copy(), self._data.qvel[self._robot_dofs].copy()
        act, time = self._data.act.copy(), self._data.time
        self._data.ctrl[:] = 0.0
        for _ in range(round(LONGEST_SETTLE / SETTLE)):
            mujoco.mj_step(self._model, self._data, round(SETTLE / scene.TIMESTEP))
            if np.abs(self._data.qvel[self._robot_dofs.stop :]).max() < AT_REST:
                break
        self._data.qpos[self._robot_qpos], self._data.qvel[self._robot_dofs] = kept
        self._data.act[:], self._data.time = act, time
        mujoco.mj_forward(self._model, self._data)

    @property
    def variation(self) -> Variation:
        return self._variation

    def set_variation(self, variation: Variation, camera: CameraConfig | None = None) -> None:
        """Change the cell to `variation`; arm, fingers and time stay, the bin is filled again from the last seed.

        camera: calibrated elsewhere than in the profile, with images as large."""
        camera = camera or self.profile.camera
        if (variation, camera) == (self._variation, self._camera):
            return
        qpos, act = self._data.qpos[self._robot_qpos].copy(), self._data.act.copy()
        finger_target = self._finger_target
        self._time += self._data.time
        self._build(variation, camera)
        self._data.qpos[self._robot_qpos], self._data.act[:] = qpos, act
        self._finger_target = finger_target
        self._hold(self.joint_positions)
        self.reset(self._seed, self._family)

    def mimic(self, other: Cell) -> None:
        """Stand and lie as everything does in `other`, a cell of the same robot and objects that looks otherwise: for a
        picture. Only `reset` makes it a cell of its own again."""
        self._data.qpos[:] = other._data.qpos
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)

    def advance(self, seconds: float) -> None:
        """Let `seconds` of the cell's time pass; below a physics step (4 ms) they are saved up."""
        self._wanted += seconds
        while (steps := round((self._wanted - self._data.time) / scene.TIMESTEP)) > 0:
            steps = min(steps, round(CHUNK / scene.TIMESTEP))
            self._set_points(steps * scene.TIMESTEP)
            mujoco.mj_step(self._model, self._data, steps)
            self._check_path()

    def send(self, trajectory: JointTrajectory) -> None:
        """Follow `trajectory` from the present set-point on; replaces any other."""
        self._start = self._reference(self._data.time)
        self._sent, self._since = trajectory, self._data.time

    def command_gripper(self, opening: float) -> None:
        """Drive the fingers towards `opening` (0 closed, 1 open)."""
        config = self.profile.gripper
        share = min(max(opening, 0.0), 1.0)
        position = config.closed_position + share * (config.open_position - config.closed_position)
        self._finger_target = (position - self._robot.urdf.zero) * self._robot.urdf.scale

    @property
    def time(self) -> float:
        """Time since the cell was made [s]."""
        return self._time + self._data.time

    @property
    def joint_positions(self) -> np.ndarray:
        """(n,) measured arm joints [rad]."""
        return self._data.qpos[self._arm_qpos].copy()

    @property
    def joint_velocities(self) -> np.ndarray:
        """(n,) measured arm joint velocities [rad/s]."""
        return self._data.qvel[self._arm_dofs].copy()

    @property
    def finger_position(self) -> float:
        """Position of the profile's gripper.joint [m or rad]."""
        return float(self._data.qpos[self._finger_qpos]) / self._robot.urdf.scale + self._robot.urdf.zero

    @property
    def busy(self) -> bool:
        """Whether the arm follows a trajectory or the fingers move."""
        speed = abs(self._data.qvel[self._finger_dof]) * self._robot.lever
        fingers = speed > 1e-3 or self._data.act[-1] != self._finger_target
        return bool(self._data.time < self._since + self._sent.times[-1] or fingers)

    def render(self, width: int | None = None, height: int | None = None) -> np.ndarray:
        """uint8 RGB (height, width, 3) of the camera, in the profile's size unless given; the opening angle stays."""
        return photograph(self._draw(width, height), self.variation.scene.image, self._image_rng)

    def in_view(self) -> float:
        """The part of the camera's image that the objects take: 0 where none is seen."""
        scene, state = self._draw().astype(int), self._data.qpos.copy()
        heights = self._model.jnt_qposadr[self._model.body_jntadr[self._slots]] + 2
        self._data.qpos[heights] -= 10.0
        mujoco.mj_forward(self._model, self._data)
        empty = self._draw().astype(int)
        self._data.qpos[:] = state
        mujoco.mj_forward(self._model, self._data)
        return float((np.abs(scene - empty).max(axis=2) > SEEN).mean())

    def close(self) -> None:
        """Give the rendering contexts back."""
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers.clear()

    def held(self) -> bool:
        """Truth: whether one object or several are off the bin's floor and clamped between both fingers."""
        lifted = set(self._slots[self._data.xpos[self._slots, 2] > self.profile.floor_z + HELD_HEIGHT].tolist())
        pairs = self._model.geom_bodyid[self._data.contact.geom].tolist()
        touching = {a for pair in pairs for a, b in (pair, pair[::-1]) if b in lifted}
        return all(touching & finger for finger in self._fingers)

    def object_positions(self) -> np.ndarray:
        """Truth: (count, 3) centres of the objects [m]."""
        return self._data.xpos[self._slots].copy()

    def objects(self) -> list[PlacedObject]:
        """Truth: the objects where they are now."""
        places = zip(self._objects, self._slots, strict=True)
        return [PlacedObject(o.shape, self._data.xpos[b].copy(), self._data.xquat[b].copy()) for o, b in places]

    def _draw(self, width: int | None = None, height: int | None = None) -> np.ndarray:
        """As `render`, by a perfect camera."""
        size = (width or self.profile.camera.width, height or self.profile.camera.height)
        renderer = self._renderers.get(size)
        if renderer is None:
            renderer = self._renderers[size] = mujoco.Renderer(
                self._model, size[1], size[0], max_geom=200 + self._model.ngeom
            )
            for flag in NOT_DRAWN:
                renderer.scene.flags[flag] = 0
            renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = self.variation.scene.light.shadows
        renderer.update_scene(self._data, "camera", self._view)
        return np.asarray(renderer.render())

    def _build(self, variation: Variation, camera: CameraConfig) -> None:
        self.close()
        self._variation, self._camera = variation, camera
        profile, model = self.profile, scene.build_model(self.profile, variation, camera)
        self._model, self._data = model, mujoco.MjData(model)
        self._arm_qpos = np.array([model.joint(name).qposadr[0] for name in profile.joints])
        self._arm_dofs = np.array([model.joint(name).dofadr[0] for name in profile.joints])
        finger = model.joint(self._robot.urdf.gripper_joint)
        self._finger_qpos, self._finger_dof = int(finger.qposadr[0]), int(finger.dofadr[0])
        slots = range(variation.scene.objects.count)
        self._slots = np.array([model.body(f"object_{i}").id for i in slots])
        self._fingers = [{model.body(name).id for name in links} for links in self._robot.sides]
        first = model.joint("object_0")
        self._robot_qpos, self._robot_dofs = slice(0, first.qposadr[0]), slice(0, first.dofadr[0])
        self._view = mujoco.MjvOption()
        self._view.geomgroup[:] = 0
        self._view.geomgroup[VISUAL_GROUP] = 1
        self._home()

    def _home(self) -> None:
        """The arm at its start pose and the gripper open, at rest."""
        self._time += self._data.time
        mujoco.mj_resetData(self._model, self._data)
        self._data.qpos[self._arm_qpos] = self.start_joints
        self.command_gripper(1.0)
        for name, (offset, factor) in self._robot.coupled.items():
            self._data.joint(name).qpos[0] = offset + factor * self._finger_target
        self._data.act[:] = [*self.start_joints, self._finger_target]
        self._wanted = 0.0
        self._hold(self.start_joints)

    def _hold(self, positions: np.ndarray) -> None:
        self._start = positions.copy(), np.zeros_like(positions)
        self._sent, self._since = JointTrajectory(np.zeros(1), positions[None].copy()), self._data.time

    def _reference(self, time: float) -> tuple[np.ndarray, np.ndarray]:
        """Where the arm's joints should be at `time`, and how fast."""
        return self._sent.at(time - self._since, *self._start)

    def _set_points(self, duration: float) -> None:
        """Rates that bring the servos' set-points evenly to where they should be after `duration`."""
        positions, speeds = self._reference(self._data.time + duration)
        goal = positions + ARM_DAMPING_RATIO * speeds  # the servo's damping is made up for
        self._data.ctrl[:-1] = (goal - self._data.act[:-1]) / duration
        reach = FINGER_SPEED / self._robot.lever * duration
        self._data.ctrl[-1] = min(max(self._finger_target - self._data.act[-1], -reach), reach) / duration

    def _check_path(self) -> None:
        behind = self._data.qpos[self._arm_qpos] - self._reference(self._data.time)[0]
        if np.abs(behind).max() > PATH_TOLERANCE:
            self._hold(self.joint_positions)


def _start_joints(profile: RobotProfile) -> np.ndarray:
    """(n,) joint positions [rad] at the profile's start pose. Raises ConfigError."""
    try:
        return Kinematics(profile).inverse(np.array(profile.start_pose))
    except Unreachable as error:
        raise ConfigError(
            f"{profile.name}: start_pose: {error}; correct start_pose, tool_orientation or home_joints"
        ) from error
