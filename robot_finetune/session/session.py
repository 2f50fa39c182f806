"""A fine-tuning session: bring the graph up, measure the first policy, learn while grasping, measure the promoted one.

What is left to do follows from the episodes on disk, so a session that ended anywhere goes on there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from robot_finetune.data.disk import no_room
from robot_finetune.data.promotion_log import GATED
from robot_finetune.files import one_line
from robot_finetune.graph.process_runner import NodeDied, ProcessRunner
from robot_finetune.robot.discards import too_many
from robot_finetune.robot.interfaces import RobotError
from robot_finetune.robot.profile import SIMULATED, load_robot
from robot_finetune.robot.run_control import ERROR, IDLE, PAUSED, RUNNING, STOPPED
from robot_finetune.ros.constants import INACTIVE, WAITING
from robot_finetune.ros.environment import graph_environment
from robot_finetune.session.curves import GraspCurves
from robot_finetune.session.graph import expected_topics, session_graph
from robot_finetune.session.image_check import ImageCheck
from robot_finetune.session.metrics import COMPLETE, read_metrics, write_metrics
from robot_finetune.session.monitor import Monitor
from robot_finetune.session.options import SessionHead
from robot_finetune.session.place import write_place
from robot_finetune.session.progress import Progress, View
from robot_finetune.session.record import RECENT, Grasp, Phases, SessionReader, sort_into_phases, success
from robot_finetune.types import EVALUATE, EXPLORE

LOGS = "logs"
TICK = 0.05
READY_TIMEOUT = 90.0
"""Longest wall time [s] until all nodes of the graph are there; libraries load slowly on a busy computer."""
SILENCE = 120.0
"""Wall seconds without any news of a running policy, or of the trainer's progress, after which it counts as stuck."""
PUBLISH_TIMEOUT = 30.0
"""Longest wall time [s] for the trainer's last version."""


class SessionError(RobotError):
    """The session cannot go on; one line with cause and cure."""


class Interrupted(Exception):
    """The operator asked for the end."""


class Session:
    """One run of a session in its folder. asked_to_stop: polled many times a second."""

    def __init__(self, folder: Path, head: SessionHead, progress: Progress, asked_to_stop: Callable[[], bool]) -> None:
        self._folder, self._head, self._options = folder, head, head.options
        self._progress, self._asked_to_stop = progress, asked_to_stop
        self._begun = time.monotonic()
        self._phase = "starting"
        self._closing = False
        self._told = self._complained = ""
        self._profile = load_robot(self._options.robot)
        self._metrics = read_metrics(folder)
        self._logged = {grasp.episode_id: grasp for grasp in SessionReader(folder).grasps()[0]}
        self._curves = GraspCurves(folder, head.options.tensorboard, self._logged.values(), progress.say)
        phases = sort_into_phases(list(self._logged.values()), head.base_version)
        self._specs = session_graph(folder, self._options, phases, self._metrics.runs)
        self._trains = any(spec.name == "trainer" for spec in self._specs)
        environment = graph_environment(self._profile.name == SIMULATED)
        os.environ.update(environment)  # this process takes part in the graph
        self._runner = ProcessRunner(folder / LOGS, environment, progress.say)
        domain = int(environment["ROS_DOMAIN_ID"])
        write_place(folder, domain)
        self._monitor = Monitor(domain, self._tick)

    @property
    def phases(self) -> Phases:
        """All grasps so far."""
        grasps = self._monitor.grasps | self._logged
        return sort_into_phases(list(grasps.values()), self._head.base_version)

    def run(self) -> str:
        """Do what is left to do; returns "complete", or why it ended before. Raises RobotError, ConfigError, OSError.

        However it ends, no process is left and metrics.json is written.
        """
        ended = "failed"
        self._metrics.runs += 1
        self._metrics.ended = "cut off"
        write_metrics(self._folder, self._metrics)
        try:
            self._bring_up()
            self._time_images()
            self._measure_first_policy()
            self._learn()
            self._measure_newest_policy()
            ended = COMPLETE
        except Interrupted:
            ended = f"stopped by the operator ({self._phase})"
        except BaseException as error:
            ended = one_line(error)
            raise
        finally:
            self._shut_down(ended)
        return ended

    # Phases

    def _bring_up(self) -> None:
        self._runner.start(self._specs)
        deadline, told = time.monotonic() + READY_TIMEOUT, time.monotonic()
        while missing := self._missing():
            for said in self._runner.refused.values():  # started again it would say the same
                raise SessionError(f"{said} (see {self._logs})")
            if time.monotonic() > deadline:
                raise self._failed(
                    f"not ready after {READY_TIMEOUT:.0f} s: no {', no '.join(missing)}; see {self._logs}"
                )
            if time.monotonic() - told > 10.0:
                told = time.monotonic()
                self._progress.say(f"waiting for {', '.join(missing)}")
            self._wait(TICK)
        self._metrics.set_up_s = time.monotonic() - self._begun
        names = ", ".join(spec.name for spec in self._specs)
        self._progress.say(f"the node graph is up after {self._metrics.set_up_s:.0f} s: {names}")

    def _missing(self) -> list[str]:
        topics = expected_topics(self._profile, self._specs)
        node, monitor = self._monitor.node, self._monitor
        missing = [f"{topic} (of {source})" for topic, source in topics.items() if not node.count_publishers(topic)]
        if monitor.policy is None and "policy_status (of policy)" not in missing:
            missing.append("policy_status (of policy)")
        if self._trains and monitor.trainer_state in ("", INACTIVE):
            missing.append("trainer that has read its base")
        return missing

    def _time_images(self) -> None:
        """Time the images of the resting robot, once a session."""
        if self._metrics.image or not self._options.image_check:
            return
        self._phase = "timing images"
        topic = self._profile.full_image_topic
        check = ImageCheck(self._monitor.node, topic)
        limit = time.monotonic() + self._profile.camera.timeout + 10.0
        while not check.observations:
            if time.monotonic() > limit:
                raise self._failed(
                    f"no image comes through {topic} and observation: check the camera driver, and "
                    f"{self._logs}/camera.log"
                )
            self._wait(TICK)
        self._wait(self._options.image_check)
        self._metrics.image = check.finish()

    def _measure_first_policy(self) -> None:
        phases = self.phases
        left = self._options.before - len(phases.before)
        if left > 0 and not phases.learning:
            self._phase = "before"
            self._grasp(left, mode=EVALUATE, accept_updates=False)

    def _learn(self) -> None:
        for kept_back in dict.fromkeys((self._kept_back, 0)):
            left = self._options.grasps - len(self._made) - kept_back
            if left > 0:
                mode = self._options.learning_mode
                self._phase = "finetune" if mode == EXPLORE else mode
                self._grasp(left, mode=mode, accept_updates=True)
            if self._trains:
                self._phase = "last updates"
                self._catch_up()
        if self._trains:
            self._runner.stop("trainer")
            self._monitor.forget_trainer()

    @property
    def _made(self) -> tuple[Grasp, ...]:
        return self.phases.towards(self._options.mode)

    @property
    def _kept_back(self) -> int:
        """Grasps that are made when the trainer has used up its updates: a trainer that is slower than the robot would
        else have its best version ready when there is no grasp left to try it with."""
        gated = self._options.promotion == GATED and self._options.measures
        return min(self._options.last_trial, self._options.grasps // 2) if gated else 0

    def _measure_newest_policy(self) -> None:
        """Grasp until enough were made by one version; the first may still be made by the version before."""
        self._phase = "after"
        for _ in range(3):
            left = self._options.measured_after - len(self.phases.after)
            if left > 0:
                self._grasp(left, mode=EVALUATE, accept_updates=True)

    def _grasp(self, count: int, mode: str, accept_updates: bool) -> None:
        """Let the policy node make `count` grasps that are safely logged."""
        monitor, metrics = self._monitor, self._metrics
        known = set(monitor.grasps)
        parameters = {"mode": mode, "accept_updates": accept_updates, "max_episodes": count}
        monitor.set_policy(variation=self._options.variation, **parameters)
        seconds, timed, begun = metrics.grasping_s, metrics.timed_grasps, time.monotonic()
        monitor.trigger("policy/start")
        while True:
            policy, done = monitor.policy, len(monitor.grasps.keys() - known)
            metrics.grasping_s, metrics.timed_grasps = seconds + time.monotonic() - begun, timed + done
            if policy is not None:
                if monitor.policy_state == ERROR:
                    raise self._failed(f"{policy.message} (logs: {self._logs})")
                if monitor.policy_state == IDLE and done >= count:
                    return
                if monitor.policy_state == RUNNING and monitor.silence > SILENCE:
                    raise self._failed(f"policy tells nothing for {SILENCE:.0f} s; see {self._logs}/policy.log")
            self._wait(TICK)

    def _catch_up(self) -> None:
        """Wait until the trainer has used its updates up, and have it publish what it has."""
        grasps, updates, changed = len(self.phases.learning), -1, time.monotonic()
        while True:
            trainer = self._monitor.trainer
            waiting = self._monitor.trainer_state == WAITING
            if trainer is not None and trainer.updates != updates:
                updates, changed = trainer.updates, time.monotonic()
            quiet = time.monotonic() - changed
            if trainer is not None and waiting and (trainer.grasps >= grasps or quiet > 10.0):
                break
            if quiet > SILENCE:
                self._progress.say(
                    f"the trainer makes no progress, its last version is measured: {self._logs}/trainer.log"
                )
                break
            self._wait(TICK)
        if updates > 0:
            self._take_last_version(updates)

    def _take_last_version(self, updates: int) -> None:
        try:
            self._monitor.trigger("trainer/publish")
            deadline = time.monotonic() + PUBLISH_TIMEOUT
            while self._monitor.update is None or self._monitor.update.updates < updates:
                if time.monotonic() > deadline:
                    raise SessionError(f"no model_update for {PUBLISH_TIMEOUT:.0f} s")
                self._wait(TICK)
        except NodeDied:
            raise
        except RobotError as error:
            self._progress.say(f"the trainer's last updates are not measured: {error}")

    # Around the phases

    @property
    def _logs(self) -> Path:
        return self._folder / LOGS

    def _failed(self, what: str) -> SessionError:
        """The error that ends the session: a full disk stands behind whatever else goes wrong on it."""
        return SessionError(no_room(self._folder) or what)

    def _wait(self, seconds: float) -> None:
        """Look after everything for a while."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._tick()
            time.sleep(TICK)

    def _tick(self) -> None:
        if self._closing:
            return
        if self._asked_to_stop():
            raise Interrupted
        self._runner.poll()
        self._tell()
        if self._progress.due:
            self._curves.draw(list(self._monitor.grasps.values()))
            self._progress.show(self._view())

    def _tell(self) -> None:
        """Say once what the policy node wants an operator to know."""
        while self._monitor.decisions:
            self._progress.say(self._monitor.decisions.popleft())
        policy = self._monitor.policy
        message = policy.message if policy is not None and self._monitor.policy_state != IDLE else ""
        if message and message != self._told:
            self._progress.say(f"policy: {message}")
        self._told = message
        complaint = too_many(self._monitor.discards, len(self._monitor.grasps), self._options.discard_share)
        if complaint and not self._complained:
            self._progress.say(complaint)
        self._complained = complaint

    def _shut_down(self, ended: str) -> None:
        self._closing = True
        self._progress.clear()
        metrics = self._metrics
        if self._monitor.policy_state in (RUNNING, PAUSED):
            try:
                self._monitor.trigger("policy/stop", timeout=3.0)
            except RobotError as error:
                self._progress.say(f"the arm could not be asked to stop: {error}")
        for name, count in self._runner.restarts.items():
            metrics.restarts[name] = metrics.restarts.get(name, 0) + count
        self._runner.stop()
        self._monitor.close()
        self._curves.draw(list(self._monitor.grasps.values()))
        self._curves.flush()
        metrics.wall_s += time.monotonic() - self._begun
        for reason, count in self._monitor.discards.items():
            metrics.discarded[reason] = metrics.discarded.get(reason, 0) + count
        metrics.swap_ms += self._monitor.swap_ms
        metrics.losses += self._monitor.losses
        metrics.ended = ended
        write_metrics(self._folder, metrics)

    def _view(self) -> View:
        options, phases, monitor = self._options, self.phases, self._monitor
        parts = {"before": (phases.before, options.before), "after": (phases.after, options.measured_after)}
        shown, target = parts.get(self._phase, (self._made, options.grasps))
        left = max(0, options.grasps - len(self._made)) + max(0, options.measured_after - len(phases.after))
        left += 0 if phases.learning else max(0, options.before - len(phases.before))
        acted = phases.all[-1].version if phases.all else self._head.base_version
        pace, trainer, policy = self._metrics.grasps_per_minute, monitor.trainer, monitor.policy
        return View(
            title=self._head.variation,
            phase=self._phase,
            done=len(shown),
            target=target,
            success=success(shown),
            recent=success(shown[-RECENT:]),
            before=success(() if self._phase == "before" else phases.before),
            version=policy.policy_version if policy else acted,
            trainer=monitor.trainer_state.replace("_", " "),
            updates=trainer.updates if trainer else 0,
            loss=monitor.losses[-1][1] if monitor.losses else None,
            per_minute=pace,
            seconds_left=60 * left / pace if pace else None,
            elapsed=time.monotonic() - self._begun,
            discarded=sum(monitor.discards.values()),
            state=monitor.policy_state if monitor.policy_state in (PAUSED, STOPPED) else "",
        )
