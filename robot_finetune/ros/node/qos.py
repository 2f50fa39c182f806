"""Quality of service of every topic, by what the topic is for."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy, qos_profile_sensor_data

SENSOR = qos_profile_sensor_data
"""Camera images, and every subscription to sensors: best effort hears reliable and best-effort publishers alike."""


def series(depth: int) -> QoSProfile:
    """Subscriptions to sensors that want every message, though the node is held up for a while."""
    return QoSProfile(depth=depth, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.BEST_EFFORT)


NEWEST = QoSProfile(depth=2, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.BEST_EFFORT)
"""Subscriptions that want the present state: joint states (two publishers, arm and gripper) and observations."""

COMMAND = QoSProfile(depth=10, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.RELIABLE)
"""Trajectories, gripper commands, joint states, diagnostics."""

VIEW = QoSProfile(depth=1, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.RELIABLE)
"""Overlay and markers of decisions, for people who look at them."""

CLOCK = QoSProfile(depth=1, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.BEST_EFFORT)
"""/clock, as rclpy subscribes to it."""


def _kept(depth: int) -> QoSProfile:
    return QoSProfile(
        depth=depth,
        history=HistoryPolicy.KEEP_LAST,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
    )


LATCHED = _kept(1)
"""policy_status, trainer_status, model_update: who comes late gets the newest."""

EPISODE = _kept(16)
"""episode_phase, grasp_outcome, episode_summary, episode_lost: every event arrives, also at a restarted node."""

STEP = _kept(64)
"""policy_step: a restarted logger gets the steps of the last episodes."""
