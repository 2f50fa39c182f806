"""Images without a camera driver: a V4L2 device, a video file or a folder of images, read by OpenCV."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path

import cv2
import numpy as np

from robot_finetune.robot.profile import CameraConfig

RETRY = 1.0
"""Seconds between two attempts to open a source that cannot be read."""
IMAGE_FILES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}


class ImageSource:
    """Iterates over uint8 RGB images (height, width, 3); files begin again at their end, as fast as they are asked for.

    live: whether the images come at a camera's own pace. width, height [px] and rate [Hz] are asked of a device; what
    it gives instead is passed on. Raises OSError, here or while iterating, for what cannot be read.
    """

    def __init__(self, source: str, width: int, height: int, rate: float) -> None:
        path = Path(source).expanduser()
        self.live = source.startswith("/dev/")
        self._capture: cv2.VideoCapture | None = None
        self._source = source
        if not path.exists():
            raise OSError(
                f"camera.source = {source!r}: no such device, video file or folder; correct it in the robot profile, "
                "or plug the camera in"
            )
        if path.is_dir():
            files = sorted(file for file in path.iterdir() if file.suffix.lower() in IMAGE_FILES)
            if not files:
                kinds = ", ".join(sorted(IMAGE_FILES))
                raise OSError(f"camera.source = {source!r}: the folder holds no images ({kinds})")
            self._images: Iterator[np.ndarray] = map(_read_file, cycle(files))
        else:
            self._capture = self._open(path, width, height, rate)
            self._images = self._frames(self._capture)

    def __iter__(self) -> Iterator[np.ndarray]:
        return self._images

    def close(self) -> None:
        """Let go of the device or file."""
        if self._capture is not None:
            self._capture.release()

    def _open(self, path: Path, width: int, height: int, rate: float) -> cv2.VideoCapture:
        capture = cv2.VideoCapture(str(path), cv2.CAP_V4L2 if self.live else cv2.CAP_ANY)
        if not capture.isOpened():
            cure = "is it in use, or not readable for this user (group video)?" if self.live else "is it a video?"
            raise OSError(f"camera.source = {self._source!r}: OpenCV cannot open it; {cure}")
        if self.live:
            for key, value in (
                (cv2.CAP_PROP_FRAME_WIDTH, width),
                (cv2.CAP_PROP_FRAME_HEIGHT, height),
                (cv2.CAP_PROP_FPS, rate),
                (cv2.CAP_PROP_BUFFERSIZE, 1),
            ):
                capture.set(key, value)
        return capture

    def _frames(self, capture: cv2.VideoCapture) -> Iterator[np.ndarray]:
        while True:
            taken, image = capture.read()
            if not taken and not self.live:
                capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
                taken, image = capture.read()
            if not taken:
                raise OSError(f"camera.source = {self._source!r}: no image comes; check the camera and its cable")
            yield cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _read_file(file: Path) -> np.ndarray:
    image = cv2.imread(str(file), cv2.IMREAD_COLOR)
    if image is None:
        raise OSError(f"{file}: OpenCV cannot read this image; remove it from the folder")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


class SourceReader:
    """Hands the images of camera.source over, one after another, in a thread of its own; tries again where it fails."""

    def __init__(self, camera: CameraConfig, deliver: Callable[[np.ndarray], None]) -> None:
        self.error = ""
        """Why no images come, or ""."""
        self._camera, self._deliver = camera, deliver
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._closing.set()
        self._thread.join(timeout=5.0)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._read()
            except OSError as error:
                self.error = str(error)
                self._closing.wait(RETRY)

    def _read(self) -> None:
        camera = self._camera
        source = ImageSource(camera.source, camera.width, camera.height, camera.rate)
        try:
            due = time.monotonic()
            for image in source:
                self.error = ""
                self._deliver(image)
                due = max(due + 1 / camera.rate, time.monotonic() - 1.0)
                if self._closing.wait(0.0 if source.live else max(0.0, due - time.monotonic())):
                    return
        finally:
            source.close()
