"""The door through which joint states come in: what cannot be true is not believed.

A message is refused as a whole if a joint in it is not a number, beyond its limits, farther from where it just was
than its velocity limit allows, or stamped out of order. After a jump a joint has to be confirmed: one wrong message is
passed over, and while messages contradict each other, as with two publishers on one topic, none is believed.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from robot_finetune.robot.joint_limits import JointLimit

BEYOND = 0.05
"""How far beyond its limits a joint may be measured [rad or m]: controllers overshoot, encoders are offset."""
JUMP = 0.05
"""Change [rad or m] that is never called a jump ..."""
HASTE = 1.5
"""... nor is one up to this multiple of what the velocity limit allows."""
BURST, GAP = 0.1, 0.5
"""Between two messages at least BURST [s] count where they have no stamp: they are timed by their arrival, and may have
been on their way for long. At most GAP count: after a longer silence, or with a wild stamp, a jump is one all the
same."""
CONFIRM = 5
"""Messages in a row without a jump until a joint is believed, at first and after one."""
SET_BACK = 1.0
"""Stamps this far [s] behind the newest are those of a clock that was set back, not of late messages."""
AHEAD = 5.0
"""Stamps this far [s] ahead of the node's own clock are none."""
SOURCES = 16
"""Publishers, told apart by the joints that they write, whose stamps are remembered."""
TWO_PUBLISHERS = "do two publishers write joint_states?"


class BadJointState(ValueError):
    """A message that cannot be true; the text says what is wrong with it."""


@dataclass
class _Joint:
    """What was last heard of a joint, believed or not. steady: messages in a row without a jump, up to CONFIRM, where
    it is believed."""

    position: float
    stamp: float
    steady: int = 0
    said: str = ""


def check_message(
    limits: Mapping[str, JointLimit], names: Sequence[str], positions: Sequence[float]
) -> dict[str, float]:
    """The positions of the joints in `limits` in a message; none where it has none, such as one of efforts alone.

    Raises BadJointState for what is wrong by itself: uneven arrays, positions that are not finite or beyond the limits.
    """
    pairs = zip(names, positions, strict=False)
    wanted = {name: float(position) for name, position in pairs if name in limits}
    if wanted and len(names) != len(positions):
        raise BadJointState(f"{len(names)} names and {len(positions)} positions")
    for name, position in wanted.items():
        limit = limits[name]
        if not math.isfinite(position):
            raise BadJointState(f"{name} is {position}")
        if not limit.low - BEYOND <= position <= limit.high + BEYOND:
            raise BadJointState(f"{name} is at {position:.4g}, its limits are {limit.low:.4g} to {limit.high:.4g}")
    return wanted


class JointIntake:
    """Checks joint states; one thread uses it. limits: of the joints that are wanted, the others are ignored."""

    def __init__(self, limits: Mapping[str, JointLimit]) -> None:
        self._limits = limits
        self._joints: dict[str, _Joint] = {}
        self._sources: OrderedDict[tuple[str, ...], float] = OrderedDict()
        self.restarts = 0
        """How often the stamps were set back; what was believed before is of another time."""

    def accept(
        self, names: Sequence[str], positions: Sequence[float], stamp: float, now: float = 0.0, stamped: bool = True
    ) -> dict[str, float]:
        """The positions of the wanted joints in a message; none where it has none, such as one of efforts alone, and
        until they are confirmed.

        stamp: of the message [s], that of its arrival if it is not `stamped`. now: of the node's clock; 0 if it has
        none yet. Raises BadJointState.
        """
        wanted = check_message(self._limits, names, positions)
        if not wanted:
            return {}
        self._check_stamp(tuple(sorted(wanted)), stamp, now)
        heard = [self._hear(name, position, stamp, stamped) for name, position in wanted.items()]
        for joint in heard:
            if joint.steady < CONFIRM and joint.said:
                raise BadJointState(f"{joint.said}: {TWO_PUBLISHERS}")
        return wanted if all(joint.steady == CONFIRM for joint in heard) else {}

    def _check_stamp(self, source: tuple[str, ...], stamp: float, now: float) -> None:
        if now and stamp > now + AHEAD:
            raise BadJointState(f"stamped {stamp - now:.1f} s ahead of this node's clock: synchronise the clocks")
        late = self._sources.get(source, -math.inf) - stamp
        if late > SET_BACK:
            self._joints.clear()
            self._sources.clear()
            self.restarts += 1
        elif late > 0:
            raise BadJointState(f"stamped {late * 1e3:.0f} ms before the message that came earlier: {TWO_PUBLISHERS}")
        self._sources[source] = stamp
        self._sources.move_to_end(source)
        if len(self._sources) > SOURCES:
            self._sources.popitem(last=False)

    def _hear(self, name: str, position: float, stamp: float, stamped: bool) -> _Joint:
        limit, joint = self._limits[name], self._joints.setdefault(name, _Joint(position, stamp))
        change = position - joint.position
        if limit.continuous:
            change = math.remainder(change, 2 * math.pi)
        took = min(max(abs(stamp - joint.stamp), 0.0 if stamped else BURST), GAP)
        jumped = abs(change) > HASTE * limit.velocity * took + JUMP
        joint.steady = 0 if jumped else min(joint.steady + 1, CONFIRM)
        if jumped:
            joint.said = f"{name} jumped {abs(change):.2f} rad in {took * 1e3:.0f} ms"
        joint.position, joint.stamp = position, stamp
        return joint
