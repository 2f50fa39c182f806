"""Every reader of files from outside, as a function of bytes: it returns, or raises one of the package's own errors.

`READERS[name].read(data, folder)` writes the bytes where the reader looks for them in `folder` and reads them; it tells
whether they were accepted. `READERS[name].valid(folder)` is a file that is. `mutations(data)` are strategies around it.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from robot_finetune.config import ConfigError, share_path
from robot_finetune.data.episode_import import import_episodes
from robot_finetune.data.episode_log import CorruptEpisode, EpisodeLogError, read_episode, write_episode
from robot_finetune.data.export import export
from robot_finetune.data.folder_lock import FolderBusy, folder_lock
from robot_finetune.data.label_log import LABELS_FILE, Label, Labels, add_label
from robot_finetune.data.layout import CHECKPOINTS, LINEAGE, SESSION_FILE
from robot_finetune.data.promotion_log import (
    BEGUN,
    JUDGED,
    OFFERED,
    PROMOTION_FILE,
    STARTED,
    Decision,
    Fact,
    PromotionLog,
    facts,
    read_promotion,
)
from robot_finetune.data.replay_buffer import ReplayBuffer
from robot_finetune.data.replay_file import pack, unpack
from robot_finetune.data.replay_storage import ReplayError
from robot_finetune.data.version_card import read_card
from robot_finetune.data.version_store import NEWEST, Announced, RemoteVersions, VersionDamaged
from robot_finetune.files import parse_json
from robot_finetune.learning.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from robot_finetune.learning.networks.build import build_network
from robot_finetune.learning.networks.interface import NetworkConfig
from robot_finetune.learning.promotion.autonomy import restored
from robot_finetune.learning.promotion.gate import PromotionConfig
from robot_finetune.robot.profile import load_robot
from robot_finetune.session.metrics import METRICS_FILE, SessionMetrics, read_metrics, write_json, write_metrics
from robot_finetune.session.options import SessionHead, read_head, write_head
from robot_finetune.session.place import PLACE_FILE, read_place, write_place
from robot_finetune.session.summary import SUMMARY_FILE
from robot_finetune.sim.mesh_files import MeshError, read_mesh, to_obj
from robot_finetune.sim.variations import load_variation
from robot_finetune.types import Action, Episode, GraspOutcome, Observation, Step
from robot_finetune.web.lineages import read_retention
from robot_finetune.web.sessions import read_figures

OWN = (ConfigError, CheckpointError, ReplayError, CorruptEpisode, EpisodeLogError, MeshError, VersionDamaged)
"""The package's own errors for files."""
SMALL = NetworkConfig(image_size=16, channels=4, patch=4, search=4, gripper_patch=4, hidden=8)
SUMMARY = {"before": {"episodes": 10, "successes": 2}, "versions": [{"version": 3}], "ended": "complete"}
KEPT = {"retention": {"tasks": ["base", "light"], "matrix": [[0.5, None]]}, "steps": []}
MESH = (np.eye(3), np.array([[0, 1, 2]]))
SIZE = 8
"""Edge of the images in the episodes here."""


@dataclass(frozen=True)
class Reader:
    """file: relative to the folder. make: fills a folder so that its file is accepted. use: reads the folder."""

    file: str
    make: Callable[[Path], object]
    use: Callable[[Path], object]

    def valid(self, folder: Path) -> bytes:
        """Make a sound folder, replacing what is there; returns the bytes of the file."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.make(folder)
        return (folder / self.file).read_bytes()

    def read(self, data: bytes, folder: Path) -> bool:
        """Whether `data` is accepted in a folder that `valid` has made. Raises nothing, unless there is a defect."""
        path = folder / self.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        try:
            self.use(folder)
        except OWN as error:
            message = str(error)
            assert "\n" not in message and len(message) < 4000, f"no line of text: {message[:200]!r}"
            return False
        return True


def episode() -> Episode:
    """A grasp of two steps."""
    rng = np.random.default_rng(0)

    def step(index: int) -> Step:
        image = rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
        seen = Observation(image, np.array([0.6, 0.0, 0.2, 0.0]), 1.0, index)
        return Step(seen, Action.close(), Action.close(), 0.5, 3, (0.1, 0.2))

    meta = {"decision_ms": [10.0, 20.0], "mount": [0.0, 0.01], "note": "größer"}
    return Episode("e", (step(0), step(1)), GraspOutcome(True, 0.9, False, {"difference": 3.0}), meta=meta)


def _replay(folder: Path) -> None:
    ReplayBuffer(folder / "replay", 6, SIZE).add(episode())


def _packed(folder: Path) -> None:
    replay = ReplayBuffer(None, 6, SIZE)
    replay.add(episode())
    pack(replay, folder / "replay.bin")


def _owned(folder: Path) -> None:
    with folder_lock(folder, "session", "test"):
        lock = (folder / "session.lock").read_bytes()
    (folder / "session.lock").write_bytes(lock)


def _own(folder: Path) -> None:
    try:
        with folder_lock(folder, "session", "test"):
            pass
    except FolderBusy:
        pass


def _json(folder: Path) -> None:
    try:
        parse_json((folder / "data.json").read_bytes())
    except ValueError as error:
        raise ConfigError(str(error).splitlines()[0]) from error


FORMS = {"npz": ("npz", "e.npz"), "outcomes.csv": ("npz", "outcomes.csv")}
if find_spec("pyarrow"):
    FORMS |= {
        "steps.parquet": ("parquet", "steps.parquet"),
        "LeRobot info": ("lerobot", "meta/info.json"),
        "LeRobot episodes": ("lerobot", "meta/episodes/chunk-000/file-000.parquet"),
        "LeRobot data": ("lerobot", "data/chunk-000/file-000.parquet"),
    }
"""Formats that episodes are imported from: how they are exported, and the file that is damaged."""
CARD = f"{CHECKPOINTS}/v0003/model.yaml"


def _checkpoint(folder: Path) -> None:
    meta = {"variation": "base", "grasps": 20, "updates": 100}
    save_checkpoint((folder / CARD).parent, build_network(SMALL, 0), 3, 2, meta)


def _copied(*parts: str, to: str) -> Callable[[Path], object]:
    return lambda folder: shutil.copy(share_path(*parts), folder / to)


@cache
def _metrics() -> SessionMetrics:
    return SessionMetrics(1, 6.5, 100.0, 50.0, 50, {"hz": 30.0}, [0.1], [(1.0, 0.5)], {"trainer": 1}, ended="complete")


def _promotion(folder: Path) -> None:
    log = PromotionLog(folder)
    for entry in (
        Fact(STARTED, 3, "ab", "/models/base"),
        Fact(OFFERED, 4, "cd", "/x/v0004", scores={"worse": 0.5}),
        Fact(BEGUN, explore=True),
        Decision("trial", 4, 3, "acts in turns with version 3", {"better": 1.0}, 7),
        Fact(JUDGED, 4, "cd", side="candidate", success=True, episode_id="e1"),
    ):
        log.add(entry)


def _replayed(folder: Path) -> None:
    """Whatever facts there are, a gate can be made of them."""
    entries, damaged = read_promotion(folder)
    if told := facts(entries):
        gate, _ = restored(told, PromotionConfig())
        gate.turn(True)
    if damaged:
        raise ConfigError(damaged[0])


def _exported(form: str) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        write_episode(folder / "log", episode())
        export(folder / "log", folder, form)

    return make


def _imported(folder: Path) -> None:
    """Whatever the bytes, what is left out is named."""
    found = import_episodes(folder, folder / "imported")
    if found.problems:
        raise ConfigError(": ".join(found.problems[0]))


def _labelled(folder: Path) -> None:
    """Whatever labels there are, episodes are read by them."""
    labels = Labels(folder)
    labels.poll()
    labels.apply(episode())
    if labels.damaged:
        raise ConfigError(labels.damaged[0])


def _mesh(folder: Path) -> object:
    """The same bytes as either kind of file."""
    shutil.copy(folder / "mesh.obj", folder / "mesh.stl")
    with suppress(MeshError):
        read_mesh(folder / "mesh.stl", np.ones(3))
    return read_mesh(folder / "mesh.obj", np.ones(3))


READERS: dict[str, Reader] = {
    "labels": Reader(
        LABELS_FILE, lambda folder: add_label(folder, Label("e", "failure", "ada", why="größer")), _labelled
    ),
    "promotion log": Reader(PROMOTION_FILE, _promotion, _replayed),
    "robot profile": Reader(
        "robot.yaml",
        _copied("config", "robots", "fr3.yaml", to="robot.yaml"),
        lambda folder: load_robot(folder / "robot.yaml"),
    ),
    "variation": Reader(
        "variation.yaml",
        _copied("config", "variations", "transparent_bottles.yaml", to="variation.yaml"),
        lambda folder: load_variation(folder / "variation.yaml"),
    ),
    "mesh": Reader("mesh.obj", lambda folder: (folder / "mesh.obj").write_bytes(to_obj(*MESH)), _mesh),
    "session.yaml": Reader(SESSION_FILE, lambda folder: write_head(folder, SessionHead()), read_head),
    "metrics.json": Reader(METRICS_FILE, lambda folder: write_metrics(folder, _metrics()), read_metrics),
    "graph.json": Reader(PLACE_FILE, lambda folder: write_place(folder, 7), read_place),
    "summary.json": Reader(SUMMARY_FILE, lambda folder: write_json(folder / SUMMARY_FILE, SUMMARY), read_figures),
    "lineage.json": Reader(LINEAGE, lambda folder: write_json(folder / LINEAGE, KEPT), read_retention),
    "JSON": Reader("data.json", lambda folder: (folder / "data.json").write_text('{"a": [1, 2.5, null]}'), _json),
    NEWEST: Reader(
        NEWEST,
        lambda folder: write_json(
            folder / NEWEST, dataclasses.asdict(Announced("/x/v0007", 7, "ab" * 32, {"worse": 1.0}))
        ),
        lambda folder: RemoteVersions(f"file://{folder}").newest(),
    ),
    "lock": Reader("session.lock", _owned, _own),
    "checkpoint card": Reader(CARD, _checkpoint, lambda folder: read_card((folder / CARD).parent)),
    "checkpoint": Reader(CARD, _checkpoint, lambda folder: load_checkpoint((folder / CARD).parent)),
    "weights": Reader(
        f"{CHECKPOINTS}/v0003/model.safetensors", _checkpoint, lambda folder: load_checkpoint((folder / CARD).parent)
    ),
    "episode": Reader(
        "e.mcap", lambda folder: write_episode(folder, episode()), lambda folder: read_episode(folder / "e.mcap")
    ),
    **{name: Reader(file, _exported(form), _imported) for name, (form, file) in FORMS.items()},
    "replay.bin": Reader("replay.bin", _packed, lambda folder: unpack(folder / "replay.bin")),
    **{
        file: Reader(f"replay/{file}", _replay, lambda folder: ReplayBuffer.open(folder / "replay"))
        for file in ("replay.json", "counters.npy", "rows.npy", "images.npy", "episodes.keys")
    },
}
"""Name of a reader, and how to feed it."""

YAML_PIECES = [
    *("2001-99-99", "0b_", "._", "!!int x", "!!timestamp x", "!!set [a]", "!!binary x", "!!omap x", "&a [*a]", ".nan"),
    *(
        "-.inf",
        "1:1:1:61",
        "<<: {a: 1}",
        "? [a]",
        "{[1]: 2}",
        '"\\ud800"',
        '"\\0"',
        "1" * 5000,
        "[" * 3000,
    ),
    *(
        "{a: " * 3000,
        "NaN",
        "Infinity",
        "1e999",
        "null",
        "[]",
        "{}",
        "''",
        "true",
        "-1",
        "1" + "0" * 400,
        "e\u0301",
        "\u2028",
    ),
]


def mutations(data: bytes) -> st.SearchStrategy[bytes]:
    """Bytes around a sound file: anything, cut, flipped, with parts repeated, swapped or replaced by hostile text."""
    place = st.integers(0, len(data))
    pieces = st.sampled_from([piece.encode() for piece in YAML_PIECES]) | st.binary(max_size=8)

    def spliced(start: int, length: int, piece: bytes) -> bytes:
        return data[:start] + piece + data[start + length :]

    def valued(number: int, piece: bytes) -> bytes:
        """A value of a text file (what follows a colon) replaced."""
        lines = data.split(b"\n")
        key, colon, rest = lines[number % len(lines)].partition(b":")
        tail = b"," if rest.endswith(b",") else b""
        lines[number % len(lines)] = key + colon + b" " + piece + tail
        return b"\n".join(lines)

    return st.one_of(
        st.binary(max_size=200),
        place.map(lambda end: data[:end]),
        st.builds(spliced, place, st.integers(0, 40), pieces),
        st.builds(valued, st.integers(0, 1000), pieces),
        st.builds(lambda at, bit: spliced(at, 1, bytes([(data + b"\0")[at] ^ 1 << bit])), place, st.integers(0, 7)),
        st.builds(lambda at, other: data[:at] + data[other:], place, place),
    )
