"""Episodes whose every value tells which episode and step it belongs to."""

import numpy as np

from robot_finetune.types import SIDES, Action, Episode, GraspOutcome, Observation, Step


def numbered_episode(number: int, steps: int = 3, success: bool = True, size: int = 2) -> Episode:
    """Images, poses and actions all hold `number`; pose[1] and the observation's step hold the step's index."""
    action = Action(np.full(8, number, np.float32))
    asked = Action(np.full(8, -1, np.float32))

    def step(index: int) -> Step:
        image = np.full((size, size, 3), number % 256, np.uint8)
        return Step(Observation(image, np.array([number, index, 0, 0], float), number, index), asked, action)

    outcome = GraspOutcome(success)
    return Episode(f"{number:06d}", tuple(step(index) for index in range(steps)), outcome)


def random_episode(seed: int = 0, steps: int = 4, size: int = 64, stamp: float = 1_700_000_000.25) -> Episode:
    """An episode with all fields set, each to something that is not its default."""
    rng = np.random.default_rng(seed)

    def step(index: int) -> Step:
        image = rng.integers(0, 256, (size, size, 3), np.uint8)
        opening = float(np.float32(rng.random()))
        pose = np.array([*rng.normal(size=3), rng.uniform(-np.pi, np.pi)])
        seen = Observation(image, pose, opening, index, stamp + 0.125 * index)
        asked, commanded = (Action(rng.normal(size=8).astype(np.float32)) for _ in range(2))
        q = float("nan") if index == 0 else float(np.float32(rng.random()))
        return Step(seen, asked, commanded, q, 7, tuple(rng.normal(size=7)), SIDES[1 + index % 2], index % 2 == 1)

    return Episode(
        f"session-{seed:06d}",
        tuple(step(index) for index in range(steps)),
        GraspOutcome(True, 0.75, True, {"opening_closed": 0.31, "image_difference": 12.5}),
        variation="offset_gripper_10cm",
        mode="evaluate",
        end_reason="step_limit",
        stamp=stamp + 3.5,
        meta={"seed": seed, "joint_names": [f"axis_{number}" for number in range(7)], "note": "größer"},
    )


def assert_same(one: Episode, other: Episode) -> None:
    """Equal in every field, arrays in values and types; a yaw is turned into a quaternion and back."""
    for name in ("episode_id", "outcome", "variation", "mode", "end_reason", "stamp", "meta"):
        assert getattr(one, name) == getattr(other, name), name
    assert len(one.steps) == len(other.steps)
    for first, second in zip(one.steps, other.steps, strict=True):
        np.testing.assert_allclose(first.observation.pose, second.observation.pose, rtol=0, atol=1e-12)
        for a, b in (
            (first.observation.image, second.observation.image),
            (first.asked.vector, second.asked.vector),
            (first.commanded.vector, second.commanded.vector),
        ):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
        for a, b in (
            (first.observation.opening, second.observation.opening),
            (first.observation.step, second.observation.step),
            (first.observation.stamp, second.observation.stamp),
            (first.q, second.q),
            (first.policy_version, second.policy_version),
            (first.intervention, second.intervention),
            (first.joint_positions, second.joint_positions),
        ):
            np.testing.assert_array_equal(a, b)
