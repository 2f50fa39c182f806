"""A fine-tuning session: measure the policy, learn while grasping, measure again; what is done is on disk at any moment."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from robot_finetune.bringup import BringupOptions, node_graph
from robot_finetune.msg import EpisodeSummary
from robot_finetune.robot.interfaces import RobotError
from robot_finetune.session.metrics import AFTER, BEFORE, FINE_TUNE, Metrics, read_metrics, write_metrics
from robot_finetune.session.monitor import Monitor, wait_until
from robot_finetune.session.options import SessionHead
from robot_finetune.session.process_runner import ProcessRunner
from robot_finetune.session.progress import Progress, View
from robot_finetune.stats import Proportion

READY_TIMEOUT = 90.0  # s for all nodes to come up
STALL = 60.0  # s without a finished episode before the session gives up
RECENT = 40
SAVE_EVERY = 5.0  # s between two writings of metrics.json


class Session:
    """Runs the node graph through the phases before, fine-tuning and after; resumes where the folder's metrics end."""

    def __init__(self, folder: Path, head: SessionHead, environment: dict[str, str]) -> None:
        self.folder, self.head, self.options = folder, head, head.options
        self.metrics: Metrics = read_metrics(folder)
        self.progress = Progress()
        self._environment = environment
        self._phase = ""
        self._wanted_version: int | None = None
        self._outcomes: dict[str, list[bool]] = {}
        self._phase_start, self._phase_done = 0.0, 0
        self._saved = 0.0

    def run(self) -> None:
        """All phases that are not done yet. Raises RobotError where the session cannot go on; Ctrl-C may come at any time."""
        start = time.monotonic()
        self.metrics.end = "interrupted"
        try:
            with ExitStack() as stack:
                self._nodes = stack.enter_context(ProcessRunner(self._graph(), self.folder / "logs", self._environment))
                self._monitor = Monitor(self._on_summary)
                stack.callback(self._monitor.close)
                stack.callback(self._keep_measurements)
                self._wait_ready()
                self.metrics.set_up_s += time.monotonic() - start
                self._check_images()
                self._measure(BEFORE, self.options.before, accept_updates=False)
                self._phase_of_grasps(FINE_TUNE, self.options.grasps, mode="explore", accept_updates=True)
                self._wait_trainer()
                self._measure(AFTER, self.options.after, accept_updates=True)
                self.metrics.end = "complete"
        except RobotError as error:
            self.metrics.end = f"failed: {error}"
            raise
        finally:
            self.metrics.wall_s += time.monotonic() - start
            write_metrics(self.folder, self.metrics)

    def _graph(self) -> list:
        options = self.options
        return node_graph(
            BringupOptions(
                robot=options.robot,
                variation=options.variation,
                policy=options.policy,
                out=str(self.folder),
                mode="evaluate",
                seed=options.seed,
                autostart=False,
                accept_updates=False,
                real_time_factor=options.real_time_factor,
            )
        )

    def _wait_ready(self) -> None:
        """Until every node has been heard; names the ones that have not."""
        monitor = self._monitor
        signs: dict[str, Callable[[], bool]] = {
            "policy (policy_status)": lambda: monitor.status is not None,
            "trainer (trainer_status)": lambda: monitor.trainer is not None and monitor.trainer.state != "starting",
            "camera (images)": lambda: int(monitor.camera.get("received", "0")) > 0,
        }
        self.progress.say(f"starting {', '.join(spec.name for spec in self._graph())}; logs in {self.folder / 'logs'}")
        if not wait_until(lambda: all(sign() for sign in signs.values()), READY_TIMEOUT, self._check):
            silent = ", ".join(name for name, sign in signs.items() if not sign())
            raise RobotError(f"not ready after {READY_TIMEOUT:g} s: nothing from {silent}; see {self.folder / 'logs'}")

    def _check_images(self) -> None:
        """Rate, loss and latency of the images while the robot rests."""
        seconds = self.options.image_check_s
        if not seconds or self.metrics.image:
            return
        self.progress.say(f"timing the camera's images for {seconds:g} s")
        lost = int(self._monitor.camera.get("lost", "0"))
        wait_until(lambda: False, seconds + 0.6, self._check)  # the camera's figures come twice a second
        camera = self._monitor.camera
        names = {"hz": "rate_hz", "p50_ms": "latency_p50_ms", "p95_ms": "latency_p95_ms"}
        self.metrics.image = {key: float(camera.get(name, "nan")) for key, name in names.items()}
        self.metrics.image["lost"] = int(camera.get("lost", "0")) - lost
        image = self.metrics.image
        self.progress.say(
            f"images: {image['hz']:.1f} Hz, {image['lost']} lost, latency {image['p50_ms']:.1f} ms (p95 {image['p95_ms']:.1f} ms)"
        )

    def _measure(self, phase: str, target: int, accept_updates: bool) -> None:
        """Grasps without exploration, all by one version."""
        if phase == AFTER and self._monitor.updates:
            self._wanted_version = max(self._monitor.updates)
        self._phase_of_grasps(phase, target, "evaluate", accept_updates)

    def _phase_of_grasps(self, phase: str, target: int, mode: str, accept_updates: bool) -> None:
        self._phase = phase
        self._phase_start, self._phase_done = time.monotonic(), self.metrics.count(phase)
        while (left := target - self.metrics.count(phase)) > 0:
            self._monitor.set_policy({"mode": mode, "accept_updates": accept_updates, "max_episodes": left})
            self._monitor.call("policy/start")
            self._follow(phase, target)
        self.metrics.grasp_wall_s += time.monotonic() - self._phase_start
        self._phase = ""
        self.progress.say(f"{phase}: {self._success(phase)}")

    def _follow(self, phase: str, target: int) -> None:
        """Until the policy has done the episodes it was started for."""
        monitor, count, changed = self._monitor, len(self._monitor.summaries), time.monotonic()
        message = ""
        wait_until(lambda: monitor.status is not None and monitor.status.state != "idle", 5.0, self._check)
        while True:
            self._check()
            self._show(phase, target)
            status = monitor.status
            if status is not None and status.state == "idle":
                return
            if status is not None and status.state in ("error", "stopped"):
                raise RobotError(f"the policy has stopped: {status.message}")
            if status is not None and status.message and status.message != message:
                self.progress.say(f"policy: {status.message}")
                message = status.message
            if len(monitor.summaries) != count:
                count, changed = len(monitor.summaries), time.monotonic()
            elif time.monotonic() - changed > STALL:
                raise RobotError(f"no grasp was finished for {STALL:g} s: see the logs in {self.folder / 'logs'}")
            time.sleep(0.2)

    def _wait_trainer(self) -> None:
        """Until the trainer has learned from all grasps as much as it may, and its last version is announced."""
        monitor, wanted = self._monitor, self.metrics.count(FINE_TUNE)
        trainer = monitor.trainer
        if not wanted or self.metrics.count(AFTER) >= self.options.after or trainer is None:
            return

        def learned() -> bool:
            now = monitor.trainer
            self._show("training", wanted)
            return now is not None and now.state == "waiting_for_data" and now.grasps >= wanted

        self.progress.say("the trainer finishes its updates")
        wait_until(learned, math.inf, self._check_trainer(), period=0.3)
        if monitor.trainer is not None and monitor.trainer.updates:
            monitor.call("trainer/publish")
            total = monitor.trainer.updates
            if not wait_until(lambda: any(u.updates >= total for u in monitor.updates.values()), 30.0, self._check):
                raise RobotError("the trainer did not announce its last version within 30 s: see logs/trainer.log")

    def _check_trainer(self) -> Callable[[], None]:
        """A check that also gives up when the trainer makes no progress for a long time."""
        seen = [-1, time.monotonic()]

        def check() -> None:
            self._check()
            updates = self._monitor.trainer.updates if self._monitor.trainer else 0
            if updates != seen[0]:
                seen[:] = [updates, time.monotonic()]
            elif time.monotonic() - seen[1] > 2 * STALL:
                raise RobotError(f"the trainer made no progress for {2 * STALL:g} s: see {self.folder / 'logs' / 'trainer.log'}")

        return check

    def _check(self) -> None:
        for line in self._nodes.check():
            self.progress.say(line)
        if time.monotonic() - self._saved > SAVE_EVERY:
            self._saved = time.monotonic()
            write_metrics(self.folder, self.metrics)

    def _on_summary(self, summary: EpisodeSummary) -> None:
        """An episode is on disk (executor's thread)."""
        if not self._phase or summary.episode_id in self.metrics.episodes:
            return
        if self._wanted_version is not None and summary.policy_version != self._wanted_version:
            return  # the last version was not loaded yet: not what is measured
        self.metrics.episodes[summary.episode_id] = {"phase": self._phase}
        self._outcomes.setdefault(self._phase, []).append(summary.success)

    def _success(self, phase: str, last: int = 0) -> Proportion:
        return Proportion.of(self._outcomes.get(phase, [])[-last:])

    def _show(self, phase: str, target: int) -> None:
        minutes = (time.monotonic() - self._phase_start) / 60
        done, status, trainer = self.metrics.count(self._phase or phase), self._monitor.status, self._monitor.trainer
        shown = self._phase or FINE_TUNE
        self.progress.show(
            View(
                phase=phase,
                done=self.metrics.count(shown),
                target=target,
                success=self._success(shown),
                recent=self._success(shown, RECENT),
                version=status.policy_version if status else 0,
                updates=trainer.updates if trainer else 0,
                loss=trainer.loss if trainer else math.nan,
                trainer=trainer.message if trainer else "",
                per_minute=(done - self._phase_done) / minutes if self._phase and minutes > 0.05 else 0.0,
            )
        )

    def _keep_measurements(self) -> None:
        monitor, metrics = self._monitor, self.metrics
        metrics.decision_ms += [round(value, 3) for value in monitor.decisions]
        metrics.swap_ms += [round(value, 4) for value in monitor.swaps]
        metrics.losses += monitor.losses
        for name, count in self._nodes.restarts.items():
            metrics.restarts[name] = metrics.restarts.get(name, 0) + count
