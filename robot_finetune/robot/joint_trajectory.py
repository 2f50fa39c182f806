"""Joint trajectories as joint_trajectory_controller of ROS 2 understands them.

Between two points that both have velocities the joints follow a cubic spline, from points without velocities a straight
line. The same rule serves what is sent, what is checked before it is sent, and the simulated controller.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class JointTrajectory:
    """positions: (n, joints) [rad]; times: (n,) [s] from the start, increasing, without the start point itself.

    velocities: (n, joints) [rad/s] at the points, or None: straight lines between them.
    """

    times: np.ndarray
    positions: np.ndarray
    velocities: np.ndarray | None = None

    def at(self, time: float, start: np.ndarray, velocity: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Positions [rad] and velocities [rad/s], each (joints,), that a controller wants `time` [s] after the start.

        start, velocity: those of the start, (joints,); at rest if None.
        """
        i = int(np.searchsorted(self.times, time))
        still = np.zeros_like(start)
        if i == len(self.times):
            return self.positions[-1], still
        if time <= 0.0:
            return start, still if velocity is None else velocity
        begin, p0 = (self.times[i - 1], self.positions[i - 1]) if i else (0.0, start)
        span, p1 = self.times[i] - begin, self.positions[i]
        u, slope = (time - begin) / span, (p1 - p0) / span
        if self.velocities is None:
            return p0 + (time - begin) * slope, slope
        v1 = self.velocities[i]
        v0 = self.velocities[i - 1] if i else still if velocity is None else velocity
        rise, bend = _cubic(v0, v1, slope)
        return p0 + span * u * (v0 + u * (rise + u * bend)), v0 + u * (2 * rise + 3 * u * bend)

    def speeds(self, start: np.ndarray, velocity: np.ndarray | None = None) -> np.ndarray:
        """(joints,) largest speed [rad/s] of each joint on the way from `start` (joints,), at rest if None."""
        spans = np.diff(self.times, prepend=0.0)[:, None]
        slope = np.diff(self.positions, axis=0, prepend=start[None]) / spans
        if self.velocities is None:
            return np.abs(slope).max(axis=0)
        v1 = self.velocities
        v0 = np.vstack([np.zeros_like(start) if velocity is None else velocity, v1[:-1]])
        rise, bend = _cubic(v0, v1, slope)
        with np.errstate(divide="ignore", invalid="ignore"):
            u = np.nan_to_num(-rise / (3 * bend), nan=0.0, posinf=0.0, neginf=0.0)
        u = np.clip(u, 0.0, 1.0)  # where the parabola of the speed has its vertex
        vertex = v0 + u * (2 * rise + 3 * u * bend)
        return np.abs([v0, v1, vertex]).max(axis=(0, 1))

    def slower(self, factor: float) -> JointTrajectory:
        """The same path in `factor` times the time."""
        velocities = None if self.velocities is None else self.velocities / factor
        return JointTrajectory(self.times * factor, self.positions, velocities)


def _cubic(v0: np.ndarray, v1: np.ndarray, slope: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of u**2 and u**3 [rad/s], u from 0 to 1, between points with these velocities and mean velocity."""
    return 3 * slope - 2 * v0 - v1, v0 + v1 - 2 * slope


def smooth(start: np.ndarray, times: np.ndarray, positions: np.ndarray) -> JointTrajectory:
    """The trajectory from rest at `start` (joints,) through `positions` (n, joints) [rad] to rest at the last."""
    t, p = np.concatenate(([0.0], times)), np.vstack([start, positions])
    velocities = np.zeros_like(positions)
    if len(times) > 1:
        velocities = np.gradient(p, t, axis=0)[1:]
        velocities[-1] = 0.0
    return JointTrajectory(times, positions, velocities)
