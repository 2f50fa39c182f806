"""A session's folder as the nodes would leave it, without running any of them."""

import hashlib
import json

import numpy as np
import yaml

from robot_finetune.data.episode_log import write_episode
from robot_finetune.data.promotion_log import BEGUN, JUDGED, OFFERED, STARTED, Fact, PromotionLog, VersionId
from robot_finetune.learning.promotion.gate import Gate, PromotionConfig
from robot_finetune.session.options import SessionHead, SessionOptions, write_head
from robot_finetune.types import Action, Episode, GraspOutcome, Observation, Step

BASE = 3


def write_grasp(folder, number, mode="explore", version=BASE, success=True, end_reason="closed", contradiction=False):
    """Log a grasp; `number` says when it was made."""
    rng = np.random.default_rng(number)

    def step(index):
        seen = Observation(rng.integers(0, 256, (16, 16, 3), np.uint8), np.zeros(4), 1.0, index)
        return Step(seen, Action.close(), Action.close(), 0.5, version)

    outcome = GraspOutcome(success, 0.9, contradiction)
    meta = {"decision_ms": [10.0, 20.0]}
    episode = Episode(f"e{number:04d}", (step(0), step(1)), outcome, "moved", mode, end_reason, meta=meta)
    return write_episode(folder / "episodes", episode)


def write_version(folder, version, weights=b"weights", sha256=None, image_size=64):
    """A checkpoint's card and weights, sound unless another sha256 is given."""
    place = folder / "checkpoints" / f"v{version:04d}"
    place.mkdir(parents=True)
    (place / "model.safetensors").write_bytes(weights)
    card = {"version": version, "parent": version - 1, "sha256": sha256 or hashlib.sha256(weights).hexdigest()}
    more = {"network": {"image_size": image_size}, "meta": {"grasps": 20, "updates": 100}}
    (place / "model.yaml").write_text(yaml.safe_dump(card | more))
    return place


def write_head_of(folder, **options):
    head = SessionHead(
        SessionOptions(variation="base", seed=4, **options),
        started="2026-01-02 03:04:05",
        base_version=BASE,
        base_parent=2,
        base_sha256="ab" * 32,
        variation="moved",
        description="The gripper sits <elsewhere>.",
        operator_note="Move it & tell nobody.",
    )
    write_head(folder, head)


def write_session(folder, before=(2, 10), learning=30, after=(8, 10)):
    """A whole session: successes and grasps before and after; two versions that took over while it learned."""
    write_head_of(folder)
    for i in range(before[1]):
        write_grasp(folder, i, "evaluate", success=i < before[0], end_reason="step_limit")
    for i in range(learning):
        version = BASE + i // (learning // 3 or 1)
        write_grasp(folder, 100 + i, version=min(version, BASE + 2), success=i % 2 == 0, contradiction=i == 5)
    for i in range(after[1]):
        write_grasp(folder, 900 + i, "evaluate", BASE + 2, success=i < after[0])
    write_version(folder, BASE + 1)
    write_version(folder, BASE + 2)
    metrics = {
        "runs": 1,
        "set_up_s": 6.5,
        "wall_s": 100.0,
        "grasping_s": 50.0,
        "timed_grasps": 50,
        "image": {"hz": 30.0, "lost": 0, "p50_ms": 3.0, "p95_ms": 4.0},
        "swap_ms": [0.1, 0.3],
        "losses": [[1, 0.6], [50, 0.4]],
        "restarts": {"trainer": 1},
        "ended": "complete",
    }
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder


def write_promotion(folder, rates, grasps=120, seed=0):
    """promotion.jsonl of a gate that is offered version BASE + 1 after 30 grasps, and BASE + 2 after 60; rates: of
    success by the number after BASE. Returns the decisions."""
    rng, decisions = np.random.default_rng(seed), []
    log, gate = PromotionLog(folder), Gate(VersionId(BASE), PromotionConfig())
    log.add(Fact(STARTED, BASE, path="/base"))

    def tell(fact):
        made = gate.apply(fact)
        for entry in (fact, *made):
            log.add(entry)
        decisions.extend(made)

    for number in range(grasps):
        if number in (30, 60):
            tell(Fact(OFFERED, BASE + number // 30, "hash", "/x"))
        tell(Fact(BEGUN, explore=True))
        turn = gate.turn(True)
        success = bool(rng.random() < rates[turn.id.version - BASE])
        tell(Fact(JUDGED, *turn.id, side=turn.side, success=success, episode_id=f"e{number:04d}"))
    tell(Fact(BEGUN))
    return decisions
