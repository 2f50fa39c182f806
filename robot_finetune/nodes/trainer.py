"""Node `trainer`: fine-tunes the Q-network on the episodes in the output folder and announces new versions.

Its only links to the robot are that folder and ModelUpdate: it may be killed and started again at any time. It yields
the processor to the nodes that move the robot.
"""

from __future__ import annotations

import math
import os
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import rclpy
from rclpy.clock import Clock, ClockType
from std_srvs.srv import Trigger

from robot_finetune.config import policy_folder, setting
from robot_finetune.data.courier import Courier
from robot_finetune.data.episode_carriers import EpisodeFetcher, fetched_episodes
from robot_finetune.data.folder_lock import folder_lock
from robot_finetune.data.layout import EPISODES
from robot_finetune.data.remote import SOURCES_HELP, is_url
from robot_finetune.data.replay_storage import ReplayError
from robot_finetune.data.version_store import WAYS, Announced, RemoteVersions, check_way
from robot_finetune.files import one_line
from robot_finetune.learning.checkpoint import CheckpointError
from robot_finetune.learning.device import AUTO, NAMES, DeviceError, describe, prepare_device
from robot_finetune.learning.trainer import PublishedVersion, Trainer, TrainerConfig
from robot_finetune.msg import ModelUpdate, TrainerStatus
from robot_finetune.robot.profile import load_robot
from robot_finetune.robot.run_control import ERROR
from robot_finetune.ros.constants import INACTIVE, TRAINER_STATE, TRAINING, WAITING
from robot_finetune.ros.node.diagnostics import Health, Level
from robot_finetune.ros.node.managed_node import NOT_ACTIVE, ManagedNode, run_managed_node
from robot_finetune.ros.node.parameters import read_parameters
from robot_finetune.ros.node.qos import LATCHED
from robot_finetune.ros.node.spin import START_ERRORS, fail, until_shutdown
from robot_finetune.ros.version_pieces import offer_pieces

NICENESS = 10
PATIENCE = 10.0
"""Wall seconds in which a gradient step has ended and everything is saved."""


@dataclass(frozen=True)
class TrainerParameters:
    """Parameters of the node."""

    robot: str = setting("sim", "robot: a name in config/robots or a YAML file")
    policy: str = setting("", "checkpoint folder of the base policy, with its replay.bin; empty: the shipped one")
    out: str = setting("session", "output folder: episodes are read from it, checkpoints written into it")
    earlier: str = setting("", f"folders of earlier sessions to rehearse, with {os.pathsep!r} between them")
    seed: int = setting(0, "seed of batches and augmentation", low=0, high=2**31 - 1)
    sources: str = setting("", SOURCES_HELP)
    versions: str = setting("", WAYS)
    device: str = setting(AUTO, f"where it learns: {NAMES}; auto is an accelerator where there is one")
    poll_period: float = setting(0.5, "wait between two looks for new episodes", unit="s", low=0.01, high=60.0)
    training: TrainerConfig = setting(TrainerConfig)


class TrainerNode(ManagedNode):
    """Trains in a worker thread; the executor's thread publishes TrainerStatus once a second."""

    NAME, PARAMETERS = "trainer", TrainerParameters
    ERRORS = (*START_ERRORS, CheckpointError, DeviceError, ReplayError)

    def configure(self) -> None:
        self._config = config = read_parameters(self, TrainerParameters)
        policy = policy_folder(config.policy)
        out = Path(config.out).expanduser().absolute()
        owned = ExitStack()
        self.at_close(owned.close)
        owned.enter_context(folder_lock(out, "trainer", f"trainer {self.get_fully_qualified_name()}"))
        device = prepare_device(config.device)
        self.get_logger().info(f"learns on {describe(device)}")
        earlier = [Path(folder) for folder in config.earlier.split(os.pathsep) if folder]
        profile = load_robot(config.robot)
        self._couriers: list[Courier] = []
        remote = RemoteVersions(config.versions) if is_url(check_way(config.versions)) else None
        sources = [self._source(place.strip(), out) for place in config.sources.split(",") if place.strip()]
        self._trainer = Trainer(policy, out, profile, config.training, config.seed, device, earlier, sources)
        self._resumed = self._trainer.newest
        self._announced: PublishedVersion | None = None
        self._uploaded: PublishedVersion | None = None
        self._status = TrainerStatus()
        self._state = INACTIVE
        self._rate_from = (time.monotonic(), self._trainer.updates)
        self._looked = -config.poll_period
        self._step = threading.Lock()
        self._publish_asked = threading.Event()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._statuses = self.create_publisher(TrainerStatus, "trainer_status", LATCHED)
        self._versions = self.create_publisher(ModelUpdate, "model_update", LATCHED)
        self.create_service(Trigger, "~/publish", self._on_publish)
        offer_pieces(self, self._trainer.folder)
        self.create_timer(1.0, self._publish_status, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.start_thread(self._guarded, self._end_work, PATIENCE)
        self._uploads = Courier(partial(self._upload, remote)) if remote else None
        self._couriers += [self._uploads] if self._uploads else []
        for courier in self._couriers:
            self.start_thread(courier.run, courier.close, PATIENCE)

    def activate(self) -> None:
        self._wake.set()

    def deactivate(self) -> None:
        """Wait for the end of the gradient step that is under way."""
        if self._step.acquire(timeout=PATIENCE):
            self._step.release()

    def _end_work(self) -> None:
        """End the worker; it saves its state first."""
        self._closing.set()
        self._wake.set()

    def _guarded(self) -> None:
        try:
            self._work()
        except (CheckpointError, DeviceError, ReplayError, OSError) as error:
            self._end(str(error))
        except Exception as error:
            self.get_logger().error(traceback.format_exc())
            self._end(f"{type(error).__name__}: {error}")

    def _end(self, message: str) -> None:
        self._state, self._status.message = ERROR, message
        if rclpy.ok():
            self._publish_status()
            fail(self, f"trainer: {message}")

    def _work(self) -> None:
        while not self._closing.is_set():
            with self._step:
                if self.active:
                    self._train()
                else:
                    self._state, self._status.message = INACTIVE, ""
            if self._state != TRAINING:
                self._wake.wait(self._config.poll_period)
                self._wake.clear()
        self._trainer.save()

    def _train(self) -> None:
        """Look for episodes and publish, if it is time to; then one gradient step, if one is due."""
        trainer = self._trainer
        resumed, self._resumed = self._resumed, None
        self._announce(resumed)
        if time.monotonic() - self._looked >= self._config.poll_period:
            self._looked = time.monotonic()
            trainer.collect()
            self._report_rejected(trainer)
        if self._publish_asked.is_set():
            self._publish_asked.clear()
            self._announce(trainer.publish() or trainer.newest)
        self._status.message = trainer.waiting
        self._state = WAITING if trainer.waiting else TRAINING
        if not trainer.waiting:
            self._announce(trainer.update())

    def _announce(self, version: PublishedVersion | None) -> None:
        if version is None:
            return
        scores = asdict(version.score)
        message = ModelUpdate(
            version=version.version,
            parent=version.parent,
            path=str(version.folder),
            sha256=version.sha256,
            variation=version.variation,
            grasps=version.grasps,
            updates=version.updates,
            score_names=list(scores),
            score_values=list(map(float, scores.values())),
        )
        message.header.stamp = self.get_clock().now().to_msg()
        with until_shutdown():
            self._versions.publish(message)
        self.get_logger().info(f"version {version.version}: {version.updates} updates on {version.grasps} grasps")
        self._announced = version
        if self._uploads:
            self._uploads.hurry()

    def _source(self, place: str, out: Path) -> Path:
        """The folder of episodes of another robot; what is elsewhere is brought here."""
        if not is_url(place):
            return Path(place).expanduser().absolute() / EPISODES
        here = fetched_episodes(out, place)
        self._couriers.append(Courier(EpisodeFetcher(place, here).carry))
        return here

    def _upload(self, remote: RemoteVersions, closing: Callable[[], bool]) -> None:
        """Bring the newest version to the folder elsewhere, unless it is there."""
        version = self._announced
        if version is None or version is self._uploaded or closing():
            return
        scores = {name: value for name, value in asdict(version.score).items() if math.isfinite(value)}
        announced = Announced(str(version.folder), version.version, version.sha256, scores)
        try:
            remote.put(announced, version.folder)
        except OSError as error:
            raise OSError(f"version {version.version} is not uploaded: {one_line(error)}") from error
        self._uploaded = version

    def _report_rejected(self, trainer: Trainer) -> None:
        while trainer.rejected:
            self.get_logger().warning(trainer.rejected.pop(0))

    def _on_publish(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Announce the present weights as a version, after the gradient step that is under way."""
        if not self.active:
            response.success, response.message = False, NOT_ACTIVE
            return response
        self._publish_asked.set()
        self._wake.set()
        response.success, response.message = True, "announced on model_update as soon as it is written"
        return response

    def _publish_status(self) -> None:
        status, trainer = self._status, self._trainer
        since, updates = self._rate_from
        self._rate_from = (time.monotonic(), trainer.updates)
        status.updates_per_second = (trainer.updates - updates) / max(1e-3, time.monotonic() - since)
        status.version, status.grasps, status.updates = trainer.version, trainer.grasps, trainer.updates
        status.loss, status.mean_q = trainer.loss, trainer.mean_q
        status.state = TRAINER_STATE.number(self._state)
        status.header.stamp = self.get_clock().now().to_msg()
        self._statuses.publish(status)

    def health(self) -> Health:
        status = self._status
        values = {"state": self._state, "version": status.version, "grasps": status.grasps, "updates": status.updates}
        values["updates_per_second"] = f"{status.updates_per_second:.1f}"
        if self._state == ERROR:
            return Health(Level.ERROR, status.message, values)
        late = next((courier.late for courier in self._couriers if courier.late), "")
        return Health(Level.WARN if late else Level.OK, late or status.message or self._state, values)


def main(args: Sequence[str] | None = None) -> int:
    os.nice(NICENESS)
    return run_managed_node(TrainerNode, args)
