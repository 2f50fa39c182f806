"""Scene randomisation: whatever the seed, a scene that the schema allows; strength 0 changes nothing."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from robot_finetune.config import from_mapping, to_mapping
from robot_finetune.sim.randomisation import randomise
from robot_finetune.sim.variations import Variation, load_variation

NAMES = ("base", "harsh_lighting", "extend_gripper_1cm", "offset_gripper_10cm")


@given(name=st.sampled_from(NAMES), seed=st.integers(0, 2**32 - 1), strength=st.floats(0.0, 3.0))
def test_any_randomised_scene_is_a_valid_variation(name: str, seed: int, strength: float) -> None:
    changed = randomise(load_variation(name), np.random.default_rng(seed), strength)
    assert from_mapping(Variation, to_mapping(changed), "randomised") == changed


@given(name=st.sampled_from(NAMES), seed=st.integers(0, 2**32 - 1))
def test_strength_zero_leaves_the_scene_as_it_is(name: str, seed: int) -> None:
    variation = load_variation(name)
    assert randomise(variation, np.random.default_rng(seed), 0.0) == variation


def test_fingers_are_never_shorter_than_the_controller_thinks() -> None:
    lengths = [randomise(Variation(), np.random.default_rng(seed)).gripper.extension_m for seed in range(200)]
    assert min(lengths) >= 0 and 0.002 < np.mean(lengths) < 0.006
