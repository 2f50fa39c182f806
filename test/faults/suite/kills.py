"""Kills in running sessions: of every node, and of all at once. No acknowledged grasp is lost."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
from processes import PATIENCE, TestNode
from small_session import SessionProcess, small_session
from tally import Tally

from robot_finetune.data.episode_store import EpisodeStore
from robot_finetune.learning.checkpoint import CheckpointError, load_checkpoint
from robot_finetune.session.versions import session_versions

VICTIMS = ("camera", "grasp_detector", "episode_logger", "trainer", "policy", "sim_cell", "all", "session")
BETWEEN = (0.5, 4.0)
"""Wall seconds between two kills."""


def killed_sessions(count: int, seed: int, folder: Path) -> Tally:
    """A session of many grasps: every `count` kills of one victim, or of all at once, it goes on or is resumed."""
    from robot_finetune.msg import EpisodeSummary
    from robot_finetune.ros.node.qos import EPISODE

    tally, rng = Tally("kills in running sessions"), np.random.default_rng(seed)
    node = TestNode(int(os.environ["ROS_DOMAIN_ID"]))
    summaries = node.collect(EpisodeSummary, "episode_summary", EPISODE)
    session = SessionProcess(folder / "out", *small_session(folder, before=2, grasps=100_000, after=0))
    try:
        for number in range(count):
            tally.tried += 1
            known = len(summaries)
            if not _grasps(node, session, lambda known=known: len(summaries) > known):
                tally.note(f"no grasp after kill {number}: {session.printed[-300:]}")
                _show(folder / "out" / "logs")
                break
            node.spin_for(float(rng.uniform(*BETWEEN)))
            _kill(session, VICTIMS[number % len(VICTIMS)])
            session = _resumed(session, folder)
            tally.survived += 1
        session.end()
    finally:
        if session.running:
            session.popen.kill()
        node.close()
    _check(folder / "out", {summary.episode_id for summary in summaries}, tally)
    return tally


def _grasps(node: TestNode, session: SessionProcess, done) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > deadline or not session.running:
            return False
        node.spin_for(0.1)
    return True


def _show(logs: Path) -> None:
    """For whoever has to understand it: what each node printed last."""
    for log in sorted(logs.glob("*.log")):
        print(f"{log.stem} had printed:\n{log.read_text()[-2000:]}", flush=True)


def _kill(session: SessionProcess, victim: str) -> None:
    nodes = session.nodes()
    chosen = [pid for pid, name in nodes if victim in ("all", name)]
    if victim in ("all", "session"):
        chosen.append(session.popen.pid)
    for pid in chosen:
        os.kill(pid, signal.SIGKILL)


def _resumed(session: SessionProcess, folder: Path) -> SessionProcess:
    """The same session, or a new process that goes on with it where the kill has ended it."""
    time.sleep(1.0)
    ends = ("policy", "sim_cell")
    if session.running and all(any(name == node for _, name in session.nodes()) for node in ends):
        return session
    try:
        session.wait(60.0)
    except AssertionError:
        session.popen.kill()
        session.popen.wait()
    time.sleep(1.0)  # nodes that outlive their session by a moment
    return SessionProcess(folder / "out", "--resume", folder / "out")


def _check(out: Path, acknowledged: set[str], tally: Tally) -> None:
    store = EpisodeStore(out / "episodes")
    logged = {path.stem for path in store.paths()}
    tally.lost += len(acknowledged - logged)
    for name in sorted(acknowledged - logged):
        tally.note(f"acknowledged and not there: {name}")
    for path, why in store.verify().corrupt:
        tally.wrong += 1
        tally.note(f"{path.name}: {why}")
    for version in session_versions(out):
        try:
            load_checkpoint(version.folder)
        except CheckpointError as error:
            tally.wrong += 1
            tally.note(str(error))
