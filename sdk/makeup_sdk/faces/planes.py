"""Network inputs from pixels."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from makeup_kernels.types import FloatArray

_UNIT = (1 / 255,) * 3


def normalized_planes(
    image: NDArray[np.uint8] | FloatArray,
    *,
    color: str = "bgr",
    mean: Sequence[float] = (0, 0, 0),
    scale: Sequence[float] = _UNIT,
    out: FloatArray | None = None,
) -> FloatArray:
    """(pixel - mean) · scale, channel by channel.

    Args:
        image: (H, W, 3), BGR.
        color: channel order of the result, "bgr" or "rgb".
        mean, scale: per channel of the result; default: pixels in [0, 1].
        out: float32 (1, 3, H, W), may be a strided view; None allocates.

    Returns:
        float32 (1, 3, H, W): `out`, or a new array.
    """
    height, width = image.shape[:2]
    planes = np.empty((1, 3, height, width), np.float32) if out is None else out
    channels = cv2.split(image)
    if color == "rgb":
        channels = channels[::-1]
    for channel, target, shift, gain in zip(channels, planes[0], mean, scale, strict=True):
        shifted = np.subtract(channel, np.float32(shift), out=target) if shift else channel
        np.multiply(shifted, np.float32(gain), out=target)
    return planes
