"""The detector against the truth of the simulated cell, on a few episodes of each variation."""

import numpy as np
import pytest

from robot_finetune.experiments.benchmarks.grasp_detection import judged_episodes

VARIATIONS = (
    "base",
    "checkerboard_backing",
    "harsh_lighting",
    "transparent_bottles",
    "extend_gripper_1cm",
    "offset_gripper_10cm",
)


@pytest.fixture(scope="module")
def judged():
    return [item for name in VARIATIONS for item in judged_episodes(name, episodes=7, seed=40_000)]


def test_the_fused_judgement_agrees_with_the_truth(judged):
    assert len(judged) >= 40
    assert 0.3 < np.mean([item.held for item in judged]) < 0.9, "the episodes show both outcomes"
    assert np.mean([item.agrees("fused") for item in judged]) >= 0.97


def test_each_source_alone_is_a_witness(judged):
    for source in ("gripper", "image"):
        assert np.mean([item.agrees(source) for item in judged]) >= 0.85


def test_sources_that_differ_are_reported(judged):
    for item in judged:
        probabilities = [item.outcome.evidence[f"{source}_probability"] for source in ("gripper", "image")]
        if min(probabilities) < 0.25 and max(probabilities) > 0.75:
            assert item.outcome.contradiction
