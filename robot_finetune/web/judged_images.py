"""The three images by which the newest grasps were judged, kept while the page is open: no episode holds them."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque

PLACES = ("before", "after_lift", "after_drop")
"""Phases whose images are looked at."""
FRAMES = 30
"""Camera images that are kept until a phase refers to one of them."""
GRASPS = 12
"""Grasps whose images are kept, the newest."""
SAME_STAMP = 5e-4  # s


class JudgedImages:
    """Brings the camera's images and the phases that refer to them together, whichever comes first. For any thread."""

    def __init__(self) -> None:
        self._frames: deque[tuple[float, bytes]] = deque(maxlen=FRAMES)
        self._grasps: OrderedDict[str, dict[str, float | bytes]] = OrderedDict()
        self._lock = threading.Lock()

    def frame(self, stamp: float, data: bytes) -> None:
        """An image of the camera. stamp: when it was taken [s, robot's clock]."""
        with self._lock:
            self._frames.append((stamp, data))
            for images in self._grasps.values():
                for place, wanted in images.items():
                    if isinstance(wanted, float) and abs(wanted - stamp) < SAME_STAMP:
                        images[place] = data

    def phase(self, episode_id: str, place: str, stamp: float) -> None:
        """A phase that the image taken at `stamp` shows; those without one are passed over."""
        if place not in PLACES:
            return
        with self._lock:
            images = self._grasps.setdefault(episode_id, {})
            images[place] = next((data for at, data in self._frames if abs(at - stamp) < SAME_STAMP), stamp)
            while len(self._grasps) > GRASPS:
                self._grasps.popitem(last=False)

    def known(self) -> tuple[str, ...]:
        """The grasps of which all three images are here."""
        with self._lock:
            grasps = self._grasps.items()
            return tuple(name for name, images in grasps if all(isinstance(images.get(p), bytes) for p in PLACES))

    def get(self, episode_id: str, place: str) -> bytes | None:
        """An image as it came, None if it is not here."""
        with self._lock:
            found = self._grasps.get(episode_id, {}).get(place)
        return found if isinstance(found, bytes) else None
