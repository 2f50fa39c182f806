"""The square of a camera image that the policy sees."""

from __future__ import annotations

Crop = tuple[int, int, int]
"""Left column, top row and side [px] of a square of an image."""


def square_of(height: int, width: int, crop: Crop | None = None) -> Crop:
    """The square that is kept of an image [px]: `crop`, or the largest centred one.

    Raises ValueError if it is not within the image.
    """
    if crop is None:
        side = min(height, width)
        return (width - side) // 2, (height - side) // 2, side
    left, top, side = crop
    if min(left, top) < 0 or side < 1 or left + side > width or top + side > height:
        raise ValueError(
            f"crop = {list(crop)} (left, top, side): allowed is a square within the image of {width}x{height}; correct "
            "camera.crop, or camera.width and height, in the robot profile"
        )
    return crop
