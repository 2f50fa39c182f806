"""Processes that learn as one, as torchrun starts them: real ones, over gloo."""

import subprocess
import sys
from dataclasses import replace
from unittest.mock import patch

import pytest
import torch
import yaml
from test_learner import SMALL, episode
from torch import distributed, multiprocessing

from robot_finetune.config import ConfigError, to_mapping
from robot_finetune.data.episode_log import write_episode
from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.experiments.offline import OfflineConfig
from robot_finetune.learning.augmentation import AugmentationConfig
from robot_finetune.learning.bellman import BellmanConfig
from robot_finetune.learning.checkpoint import Checkpoint, load_checkpoint
from robot_finetune.learning.finetuner import FineTuneConfig, FineTuner
from robot_finetune.learning.networks.build import build_network
from robot_finetune.learning.team import ALONE, Team
from robot_finetune.robot.profile import RobotProfile

STILL = AugmentationConfig(
    brightness=0.0, contrast=0.0, color=0.0, hue=0.0, saturation=0.0, shift=0, calibration=0.0
)  # fmt: skip
EXACT = FineTuneConfig(
    16, base_weight=0.0, bellman=BellmanConfig(terminal_fraction=1.0, see_gripper=0.0, augmentation=STILL)
)
"""Nothing random is drawn row by row."""
USUAL = FineTuneConfig(16, base_weight=0.0)
UPDATES = 5


def learned(config, team=ALONE):
    """Weights after some updates on the same episodes."""
    torch.set_num_threads(1)
    base, new = (ReplayBuffer(None, 200, SMALL.image_size) for _ in range(2))
    for number in range(12):
        base.add(episode(f"b{number}", 20 * number, number % 2 == 0))
        new.add(episode(f"n{number}", 10 + 20 * number, number % 3 == 0))
    tuner = FineTuner(Checkpoint(build_network(SMALL)), base, new, RobotProfile(), config, team=team)
    for _ in range(UPDATES):
        tuner.update()
    return tuner.learner.network.state_dict()


def precise():
    """Gradients in float32."""
    return patch("robot_finetune.learning.device.has_bfloat16", lambda device: False)


def process(rank, folder, config):
    distributed.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=2)
    with precise():
        torch.save(learned(config, Team(rank, 2)), folder / f"{rank}.pt")
    distributed.destroy_process_group()


def learned_by_two(folder, config):
    multiprocessing.spawn(process, (folder, config), 2)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("config", [EXACT, USUAL], ids=["exact", "usual"])
def test_two_processes_have_the_same_network(tmp_path, config):
    first, second = learned_by_two(tmp_path, config)
    assert all(torch.equal(first[name], second[name]) for name in first)
    begun = build_network(SMALL).state_dict()
    assert not all(torch.equal(first[name], begun[name]) for name in first)
    if config is EXACT:  # the network of one process that has both halves of each batch
        with precise():
            alone = learned(config)
        del alone["find.4.bias"]  # a softmax has no gradient for it, so it goes where rounding goes
        for name, tensor in alone.items():
            assert torch.allclose(first[name], tensor, atol=1e-4), name  # they have moved by 1e-3


def test_a_batch_is_shared_out_without_rest():
    team, base = Team(1, 3), ReplayBuffer(None, 10, SMALL.image_size)
    with pytest.raises(ConfigError, match="batch_size = 16: 3 processes share it"):
        FineTuner(Checkpoint(build_network(SMALL)), base, base, RobotProfile(), EXACT, team=team)


def torchrun(*arguments):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "robot_finetune.cli", "pretrain", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_torchrun_learns_from_episodes_writes_once_and_goes_on(tmp_path):
    for number in range(24):
        bright = number % 2 == 0
        grasp = replace(episode(f"g{number:04d}", 220 if bright else 30, bright), mode="scripted")
        write_episode(tmp_path / "session" / "episodes", grasp)
    config = OfflineConfig(updates=8, evaluate_every=4, hold_out=0.3, network=SMALL, fine_tune=FineTuneConfig(8))
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(to_mapping(config)))
    out = tmp_path / "out"
    job = "--episodes", tmp_path / "session", "--config", tmp_path / "config.yaml", "--out", out
    run = torchrun(*job)
    assert run.returncode == 0, run.stderr[:3000]
    assert run.stdout.count("update 8: log-loss") == 1  # one speaks
    assert load_checkpoint(out / "best").meta["grasps"] and (out / "best" / "replay.bin").is_file()
    again = torchrun(*job)
    assert again.returncode == 0 and "update 8: log-loss" not in again.stdout  # all was done


def test_torchrun_does_not_collect_the_same_grasps_twice(tmp_path):
    run = torchrun("--out", tmp_path / "run")
    assert run.returncode and "learn as one from recorded episodes only" in run.stderr
    assert not (tmp_path / "run").exists()
