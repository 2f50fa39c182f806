"""Whether a camera still shows the cell: an image with nothing in it, or one that stays while the arm moves, does not.

A cell at rest may look the same for ever (a simulated one to the last bit); only motion shows that a camera is stuck.
"""

from __future__ import annotations

import numpy as np

from robot_finetune.robot.interfaces import Arm, Camera, Frame, RobotError

BLACK, WHITE = 8, 250
"""Grey levels up to which a pixel is black, and from which it is saturated."""
NEARLY_ALL = 0.95
"""Share of black or saturated pixels from which an image shows nothing."""
FLAT = 3.0
"""Spread of each channel [grey levels] up to which an image is of one colour."""
SAMPLES = 8192
"""Pixels of an image that are looked at for that."""
SAME = 2
"""Largest difference of any pixel [grey levels] at which two images are the same one."""
MOVED = 0.05
"""Change of a joint [rad] that has to be seen."""


class ImageFault(RobotError):
    """Images come, but they do not show the cell."""


def blank(image: np.ndarray) -> str:
    """Why an image, uint8 RGB (height, width, 3), shows nothing; "" for any other."""
    pixels = image.reshape(-1, image.shape[-1])
    pixels = pixels[:: -(-len(pixels) // SAMPLES)]
    if (pixels.max(axis=1) <= BLACK).mean() >= NEARLY_ALL:
        return "images are black: take the lens cap off, light the cell, or raise the camera's exposure"
    if (pixels.min(axis=1) >= WHITE).mean() >= NEARLY_ALL:
        return "images are saturated: lower the camera's exposure or gain, or keep the light out of the lens"
    low, high = np.percentile(pixels, (1, 99), axis=0)
    if (high - low <= FLAT).all():
        return "images are of one colour: check the camera, its lens and its cable"
    return ""


class FrameWatch:
    """Checks each image against the one before it."""

    def __init__(self) -> None:
        self._image: np.ndarray | None = None
        self._joints = np.zeros(0)

    def check(self, image: np.ndarray, joints: np.ndarray) -> None:
        """Take the next image, uint8 RGB (height, width, 3), and the joints (n,) [rad] when it was taken.

        Raises ImageFault if the image shows nothing, or is the same as when the joints were elsewhere.
        """
        if cause := blank(image):
            raise ImageFault(cause)
        if not self._same(image):
            self._image, self._joints = image.copy(), np.array(joints)
            return
        moved = float(np.abs(joints - self._joints).max(initial=0.0))
        if moved > MOVED:
            raise ImageFault(
                f"the camera repeats one image: it did not change while a joint moved by {moved:.2f} rad; restart the "
                "camera driver, or check its cable"
            )

    def _same(self, image: np.ndarray) -> bool:
        known = self._image
        if known is None or known.shape != image.shape:
            return False
        return int(np.abs(image.astype(np.int16) - known).max(initial=0)) <= SAME


class WatchedCamera:
    """A `Camera` that looks at `arm` as well: its images have to change when the arm has moved."""

    def __init__(self, camera: Camera, arm: Arm) -> None:
        self._camera, self._arm = camera, arm
        self._watch = FrameWatch()

    def frame(self) -> Frame:
        """An image taken after the call, with the arm at rest. Raises RobotError; ImageFault for one that shows
        nothing of the cell."""
        frame = self._camera.frame()
        self._watch.check(frame.image, self._arm.joint_positions())
        return frame
