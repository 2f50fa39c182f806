"""Where the page of one session gets what it shows: the folder, and the graph while one runs."""

from __future__ import annotations

import dataclasses
import getpass
import logging
import os
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from robot_finetune.config import ConfigError, known_names
from robot_finetune.data.episode_log import episode_path, read_episode
from robot_finetune.data.episode_table import relabel
from robot_finetune.data.folder_lock import owner_of
from robot_finetune.data.label_log import LABELS_FILE
from robot_finetune.data.layout import CHECKPOINTS, EPISODES, SESSION_FILE
from robot_finetune.data.promotion_log import PROMOTION_FILE
from robot_finetune.data.step_arrays import to_png
from robot_finetune.files import to_json
from robot_finetune.needs import missing
from robot_finetune.robot.interfaces import RobotError
from robot_finetune.robot.profile import SIMULATED, load_robot
from robot_finetune.ros.environment import graph_environment
from robot_finetune.session.metrics import METRICS_FILE
from robot_finetune.session.options import read_head
from robot_finetune.session.place import PLACE_FILE, Place, read_place
from robot_finetune.session.record import SessionReader
from robot_finetune.web.live_state import LiveState, buttons
from robot_finetune.web.snapshot import Snapshot, snapshot_of, thinned

LOOK_EVERY = 2.0
"""Wall seconds between two looks at the folder."""
WATCHED = (
    SESSION_FILE,
    METRICS_FILE,
    PROMOTION_FILE,
    EPISODES,
    f"{EPISODES}/{LABELS_FILE}",
    CHECKPOINTS,
)
"""What changes when the session goes on."""


class Source:
    """One session. For any thread. To be closed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._reader = SessionReader(folder)
        self._lock = threading.Lock()
        self._looker = ThreadPoolExecutor(1, "look")
        self._looking: Future[None] | None = None
        self._looked = float("-inf")
        self._seen: Any = None
        self._snapshot = ""
        self._place: Place | None = None
        self._graph: Any = None
        self._why = "no session runs in this folder"

    def parts(self) -> dict[str, str]:
        """What the page shows, as JSON: live, losses, and snapshot as soon as the folder has been read. Waits for no
        disk: a page that is held up could not tell of the graph."""
        with self._lock:
            busy = self._looking is not None and not self._looking.done()
            if not busy and time.monotonic() - self._looked >= LOOK_EVERY:
                self._looking = self._looker.submit(self._look)
        graph = self._graph
        live = graph.state() if graph is not None else LiveState(self._why)
        shown = {**dataclasses.asdict(live), "offered": sorted(live.offered), "emergency": live.emergency}
        shown["variations"] = graph.variations if graph is not None else []
        shown["buttons"] = {name: button.reason for name, button in buttons(live).items()}
        losses = thinned(graph.losses) if graph is not None else []
        parts = {"live": to_json(shown), "losses": to_json(losses), "snapshot": self._snapshot}
        return {name: text for name, text in parts.items() if text}

    def look(self) -> None:
        """Look at the folder, and for a graph, now."""
        self._looker.submit(self._look).result()

    def do(self, name: str, value: str = "") -> str:
        """What a button does, with the value of one that takes one; returns what the node answers. Raises RobotError
        where it refuses or there is none."""
        if self._graph is None:  # nobody has looked at the page yet; else an emergency stop waits for nobody
            self.look()
        graph = self._graph
        if graph is None:
            raise RobotError(self._why)
        return str(graph.do(name, value))

    def relabel(self, episode_id: str, verdict: str) -> None:
        """Say what a grasp really was. Raises EpisodeLogError."""
        relabel(self._folder, episode_id, verdict, f"{getpass.getuser()}, on the live page")
        self.look()

    def jpeg(self) -> bytes | None:
        """The newest image of the running graph, None without one."""
        graph = self._graph
        return None if graph is None else graph.jpeg()

    def judged_jpeg(self, episode_id: str, place: str) -> bytes | None:
        """An image by which a grasp was judged while the page was open, None if it is not here."""
        graph = self._graph
        return None if graph is None else graph.judged_jpeg(episode_id, place)

    def picture(self, episode_id: str, last: bool) -> bytes:
        """What the policy saw first, or last, in a grasp, as PNG. Raises EpisodeLogError, CorruptEpisode."""
        steps = read_episode(episode_path(self._folder / EPISODES, episode_id)).steps
        image = steps[-1 if last else 0].observation.image if steps else np.zeros((1, 1, 3), np.uint8)
        return to_png(image)

    def close(self) -> None:
        """Leave the graph."""
        self._looker.shutdown()
        self._leave("the page ends")

    def _look(self) -> None:
        """Follow the folder and whoever runs a session in it; in the looker's thread."""
        running = ""
        try:
            owner = owner_of(self._folder, "session")
            running = str(owner or "")
            self._follow(running)
            seen = (running, *(_state_of(self._folder / name) for name in WATCHED))
            if seen != self._seen:
                self._snapshot = _json(snapshot_of(self._reader.record(), running))
                self._seen = seen
        except (ConfigError, OSError) as error:
            self._snapshot, self._seen = _json(Snapshot(self._folder.name, running, problem=str(error))), None
        except Exception:  # a defect of ours: what is shown stays, and the log tells
            logging.getLogger(__name__).exception("%s cannot be looked at", self._folder)
        self._looked = time.monotonic()

    def _follow(self, running: str) -> None:
        """Take part in the graph of the session that runs; leave it when nobody runs one."""
        if not running:
            self._leave("no session runs in this folder")
            return
        if not (self._folder / PLACE_FILE).is_file():
            self._leave("the session starts")
            return
        place = read_place(self._folder)
        if self._graph is not None and place == self._place:
            return
        self._leave("")
        try:
            self._graph, self._place = connected(self._folder, place), place
        except ModuleNotFoundError as error:
            self._why = missing(error) or f"{error.name} is not installed"
        except (ConfigError, RuntimeError) as error:
            self._why = f"the graph cannot be reached: {error}"

    def _leave(self, why: str) -> None:
        self._why = why
        graph, self._graph = self._graph, None
        if graph is not None:
            graph.close()


def connected(folder: Path, place: Place) -> Any:
    """The LiveGraph of the session that runs in `folder`. Raises ConfigError, and ModuleNotFoundError without ROS."""
    profile = load_robot(read_head(folder).options.robot)
    os.environ.update(graph_environment(profile.name == SIMULATED, place.domain_id))
    from robot_finetune.web.live import LiveGraph

    return LiveGraph(place.domain_id, profile.full_image_topic, variations(folder))


def variations(folder: Path) -> list[str]:
    """What the cell of a session may be switched to: those of the package, and its own. Raises ConfigError."""
    return sorted({*known_names("variations"), read_head(folder).options.variation})


def _state_of(path: Path) -> tuple[int, int]:
    """What changes with a file or folder."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


def _json(snapshot: Snapshot) -> str:
    return to_json(dataclasses.asdict(snapshot))
