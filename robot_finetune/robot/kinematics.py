"""Kinematics of the arm in the URDF, by MuJoCo's own Jacobians: forward, inverse, straight lines and joint moves.

Poses are `(x, y, z, yaw)` of the tip in the base frame with the tool pointing straight down: the tip is turned by yaw
about the base's z axis from the profile's `tool_orientation`.
"""

from __future__ import annotations

import functools
from contextlib import suppress
from xml.etree import ElementTree

import mujoco
import numpy as np

from robot_finetune.config import ConfigError
from robot_finetune.robot.description import load_urdf
from robot_finetune.robot.interfaces import RobotError
from robot_finetune.robot.joint_limits import urdf_limits
from robot_finetune.robot.joint_trajectory import JointTrajectory, smooth
from robot_finetune.robot.profile import RobotProfile

POSITION_TOLERANCE = 5e-5  # m
ROTATION_TOLERANCE = 5e-4  # rad
DAMPING = 1e-6  # of J J^T; keeps steps finite near singularities
POSTURE_GAIN = 0.2  # share of the way to the home posture that the null space goes in one iteration
LARGEST_STEP = 0.4  # rad, of one iteration
RESTARTS, AROUND = 8, 0.8  # postures from which a solution is looked for, and their spread [rad]
STRAIGHT = 0.005  # m by which the tip may leave its line
LIMIT_MARGIN = 1e-6  # rad within which a joint is at its limit
YAW_LENGTH = 0.2  # m of path that one radian of yaw counts as
WAY_POINT_SPACING = 0.04  # m of path between solved way points; between them the joints follow a polynomial
SAMPLE_PERIOD = 0.02  # s between the points of a trajectory
JOINT_RAMP = 0.2  # s in which a joint may reach its largest speed


class Unreachable(ValueError):
    """No joint positions within the limits bring the tip to the pose."""


def time_law(speed: float, acceleration: float) -> tuple[np.ndarray, np.ndarray]:
    """Times [s] and path fractions up to 1 with smooth ramps; speed and acceleration: path fractions a second."""
    speed = min(speed, float(np.sqrt(acceleration)))
    ramp = speed / acceleration
    duration = 1.0 / speed + ramp
    times = np.linspace(0.0, duration, max(2, int(np.ceil(duration / SAMPLE_PERIOD)) + 1))[1:]

    def ramp_up(t: np.ndarray) -> np.ndarray:
        u = np.clip(t / ramp, 0.0, 1.0)
        return speed * (ramp * (u**3 - u**4 / 2) + np.maximum(t - ramp, 0.0))

    s = np.where(times < duration / 2, ramp_up(times), 1.0 - ramp_up(duration - times))
    return times, s


class Kinematics:
    """Forward and inverse kinematics of `profile.joints` from `profile.base_frame` to `profile.tip_frame`.

    low, high: (n,) joint limits [rad]. velocity_limits: (n,) [rad/s], already scaled by the profile.
    Not safe for use from several threads at once: give each its own.
    """

    def __init__(self, profile: RobotProfile) -> None:
        self._profile = profile
        urdf = load_urdf(profile)
        self._model = mujoco.MjModel.from_xml_string(_without_shapes(urdf))
        self._data = mujoco.MjData(self._model)
        joints = [self._joint(name, profile) for name in profile.joints]
        self._tip = self._body(profile.tip_frame, profile)
        self._qpos = self._model.jnt_qposadr[joints]
        self._dofs = self._model.jnt_dofadr[joints]
        limited = self._model.jnt_limited[joints].astype(bool)
        self.low = np.where(limited, self._model.jnt_range[joints, 0], -np.inf)
        self.high = np.where(limited, self._model.jnt_range[joints, 1], np.inf)
        self._motion = profile.motion
        self._tool = fixed_axes(profile.tool_orientation)
        self.velocity_limits = _velocity_limits(urdf, profile) * profile.motion.velocity_scaling
        self.home = np.array(profile.home_joints)
        mujoco.mj_kinematics(self._model, self._data)
        base = self._body(profile.base_frame, profile)
        self._base_position = self._data.xpos[base].copy()
        self._base_rotation = self._data.xmat[base].reshape(3, 3).copy()
        self._jacobian = np.zeros((6, self._model.nv))

    def rotation(self, yaw: float) -> np.ndarray:
        """(3, 3) rotation of the tip in the base frame at `yaw` [rad]."""
        c, s = np.cos(yaw), np.sin(yaw)
        return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]) @ self._tool

    def forward(self, q: np.ndarray) -> np.ndarray:
        """(4,) tip pose at joint positions `q` [rad]."""
        self._data.qpos[self._qpos] = q
        mujoco.mj_kinematics(self._model, self._data)
        position = self._base_rotation.T @ (self._data.xpos[self._tip] - self._base_position)
        axis = self._base_rotation.T @ self._data.xmat[self._tip].reshape(3, 3) @ self._tool[0]
        return np.array([*position, np.arctan2(axis[1], axis[0])])

    def from_tip(self, link: str) -> tuple[np.ndarray, np.ndarray]:
        """Position (3,) and rotation (3, 3) of a `link` in the tip's frame.

        Raises ConfigError if there is no such link, or if joints move it against the tip.
        """
        body, found = self._body(link, self._profile), []
        for q in (self.home, self.home + 0.3):
            self._data.qpos[self._qpos] = q
            mujoco.mj_kinematics(self._model, self._data)
            tip = self._data.xmat[self._tip].reshape(3, 3).T
            position = tip @ (self._data.xpos[body] - self._data.xpos[self._tip])
            found.append((position, tip @ self._data.xmat[body].reshape(3, 3)))
        if any(np.abs(a - b).max() > 1e-9 for a, b in zip(*found, strict=True)):
            raise ConfigError(
                f"{link!r} is not fixed to {self._profile.tip_frame!r}; correct the frames in the profile"
            )
        return found[0]

    def inverse(self, pose: np.ndarray, seed_q: np.ndarray | None = None) -> np.ndarray:
        """(n,) joint positions [rad] within the limits that put the tip at `pose`, found from `seed_q` (home if None).

        Damped least squares; redundant joints are drawn towards the home posture. Where that comes to no end, it begins
        anew from postures around. Raises Unreachable.
        """
        first = np.array(self.home if seed_q is None else seed_q, dtype=float)
        try:
            return self._solve(pose, first, 40)
        except Unreachable as error:
            around = np.random.default_rng(0).normal(0.0, AROUND, (RESTARTS, len(first)))
            for seed in (self.home, *(first + around)):
                with suppress(Unreachable):
                    return self._solve(pose, np.minimum(np.maximum(seed, self.low), self.high), 40)
            raise error

    def line(self, q: np.ndarray, pose: np.ndarray) -> JointTrajectory:
        """A straight line of the tip from joint positions `q` to `pose` at the profile's tip speed.

        Slower where a joint's velocity limit asks for it. Raises Unreachable if any part of the line is out of reach.
        """
        start = self.forward(q)
        turn = (pose[3] - start[3] + np.pi) % (2 * np.pi) - np.pi
        step = np.array([*(np.asarray(pose[:3]) - start[:3]), turn])
        length = max(float(np.linalg.norm(step[:3])), abs(turn) * YAW_LENGTH, 1e-6)
        nodes = _nodes(int(np.clip(np.ceil(length / WAY_POINT_SPACING), 2, 9)))
        points = np.empty((len(nodes), len(self.home)))
        points[0] = q
        for i, s in enumerate(nodes[1:], 1):
            seed = (
                points[i - 1]
                if i == 1
                else points[i - 1]
                + (points[i - 1] - points[i - 2]) * ((s - nodes[i - 1]) / (nodes[i - 1] - nodes[i - 2]))
            )
            points[i] = self._solve(start + s * step, seed, 20)
        self._check_straight(start, step, nodes, points)
        speed, acceleration = self._motion.tip_speed / length, self._motion.tip_acceleration / length
        for _ in range(2):  # the second pass only where a joint would be too fast
            times, s = self._timed(speed, acceleration)
            positions = np.clip(_interpolation(nodes, s) @ points, self.low, self.high)
            made = smooth(q, times, positions)
            excess = self._excess(q, made)
            if excess <= 1.0:
                return made
            speed, acceleration = speed / excess, acceleration / excess**2
        return made.slower(excess)  # samples elsewhere can be a little too fast

    def _check_straight(self, start: np.ndarray, step: np.ndarray, nodes: np.ndarray, points: np.ndarray) -> None:
        """Raises Unreachable where the arm would have to turn over between two of the solved points of a line."""
        between = (nodes[1:] + nodes[:-1]) / 2
        for s, q in zip(between, _interpolation(nodes, between) @ points, strict=True):
            if np.linalg.norm(self.forward(q)[:3] - (start + s * step)[:3]) > STRAIGHT:
                raise Unreachable(
                    f"no straight way to {np.round(start + step, 3).tolist()} (x, y, z, yaw) for the joints"
                )

    def joint_line(self, q: np.ndarray, q_goal: np.ndarray) -> JointTrajectory:
        """All joints move together from `q` to `q_goal` [rad], within their limits and the tip as fast as on a line."""
        q = np.asarray(q, float)
        q_goal = q + self._towards(q, np.asarray(q_goal, float))
        if np.any(q_goal < self.low - 1e-9) or np.any(q_goal > self.high + 1e-9):
            raise Unreachable(f"joint positions {np.round(q_goal, 3).tolist()} are outside the joint limits")
        tips = np.array([self.forward(q + s * (q_goal - q))[:3] for s in np.linspace(0.0, 1.0, 9)])
        length = max(8 * float(np.linalg.norm(np.diff(tips, axis=0), axis=1).max()), 1e-6)
        largest = max(float(np.max(np.abs(q_goal - q) / self.velocity_limits)), 1e-6)
        speed = min(self._motion.tip_speed / length, 1.0 / largest)
        acceleration = min(self._motion.tip_acceleration / length, 1.0 / largest / JOINT_RAMP)
        times, s = self._timed(speed, acceleration)
        made = smooth(q, times, q + s[:, None] * (q_goal - q))
        return made.slower(max(1.0, self._excess(q, made)))

    def _timed(self, speed: float, acceleration: float) -> tuple[np.ndarray, np.ndarray]:
        """As `time_law`. Raises RobotError for a motion that takes longer than the profile allows."""
        if not 1 / speed < self._motion.longest:
            limit = f"motion.longest allows {self._motion.longest:g} s; raise it or the speed"
            raise RobotError(f"a motion of {1 / speed:.0f} s: {limit}")
        return time_law(speed, acceleration)

    def _solve(self, pose: np.ndarray, q: np.ndarray, iterations: int) -> np.ndarray:
        model, data, tip, jacobian = self._model, self._data, self._tip, self._jacobian
        position = self._base_position + self._base_rotation @ np.asarray(pose[:3], float)
        goal = np.empty(4)
        mujoco.mju_mat2Quat(goal, (self._base_rotation @ self.rotation(float(pose[3]))).ravel())
        error, turn = np.empty(6), np.empty(3)
        for _ in range(iterations):
            data.qpos[self._qpos] = q
            mujoco.mj_kinematics(model, data)
            error[:3] = position - data.xpos[tip]
            mujoco.mju_subQuat(turn, goal, data.xquat[tip])
            error[3:] = data.xmat[tip].reshape(3, 3) @ turn
            if error[:3] @ error[:3] < POSITION_TOLERANCE**2 and error[3:] @ error[3:] < ROTATION_TOLERANCE**2:
                return q
            mujoco.mj_comPos(model, data)
            mujoco.mj_jacBody(model, data, jacobian[:3], jacobian[3:], tip)
            q = np.minimum(np.maximum(q + self._step(q, jacobian[:, self._dofs], error), self.low), self.high)
        raise Unreachable(f"the tip cannot reach {np.round(pose, 3).tolist()} (x, y, z, yaw){self._at_limits(q)}")

    def _step(self, q: np.ndarray, jacobian: np.ndarray, error: np.ndarray) -> np.ndarray:
        """(n,) change of `q` that takes `error` (6,) away, by damped least squares, towards home where joints are free.

        Joints that would pass a limit go to it, and the others make up for them (saturation in the null space, Flacco
        et al. 2012)."""
        posture = POSTURE_GAIN * self._towards(q, self.home)
        step = _least_squares(jacobian, error, posture)
        free = np.ones(len(q), bool)
        while True:
            largest = float(np.abs(step).max())
            if largest > LARGEST_STEP:
                step *= LARGEST_STEP / largest
            limited = np.minimum(np.maximum(q + step, self.low), self.high) - q
            over = free & (np.abs(limited - step) > LIMIT_MARGIN)
            if not over.any():
                return step
            step[over], free[over] = limited[over], False
            if free.any():
                left = error - jacobian[:, ~free] @ step[~free]
                step[free] = _least_squares(jacobian[:, free], left, posture[free])

    def _at_limits(self, q: np.ndarray) -> str:
        """Which joints are at an end of their range, as the end of a sentence."""
        ends = (q - self.low < LIMIT_MARGIN) | (self.high - q < LIMIT_MARGIN)
        names = [name for name, end in zip(self._profile.joints, ends, strict=True) if end]
        return f": {', '.join(names)} at the limit" if names else " within the joint limits"

    def _towards(self, q: np.ndarray, goal: np.ndarray) -> np.ndarray:
        """What is to be added to `q` [rad] to be at `goal`: a joint without an end turns the short way."""
        turn = goal - q
        return np.where(np.isinf(self.high), np.remainder(turn + np.pi, 2 * np.pi) - np.pi, turn)

    def _excess(self, q: np.ndarray, trajectory: JointTrajectory) -> float:
        """Largest joint speed of a trajectory from rest at `q` as a multiple of its limit."""
        return float((trajectory.speeds(q) / self.velocity_limits).max())

    def _joint(self, name: str, profile: RobotProfile) -> int:
        joint = mujoco.mj_name2id(self._model, mujoco.mjtObj.mjOBJ_JOINT, name)
        if joint < 0:
            raise ConfigError(f"{profile.urdf}: no joint {name!r}; correct `joints` in the profile of {profile.name}")
        return int(joint)

    def _body(self, name: str, profile: RobotProfile) -> int:
        body = mujoco.mj_name2id(self._model, mujoco.mjtObj.mjOBJ_BODY, name)
        if body < 0:
            raise ConfigError(f"{profile.urdf}: no link {name!r}; correct the frames in the profile of {profile.name}")
        return int(body)


def fixed_axes(roll_pitch_yaw: tuple[float, float, float]) -> np.ndarray:
    """(3, 3) rotation of angles [rad] about fixed axes; right angles are exact."""
    quaternion, matrix = np.empty(4), np.empty(9)
    mujoco.mju_euler2Quat(quaternion, np.array(roll_pitch_yaw), "XYZ")
    mujoco.mju_quat2Mat(matrix, quaternion)
    return matrix.reshape(3, 3).round(12)


def _least_squares(jacobian: np.ndarray, error: np.ndarray, posture: np.ndarray) -> np.ndarray:
    """The step nearest to `posture` that takes `error` away, damped."""
    gram = jacobian @ jacobian.T
    gram.flat[:: len(gram) + 1] += DAMPING
    return np.asarray(posture + jacobian.T @ np.linalg.solve(gram, error - jacobian @ posture))


def _without_shapes(urdf: str) -> str:
    """The URDF with nothing but links and joints, every link kept as a body of its own, for MuJoCo."""
    root = ElementTree.fromstring(urdf)
    for link in root.iter("link"):
        for child in list(link):
            link.remove(child)
    settings = ElementTree.SubElement(root, "mujoco")
    compiler = {"fusestatic": "false", "boundmass": "0.001", "boundinertia": "0.00001"}
    ElementTree.SubElement(settings, "compiler", compiler)
    return ElementTree.tostring(root, encoding="unicode")


def _velocity_limits(urdf: str, profile: RobotProfile) -> np.ndarray:
    limits = urdf_limits(urdf)
    missing = [name for name in profile.joints if name not in limits or np.isinf(limits[name].velocity)]
    if missing:
        raise ConfigError(f"{profile.urdf}: no velocity limit for {', '.join(missing)}; add it to the description")
    return np.array([limits[name].velocity for name in profile.joints])


@functools.lru_cache(maxsize=16)
def _nodes(segments: int) -> np.ndarray:
    """Chebyshev points in [0, 1], where interpolation by one polynomial is stable."""
    return (1 - np.cos(np.pi * np.arange(segments + 1) / segments)) / 2


def _interpolation(nodes: np.ndarray, s: np.ndarray) -> np.ndarray:
    """(len(s), len(nodes)) barycentric weights of the polynomial through Chebyshev `nodes`, evaluated at `s`."""
    weights = (-1.0) ** np.arange(len(nodes))
    weights[[0, -1]] *= 0.5
    distance = s[:, None] - nodes
    exact = np.abs(distance) < 1e-12
    terms = weights / np.where(exact, 1.0, distance)
    matrix = terms / terms.sum(axis=1, keepdims=True)
    rows = exact.any(axis=1)
    matrix[rows] = exact[rows]
    return matrix
