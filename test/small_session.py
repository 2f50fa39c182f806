"""`robot-finetune session` with a tiny random policy, as a process: whole sessions in seconds."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.data.replay_file import pack
from robot_finetune.learning.checkpoint import save_checkpoint
from robot_finetune.learning.networks.build import build_network
from robot_finetune.learning.networks.interface import NetworkConfig
from robot_finetune.ros.environment import executable
from robot_finetune.types import Action, Episode, GraspOutcome, Observation, Step

TRAINING = {
    "min_grasps": 2,
    "updates_per_grasp": 4.0,
    "publish_every": 8,
    "save_every": 2,
    "replay_capacity": 1000,
    "hold_out": 0.0,
    "fine_tune": {"batch_size": 4},
}
VARIATION = "extend_gripper_1cm"


class SessionProcess:
    """The command in a process; what it prints goes to a file beside its folder `out`, or to a file descriptor."""

    def __init__(self, out: Path, *words: Any, printed_to: int | None = None) -> None:
        self.out, self._log = out, out.parent / "printed.txt"
        command = [sys.executable, str(executable("robot-finetune")), "session", *map(str, words)]
        with self._log.open("w") as output:
            self.popen = subprocess.Popen(command, stdout=printed_to or output, stderr=subprocess.STDOUT)

    @property
    def printed(self) -> str:
        return self._log.read_text()

    @property
    def running(self) -> bool:
        return self.popen.poll() is None

    def pid(self, node: str) -> int:
        """Process id of one of its nodes."""
        (pid,) = [pid for pid, name in self.nodes() if name == node]
        return pid

    def nodes(self) -> list[tuple[int, str]]:
        """Process ids and names of the nodes that it started."""
        found = []
        for task in Path(f"/proc/{self.popen.pid}/task").iterdir():
            for pid in (task / "children").read_text().split():
                words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
                found += [(int(pid), Path(word).name) for word in words if "/lib/robot_finetune/" in word]
        return found

    def interrupt(self) -> None:
        self.popen.send_signal(signal.SIGINT)

    def wait(self, timeout: float = 300.0) -> int:
        """Its exit code. Raises AssertionError with what it printed if it does not end."""
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the session did not end; it printed:\n{self.printed}") from None

    def end(self) -> None:
        if self.running:
            self.interrupt()
            self.wait()


def small_session(folder: Path, before: int, grasps: int, after: int, promotion: str = "immediate") -> list[Any]:
    """Write the policy, its replay and parameters into `folder`; the arguments of a session in folder/out on them."""
    image = np.zeros((64, 64, 3), np.uint8)
    step = Step(Observation(image, np.array([0.6, 0.0, 0.2, 0.0]), 1.0, 0), Action.close(), Action.close())
    network = build_network(NetworkConfig(channels=8, hidden=8, max_steps=2), 0)
    save_checkpoint(folder / "base", network, 5, 4, {})
    replay = ReplayBuffer(None, 10)
    replay.add(Episode("base", (step,), GraspOutcome(True)))
    pack(replay, folder / "base" / "replay.bin")
    parameters = {"/**/trainer": {"ros__parameters": {"poll_period": 0.1, "training": TRAINING}}}
    (folder / "params.yaml").write_text(yaml.safe_dump(parameters))
    words = ["--policy", folder / "base", "--variation", VARIATION, "--out", folder / "out", "--image-check", 1]
    words += ["--promotion", promotion]
    return [*words, "--before", before, "--grasps", grasps, "--after", after, "--params-file", folder / "params.yaml"]
