"""Shared memory, graphics card, display, disk and clock of this computer."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from robot_finetune.data.disk import free_bytes, no_room
from robot_finetune.doctor.check import ERROR, OK, WARNING, Check, failed
from robot_finetune.ros.node.shared_memory import FOLDER, orphans

LITTLE_MEMORY, SOME_MEMORY = 24 << 20, 200 << 20
"""Free bytes of shared memory: one node takes 17 MB at most, a session has seven."""
LITTLE_DISK, SOME_DISK = 300 << 20, 2 << 30
"""Free bytes: the trainer takes 150 MB at once, a long session more."""
RENDER_TIMEOUT = 120.0
UNSYNCHRONISED = 5  # adjtimex's TIME_ERROR
JUMP = 0.05
"""Seconds by which the system clock may leave the steady one while it is watched."""
WATCHED = 0.5
BUILT = 1_750_000_000
"""Seconds since 1970, in 2025: before this no clock is right."""

_RENDER = """
import robot_finetune, mujoco, numpy
model = mujoco.MjModel.from_xml_string(
    '<mujoco><worldbody><light pos="0 0 3"/><geom type="sphere" size=".2" rgba="1 0 0 1"/>'
    '<camera name="c" pos="0 -1 0" xyaxes="1 0 0 0 0 1"/></worldbody></mujoco>')
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
with mujoco.Renderer(model, 32, 32) as renderer:
    renderer.update_scene(data, "c")
    image = renderer.render()
assert numpy.ptp(image) > 50, "the picture is empty"
"""


def shared_memory(folder: Path = FOLDER) -> Iterator[Check]:
    """Room in /dev/shm, through which images go from node to node."""
    if not os.access(folder, os.W_OK):
        yield Check("shared memory", ERROR, f"{folder} cannot be written", "mount a tmpfs there: images go through it")
        return
    free = free_bytes(folder)
    level = OK if free >= SOME_MEMORY else WARNING if free >= LITTLE_MEMORY else ERROR
    cure = "" if level == OK else "end other ROS programs; a container needs --shm-size=512m"
    yield Check("shared memory", level, f"{_size(free)} free in {folder}", cure)
    if left := orphans(folder):
        found = f"{_size(sum(left.values()))} of nodes that were killed in {folder}"
        yield Check("shared memory", WARNING, found, "the next session frees them, or `fastdds shm clean`")


def gpu() -> Iterator[Check]:
    """Where `device: auto` computes; the network `compact` needs no graphics card."""
    import torch

    from robot_finetune.learning.device import choose, describe, has_bfloat16

    if torch.cuda.is_available():
        device = choose("cuda")  # says so if it does not work
        free, there = torch.cuda.mem_get_info(device)
        precision = "bfloat16" if has_bfloat16(device) else "float32"
        found = f"{describe(device)}, {_size(free)} of {_size(there)} free: trainers learn on it, in {precision}"
        others = "".join(f"; also cuda:{index}" for index in range(1, torch.cuda.device_count()))
        yield Check("gpu", OK, found + others)
    elif torch.backends.mps.is_available():
        yield Check("gpu", OK, f"{choose('mps')}: trainers learn on it, in float32")
    elif Path("/proc/driver/nvidia/version").exists():
        cure = "install the driver's CUDA version of torch, or leave it: `compact` runs on the CPU"
        yield Check("gpu", WARNING, f"there is a graphics card, and torch {torch.__version__} cannot use it", cure)
    else:
        yield Check("gpu", OK, "none: the network `compact` runs on the CPU, `grasping44` would be slow")


def display() -> Iterator[Check]:
    """A small picture by MuJoCo, in a process of its own: a broken driver may take it down."""
    how = os.environ.get("MUJOCO_GL", "egl")
    cure = "apt-get install libegl1 libopengl0 libgl1-mesa-dri, or another MUJOCO_GL (egl, osmesa, glfw)"
    try:
        done = subprocess.run(
            [sys.executable, "-c", _RENDER], capture_output=True, text=True, timeout=RENDER_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        yield Check("display", ERROR, f"MuJoCo draws nothing within {RENDER_TIMEOUT:.0f} s by {how}", cure)
        return
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
        yield Check("display", ERROR, f"MuJoCo cannot draw by {how}: {last[:160]}", cure)
    else:
        yield Check("display", OK, f"MuJoCo draws by {how}, without a screen")


def disk(out: Path) -> Iterator[Check]:
    """Room where sessions are written."""
    if full := no_room(out):
        yield failed("disk", full)
        return
    free = free_bytes(out)
    level = OK if free >= SOME_DISK else WARNING if free >= LITTLE_DISK else ERROR
    cure = "" if level == OK else "free some, or choose another --out: a session takes 150 MB at once and 1 MB a grasp"
    yield Check("disk", level, f"{_size(free)} free for {out}", cure)


def clock(wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> Iterator[Check]:
    """Whether the system clock is right and runs evenly: stamps of several computers are compared."""
    begun = wall() - steady()
    time.sleep(WATCHED)
    jump = wall() - steady() - begun
    if wall() < BUILT:
        yield Check("clock", ERROR, f"it is {time.strftime('%Y-%m-%d', time.gmtime(wall()))} here", "set the clock")
    elif abs(jump) > JUMP:
        found = f"the system clock jumped by {jump:+.2f} s within {WATCHED} s"
        yield Check("clock", ERROR, found, "let one service set it (chrony), slewing and not stepping")
    elif _unsynchronised():
        cure = "with a camera or an arm on another computer: install chrony or systemd-timesyncd"
        yield Check("clock", WARNING, "even, but not synchronised with others", cure)
    else:
        yield Check("clock", OK, "even, and synchronised")


def _unsynchronised() -> bool:
    """Whether the kernel knows of no service that keeps the clock."""
    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)
    state = ctypes.create_string_buffer(512)  # a struct timex of zeros: asks, and sets nothing
    return adjtimex is not None and adjtimex(state) == UNSYNCHRONISED


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
