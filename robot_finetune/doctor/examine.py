"""Everything that the doctor looks at, in the order in which it is best cured."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from robot_finetune.doctor import folder, machine, software
from robot_finetune.doctor.check import Check, Look, guarded


def examine(out: Path, robot: str = "") -> Iterator[Check]:
    """Look at this computer, at the folder of sessions `out`, and at the profile `robot` where one is named."""
    looks: dict[str, Look] = {
        "interpreter": software.interpreter,
        "packages": software.packages,
        "ros": software.ros,
        "dds": software.dds,
        "shared memory": machine.shared_memory,
        "gpu": machine.gpu,
        "display": machine.display,
        "disk": partial(machine.disk, out),
        "clock": machine.clock,
        "locks": partial(folder.locks, out),
    }
    if robot:
        looks["profile"] = partial(_profile, robot)
    for name, look in looks.items():
        yield from guarded(name, look)


def _profile(name: str) -> Iterator[Check]:
    from robot_finetune.doctor.robot import robot

    yield from robot(name)
